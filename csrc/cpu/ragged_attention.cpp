// Causal attention of the newest tokens of many sequences over pages of keys and values.
//
// A token and a head of the cache are one piece of work: its query heads share what is read. Positions are taken in order, in
// tiles that begin at multiples of kTile, and sums in fixed lanes, so that a row's bits depend on that row alone: not on the
// rows beside it, on how many threads there are, or on how a prompt was cut into calls.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "../interface.h"
#include "lanes.h"
#include "level.h"
#include "parallel.h"

namespace bb {
namespace {

constexpr int kTile = kLanes;  // positions whose scores are held at once
constexpr int kSize = 256;     // largest head
constexpr int kGroup = 16;     // query heads of a head of the cache that are done together
constexpr int64_t kAlone = 1 << 15;  // products below which waking other threads costs more than it saves

struct Shape {
  const int32_t *table, *starts, *lengths;
  const float* sinks;
  int64_t sequences, width, heads, groups, size, page, window;
  float scale, cap;
};

// One token and one head of the cache. `query` and `out` are those of its first query head.
template <class Type>
BB_INLINE void attend(const Shape& s, const Type* query, const Type* keys, const Type* values, const int32_t* pages,
                      int64_t position, int64_t group, Type* out) {
  const int64_t members = s.heads / s.groups, size = s.size, whole = size / kLanes, parts = (size + kLanes - 1) / kLanes;
  const int64_t place_stride = s.groups * size, page_stride = s.page * place_stride;
  const int64_t first = s.window && position >= s.window ? position - s.window + 1 : 0;
  for (int64_t member = 0; member < members; member += kGroup) {
    const int many = static_cast<int>(std::min<int64_t>(kGroup, members - member));
    Lanes q[kGroup][kSize / kLanes], sum[kGroup][kSize / kLanes];
    float largest[kGroup], mass[kGroup];
    for (int h = 0; h < many; ++h) {
      const Type* mine = query + (member + h) * size;
      for (int64_t part = 0; part < parts; ++part) {
        q[h][part] = load_part(mine + part * kLanes, std::min<int64_t>(kLanes, size - part * kLanes)) * s.scale;
        sum[h][part] = Lanes{};
      }
      const float* sink = s.sinks ? s.sinks + group * members + member + h : nullptr;
      largest[h] = sink ? *sink : -INFINITY;
      mass[h] = sink ? 1.0f : 0.0f;
    }
    for (int64_t tile = first / kTile * kTile; tile <= position; tile += kTile) {
      const int begin = static_cast<int>(std::max<int64_t>(first - tile, 0));
      const int end = static_cast<int>(std::min<int64_t>(position - tile + 1, kTile));
      int64_t offset[kTile], page = (tile + begin) / s.page, place = (tile + begin) % s.page;
      for (int j = begin; j < end; ++j) {
        offset[j] = pages[page] * page_stride + place * place_stride + group * size;
        if (++place == s.page) {
          place = 0;
          ++page;
        }
      }
      for (int h = 0; h < many; ++h) {
        Lanes products[kTile];
        for (int j = 0; j < kTile; ++j) products[j] = Lanes{};
        for (int j = begin; j < end; ++j) {
          const Type* key = keys + offset[j];
          Lanes product{};
          for (int64_t part = 0; part < whole; ++part) product += q[h][part] * load(key + part * kLanes);
          if (whole < parts) product += q[h][whole] * load_part(key + whole * kLanes, size - whole * kLanes);
          products[j] = product;
        }
        Lanes scores = sums(products);
        if (s.cap > 0.0f) {
          for (int j = begin; j < end; ++j) scores[j] = s.cap * std::tanh(scores[j] / s.cap);
        }
        const Integers seen = (kPlaces >= begin) & (kPlaces < end);
        scores = seen ? scores : Lanes{} - INFINITY;
        const float here = largest_of(scores);
        const float now = here > largest[h] ? here : largest[h];
        const float shrink = largest[h] == now ? 1.0f : std::exp(largest[h] - now);
        const Lanes weights = seen ? exponential(scores - now) : Lanes{};
        alignas(64) float score[kTile];
        std::memcpy(score, &weights, sizeof score);
        mass[h] = mass[h] * shrink + sum_of(weights);
        largest[h] = now;
        for (int64_t part = 0; part < parts; ++part) {
          Lanes mine = sum[h][part] * shrink;
          if (part < whole) {
            for (int j = begin; j < end; ++j) mine += score[j] * load(values + offset[j] + part * kLanes);
          } else {
            for (int j = begin; j < end; ++j) {
              mine += score[j] * load_part(values + offset[j] + part * kLanes, size - part * kLanes);
            }
          }
          sum[h][part] = mine;
        }
      }
    }
    for (int h = 0; h < many; ++h) {
      const float share = 1.0f / mass[h];
      for (int64_t part = 0; part < parts; ++part) {
        const Lanes result = sum[h][part] * share;
        const int64_t count = std::min<int64_t>(kLanes, size - part * kLanes);
        for (int64_t i = 0; i < count; ++i) narrow(result[i], out + (member + h) * size + part * kLanes + i);
      }
    }
  }
}

template <class Type>
using Attend = void (*)(const Shape&, const Type*, const Type*, const Type*, const int32_t*, int64_t, int64_t, Type*);

template <class Type>
void attend_baseline(const Shape& s, const Type* q, const Type* k, const Type* v, const int32_t* pages, int64_t position,
                     int64_t group, Type* out) {
  attend<Type>(s, q, k, v, pages, position, group, out);
}

#ifdef BB_X86
template <class Type>
BB_AVX2 void attend_avx2(const Shape& s, const Type* q, const Type* k, const Type* v, const int32_t* pages, int64_t position,
                         int64_t group, Type* out) {
  attend<Type>(s, q, k, v, pages, position, group, out);
}

template <class Type>
BB_AVX512 void attend_avx512(const Shape& s, const Type* q, const Type* k, const Type* v, const int32_t* pages,
                             int64_t position, int64_t group, Type* out) {
  attend<Type>(s, q, k, v, pages, position, group, out);
}
#endif

template <class Type>
Attend<Type> best(int level) {
#ifdef BB_X86
  level = std::min(level, cpu_level());
  if (level >= avx512) return attend_avx512<Type>;
  if (level >= avx2) return attend_avx2<Type>;
#endif
  (void)level;
  return attend_baseline<Type>;
}

template <class Type>
void run(const Shape& s, const void* query, const void* keys, const void* values, void* out, int level, int threads) {
  const int64_t rows = s.starts[s.sequences];
  std::vector<int32_t> owner(rows);
  int64_t products = 0;
  for (int64_t n = 0; n < s.sequences; ++n) {
    for (int64_t row = s.starts[n]; row < s.starts[n + 1]; ++row) owner[row] = static_cast<int32_t>(n);
    products += static_cast<int64_t>(s.starts[n + 1] - s.starts[n]) * s.lengths[n] * s.heads * s.size;
  }
  const Attend<Type> one = best<Type>(level);
  const int64_t members = s.heads / s.groups;
  parallel_for(rows * s.groups, 4, products < kAlone ? 1 : threads, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t row = piece / s.groups, group = piece % s.groups, n = owner[row];
      const int64_t at = (row * s.heads + group * members) * s.size;
      one(s, static_cast<const Type*>(query) + at, static_cast<const Type*>(keys), static_cast<const Type*>(values),
          s.table + n * s.width, s.lengths[n] - s.starts[n + 1] + row, group, static_cast<Type*>(out) + at);
    }
  });
}

}  // namespace
}  // namespace bb

// query and out [N, heads, size], keys and values [P, page, groups, size], all float32 (type 0) or bfloat16 (1); table
// [sequences, width], starts [sequences + 1], lengths [sequences]; sinks [heads] or null; window and cap 0 for none.
BB_EXPORT void bb_ragged_attention_cpu(const void* query, const void* keys, const void* values, const int32_t* table,
                                       const int32_t* starts, const int32_t* lengths, const float* sinks, void* out,
                                       int64_t sequences, int64_t width, int64_t heads, int64_t groups, int64_t size,
                                       int64_t page, float scale, int64_t window, float cap, int type, int level, int threads) {
  const bb::Shape shape{table, starts, lengths, sinks, sequences, width, heads, groups, size, page, window, scale, cap};
  if (type == 0) {
    bb::run<float>(shape, query, keys, values, out, level, threads);
  } else {
    bb::run<uint16_t>(shape, query, keys, values, out, level, threads);
  }
}
