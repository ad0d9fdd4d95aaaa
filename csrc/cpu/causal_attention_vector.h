// The vector code of causal attention for vectors of BB_LANES floats; causal_attention.cpp includes it once for every level, in
// a namespace of its own. The vectors are the compiler's, so that every machine has at least one level.

namespace {

#include "row_vector.h"

constexpr int64_t kParts = kSize / kLanes;               // vectors of a head
constexpr int64_t kAcross = BB_LANES == 16 ? 4 : 2;      // vectors of scores that are summed at a time
constexpr int64_t kTogether = BB_LANES == 16 ? 4 : 2;    // and their queries
constexpr int64_t kSums = BB_LANES == 16 ? kQueries : 1; // queries whose sums of values are in registers

// to[q][j] = sum_d rows[q][d] transposed[d][j] for the first `count` j, rounded up to whole tiles.
BB_INLINE void products(const float* rows, const float* transposed, int64_t count, int64_t stride, float* to) {
  for (int64_t j = 0; j < count; j += kAcross * kLanes) {
    for (int64_t q = 0; q < kQueries; q += kTogether) {
      F sums[kTogether][kAcross] = {};
      for (int64_t d = 0; d < kSize; ++d) {
        F across[kAcross];
        for (int64_t v = 0; v < kAcross; ++v) across[v] = load(transposed + d * stride + j + v * kLanes);
        for (int64_t i = 0; i < kTogether; ++i) {
          const F one = fill(rows[(q + i) * kSize + d]);
          for (int64_t v = 0; v < kAcross; ++v) sums[i][v] += one * across[v];
        }
      }
      for (int64_t i = 0; i < kTogether; ++i) {
        for (int64_t v = 0; v < kAcross; ++v) store(to + (q + i) * stride + j + v * kLanes, sums[i][v]);
      }
    }
  }
}

// to[q] = sum_j weights[q][j] rows[j] over the first `count` j.
BB_INLINE void weighted(const float* weights, const float* rows, int64_t count, int64_t stride, float* to) {
  for (int64_t q = 0; q < kQueries; q += kSums) {
    F sums[kSums][kParts] = {};
    for (int64_t j = 0; j < count; ++j) {
      F row[kParts];
      for (int64_t v = 0; v < kParts; ++v) row[v] = load(rows + j * kSize + v * kLanes);
      for (int64_t i = 0; i < kSums; ++i) {
        const F one = fill(weights[(q + i) * stride + j]);
        for (int64_t v = 0; v < kParts; ++v) sums[i][v] += one * row[v];
      }
    }
    for (int64_t i = 0; i < kSums; ++i) {
      for (int64_t v = 0; v < kParts; ++v) store(to + (q + i) * kSize + v * kLanes, sums[i][v]);
    }
  }
}

// to[j] += sum_q weights[q][j] rows[q] for the first `count` j.
BB_INLINE void spread(const float* weights, const float* rows, int64_t count, int64_t stride, float* to) {
  F row[kQueries][kParts];
  for (int64_t q = 0; q < kQueries; ++q) {
    for (int64_t v = 0; v < kParts; ++v) row[q][v] = load(rows + q * kSize + v * kLanes);
  }
  for (int64_t j = 0; j < count; ++j) {
    F sums[kParts];
    for (int64_t v = 0; v < kParts; ++v) sums[v] = load(to + j * kSize + v * kLanes);
    for (int64_t q = 0; q < kQueries; ++q) {
      const F one = fill(weights[q * stride + j]);
      for (int64_t v = 0; v < kParts; ++v) sums[v] += one * row[q][v];
    }
    for (int64_t v = 0; v < kParts; ++v) store(to + j * kSize + v * kLanes, sums[v]);
  }
}

// A head's vector turned by its angle and scaled.
BB_INLINE void turn(const float* from, const float* cosine, const float* sine, float scale, float* to) {
  for (int64_t i = 0; i < kHalf; ++i) {
    const float first = from[i], second = from[kHalf + i], c = cosine[i] * scale, s = sine[i] * scale;
    to[i] = first * c - second * s;
    to[kHalf + i] = second * c + first * s;
  }
}

// The same turned back.
BB_INLINE void turn_back(const float* from, const float* cosine, const float* sine, float scale, float* to) {
  for (int64_t i = 0; i < kHalf; ++i) {
    const float first = from[i], second = from[kHalf + i], c = cosine[i] * scale, s = sine[i] * scale;
    to[i] = first * c + second * s;
    to[kHalf + i] = second * c - first * s;
  }
}

BB_INLINE void transpose(const float* rows, int64_t stride, float* to) {
  for (int64_t j = 0; j < stride; j += kLanes) {
    for (int64_t d = 0; d < kSize; ++d) {
      F column;
      for (int64_t i = 0; i < kLanes; ++i) column[i] = rows[(j + i) * kSize + d];
      store(to + d * stride + j, column);
    }
  }
}

BB_INLINE float highest(const float* from, int64_t count) {
  F best = load(from);
  for (int64_t j = kLanes; j < count; j += kLanes) {
    const F next = load(from + j);
    best = next > best ? next : best;
  }
  return highest(best);
}

// e^(x - peak) in place of x; returns the sum.
BB_INLINE float exponentials(float* x, int64_t count, float peak) {
  F sum = {};
  for (int64_t j = 0; j < count; j += kLanes) {
    const F value = exponential(load(x + j) - peak);
    sum += value;
    store(x + j, value);
  }
  return total(sum);
}

// Where the angles of a head's query are.
struct Angles {
  const float *cosine, *sine;
};

BB_INLINE Angles angles(const Job& job, int64_t row, int64_t head, int64_t token) {
  if (!job.bias || head < job.own) return {job.cosine + token * kHalf, job.sine + token * kHalf};
  const int64_t at = (row * job.tokens + token) * kHalf;
  return {job.reading_cosine + at, job.reading_sine + at};
}

// Keys and values of one group of heads, arranged for the products above; padding is 0.
BB_INLINE void gather(const Job& job, int64_t row, int64_t group, const Keys& keys) {
  for (int64_t j = 0; j < keys.stride; ++j) {
    float *key = keys.rows + j * kSize, *value = keys.values + j * kSize;
    const int64_t token = j - keys.seen;
    if (j < keys.seen) {
      const float* from = job.memory + ((row * job.slots + j) * job.groups + group) * kSize;
      std::memcpy(key, from, kSize * sizeof(float));
      std::memcpy(value, from, kSize * sizeof(float));
    } else if (token < job.tokens) {
      const int64_t at = row * job.tokens + token;
      turn(job.key + at * job.key_token + group * kSize, job.cosine + token * kHalf, job.sine + token * kHalf, 1.0f, key);
      std::memcpy(value, job.value + at * job.value_token + group * kSize, kSize * sizeof(float));
    } else {
      std::memset(key, 0, kSize * sizeof(float));
      std::memset(value, 0, kSize * sizeof(float));
    }
  }
  transpose(keys.rows, keys.stride, keys.transposed);
}

// Turned and scaled queries from `begin` on, 0 behind the last, and their scores of `columns` keys. Returns nothing else.
BB_INLINE void score(const Job& job, int64_t row, int64_t head, int64_t begin, const Keys& keys, int64_t columns, float* query) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(kSize));
  for (int64_t q = 0; q < kQueries; ++q) {
    const int64_t token = begin + q, at = row * job.tokens + token;
    if (token < job.tokens) {
      const Angles by = angles(job, row, head, token);
      turn(job.query + at * job.query_token + head * kSize, by.cosine, by.sine, scale, query + q * kSize);
    } else {
      std::memset(query + q * kSize, 0, kSize * sizeof(float));
    }
  }
  products(query, keys.transposed, columns, keys.stride, keys.scores);
  for (int64_t q = 0; q < kQueries; ++q) {
    float* scores = keys.scores + q * keys.stride;
    const int64_t token = begin + q < job.tokens ? begin + q : job.tokens - 1, at = row * job.tokens + token;
    if (job.bias && head >= job.own) {
      const float* bias = job.bias + at * job.bias_token + (head - job.own) * job.window;
      for (int64_t w = 0; w < job.window; ++w) {
        const int64_t ahead = job.place[at] + w;
        if (ahead <= token) scores[keys.seen + ahead] += bias[w];
      }
    }
    for (int64_t j = keys.seen + token + 1; j < columns; ++j) scores[j] = kHidden;
  }
}

BB_INLINE int64_t columns_of(int64_t begin, const Keys& keys) {
  const int64_t end = keys.seen + begin + kQueries;
  const int64_t whole = (end + kAcross * kLanes - 1) / (kAcross * kLanes) * (kAcross * kLanes);
  return whole < keys.stride ? whole : keys.stride;
}

void attend(const Job& job, int64_t row, int64_t group, const Keys& keys) {
  gather(job, row, group, keys);
  alignas(64) float query[kQueries * kSize], out[kQueries * kSize];
  const int64_t share = job.heads / job.groups;
  for (int64_t head = group * share; head < (group + 1) * share; ++head) {
    for (int64_t begin = 0; begin < job.tokens; begin += kQueries) {
      const int64_t columns = columns_of(begin, keys);
      score(job, row, head, begin, keys, columns, query);
      float sums[kQueries];
      for (int64_t q = 0; q < kQueries; ++q) {
        float* scores = keys.scores + q * keys.stride;
        const float peak = highest(scores, columns);
        sums[q] = exponentials(scores, columns, peak);
        if (begin + q < job.tokens) job.mass[(row * job.heads + head) * job.tokens + begin + q] = peak + std::log(sums[q]);
      }
      weighted(keys.scores, keys.values, columns, keys.stride, out);
      for (int64_t q = 0; q < kQueries && begin + q < job.tokens; ++q) {
        float* to = job.out + ((row * job.tokens + begin + q) * job.heads + head) * kSize;
        for (int64_t d = 0; d < kSize; ++d) to[d] = out[q * kSize + d] / sums[q];
      }
    }
  }
}

void differentiate(const Job& job, int64_t row, int64_t group, const Keys& keys) {
  gather(job, row, group, keys);
  transpose(keys.values, keys.stride, keys.values_transposed);
  std::memset(keys.for_rows, 0, static_cast<size_t>(keys.stride * kSize) * sizeof(float));
  std::memset(keys.for_values, 0, static_cast<size_t>(keys.stride * kSize) * sizeof(float));
  alignas(64) float query[kQueries * kSize], gradient[kQueries * kSize], for_query[kQueries * kSize];
  const float scale = 1.0f / std::sqrt(static_cast<float>(kSize));
  const int64_t share = job.heads / job.groups;
  for (int64_t head = group * share; head < (group + 1) * share; ++head) {
    for (int64_t begin = 0; begin < job.tokens; begin += kQueries) {
      const int64_t columns = columns_of(begin, keys);
      score(job, row, head, begin, keys, columns, query);
      float along[kQueries];
      for (int64_t q = 0; q < kQueries; ++q) {
        const int64_t token = begin + q;
        along[q] = 0.0f;
        if (token >= job.tokens) {
          std::memset(gradient + q * kSize, 0, kSize * sizeof(float));
          continue;
        }
        const int64_t at = ((row * job.tokens + token) * job.heads + head) * kSize;
        F sum = {};
        for (int64_t d = 0; d < kSize; d += kLanes) {
          const F g = load(job.gradient + at + d);
          store(gradient + q * kSize + d, g);
          sum += g * load(job.out + at + d);
        }
        along[q] = total(sum);
      }
      products(gradient, keys.values_transposed, columns, keys.stride, keys.slopes);
      for (int64_t q = 0; q < kQueries; ++q) {
        float *scores = keys.scores + q * keys.stride, *slopes = keys.slopes + q * keys.stride;
        const bool real = begin + q < job.tokens;
        const float mass = real ? job.mass[(row * job.heads + head) * job.tokens + begin + q] : 0.0f;
        for (int64_t j = 0; j < columns; j += kLanes) {
          const F p = real ? exponential(load(scores + j) - mass) : F{};
          store(scores + j, p);
          store(slopes + j, p * (load(slopes + j) - along[q]));
        }
      }
      const int64_t last = keys.seen + begin + kQueries < keys.count ? keys.seen + begin + kQueries : keys.count;
      spread(keys.scores, gradient, last, keys.stride, keys.for_values);
      spread(keys.slopes, query, last, keys.stride, keys.for_rows);
      weighted(keys.slopes, keys.rows, last, keys.stride, for_query);
      for (int64_t q = 0; q < kQueries && begin + q < job.tokens; ++q) {
        const int64_t token = begin + q, at = row * job.tokens + token;
        const Angles by = angles(job, row, head, token);
        turn_back(for_query + q * kSize, by.cosine, by.sine, scale, job.for_query + at * job.query_token + head * kSize);
        if (!job.bias || head < job.own) continue;
        float* bias = job.for_bias + at * job.bias_token + (head - job.own) * job.window;
        for (int64_t w = 0; w < job.window; ++w) {
          const int64_t ahead = job.place[at] + w;
          bias[w] = ahead <= token ? keys.slopes[q * keys.stride + keys.seen + ahead] : 0.0f;
        }
      }
    }
  }
  for (int64_t j = 0; j < keys.seen; ++j) {
    float* to = job.for_memory + ((row * job.slots + j) * job.groups + group) * kSize;
    for (int64_t d = 0; d < kSize; ++d) to[d] = keys.for_rows[j * kSize + d] + keys.for_values[j * kSize + d];
  }
  for (int64_t token = 0; token < job.tokens; ++token) {
    const int64_t at = row * job.tokens + token;
    const float *for_row = keys.for_rows + (keys.seen + token) * kSize, *value = keys.for_values + (keys.seen + token) * kSize;
    float* to = job.for_key + at * job.key_token + group * kSize;
    turn_back(for_row, job.cosine + token * kHalf, job.sine + token * kHalf, 1.0f, to);
    if (job.for_value) {
      std::memcpy(job.for_value + at * job.value_token + group * kSize, value, kSize * sizeof(float));
    } else {
      for (int64_t d = 0; d < kSize; ++d) to[d] += value[d];
    }
  }
}

}  // namespace
#undef BB_INLINE
