// One step of a builder rail for the new tokens of many sequences: what `BuilderRail.forward` computes without a gradient, without
// memory and without ablated skills, as far as the base's logits depend on it. A rail is narrow, so that in PyTorch its time is that
// of starting a few hundred operations; here it is one call.
//
// What later tokens need of a token lies in pages (`Field`), what the sequence needs as a whole in a `State`. Sequences are shared
// out among threads; rows never meet in a sum, so a row's bits do not depend on its neighbours.
//
// Letters as in builderbrain/rail: N rows, d base width, c rail width, D head size.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "../interface.h"
#include "lanes.h"
#include "level.h"
#include "panels.h"
#include "parallel.h"

namespace bb {
namespace {

constexpr int kAhead = 3;    // tokens from the reading head's place on whose labels are told
constexpr int kLookups = 2;  // attentions over labels
constexpr float kStrength = 2.0f;      // of an open copy gate
constexpr float kFusionEpsilon = 1e-6f;
constexpr uint64_t kMix = static_cast<uint64_t>(-0x61C8864680B583EBLL);
constexpr uint64_t kOrder = static_cast<uint64_t>(-0x3D4D51C2D82B14B1LL);

// The numbers that builderbrain/rail/native_step.py hands over, in its order.
struct Shape {
  int64_t taps, d, c, head, own_heads, reading_heads, query_heads, latent_heads, hidden, skills, skill_rank, proposal_rank,
      window, match, piece, word_slots, word_width, routes, labels, label_slots, vocabulary, positions;
};

struct Block {
  Panels heads, output, query, latent, own, cross_output, gate_up, down;
  const float *skill_down, *skill_up;  // [K, R, c] both, the norm's weight in the first
};

struct Rail {
  Shape shape;
  std::vector<int64_t> label_sizes;
  float epsilon;
  Panels enter, words_enter, reading_enter, router, leave, copying, label_score, label_enter;
  const float *word_table, *pair_table, *run_table, *alpha, *label_bias, *label_pairs, *label_away;
  const float *proposal_down, *proposal_up;  // [K, R, d] both
  const int64_t *spelling, *answers;         // [V, 4]; per route the row of adapters, -1 where it is closed
  const uint8_t* kind;                       // [V], 1 quote, 2 line
  std::vector<Block> blocks;
  std::vector<float> cosine, sine;  // [positions, D / 2]

  // Places of a token's fields in a page, in values per position; see `field`.
  int64_t key(int64_t block) const { return block * per_block(); }
  int64_t value(int64_t block) const { return key(block) + inner(); }
  int64_t latent(int64_t block) const { return value(block) + inner(); }
  int64_t turned(int64_t block) const { return latent(block) + shape.latent_heads * shape.head; }
  int64_t copy_key() const { return shape.taps * per_block(); }
  int64_t copy_value() const { return copy_key() + shape.head; }
  int64_t known() const { return copy_value() + shape.d; }
  int64_t pieces() const { return known() + shape.labels; }
  int64_t record() const { return pieces() + shape.piece; }
  int64_t inner() const { return (shape.own_heads + shape.reading_heads) * shape.head; }
  int64_t per_block() const { return 2 * inner() + 2 * shape.latent_heads * shape.head; }
};

// What a sequence carries from token to token.
struct State {
  std::vector<float> follows;
  uint64_t word = 0, before = 0;
  int64_t place = 0, anchor = 0, opened = 0, longest = 0;
  bool open = false;
  std::vector<int32_t> tokens, run;
  std::vector<uint8_t> copied;
};

struct Step {
  const Rail& rail;
  State* const* states;
  const int64_t* tokens;
  const int32_t *starts, *lengths, *table;
  int64_t width, shift;
  const float *embedding, *unembedding;
  const float* const* taps;
  float *pages, *fused;
  int64_t* skill;
};

// One field of all positions of a sequence.
struct Field {
  float* pages;
  const int32_t* table;
  int64_t shift, record, offset, size;  // a page has 2^shift positions
  BB_INLINE float* at(int64_t position) const {
    const int64_t page = int64_t{1} << shift;
    return pages + ((table[position >> shift] * record + offset) << shift) + (position & (page - 1)) * size;
  }
};

BB_INLINE float silu(float x) { return x / (1.0f + std::exp(-x)); }

BB_INLINE float mean_square(const float* x, int64_t size) {
  Lanes sum{};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) sum += load(x + i) * load(x + i);
  const Lanes rest = load_part(x + i, size - i);
  return sum_of(sum + rest * rest) / static_cast<float>(size);
}

// y [rows, size] = x / rms(x).
BB_INLINE void normalise(const float* x, int64_t rows, int64_t size, float epsilon, float* y) {
  for (int64_t n = 0; n < rows; ++n) {
    const float scale = 1.0f / std::sqrt(mean_square(x + n * size, size) + epsilon);
    for (int64_t i = 0; i < size; ++i) y[n * size + i] = x[n * size + i] * scale;
  }
}

BB_INLINE void turn(const float* from, const float* cosine, const float* sine, int64_t half, float* to) {
  for (int64_t i = 0; i < half; ++i) {
    const float first = from[i], second = from[i + half];
    to[i] = first * cosine[i] - second * sine[i];
    to[i + half] = second * cosine[i] + first * sine[i];
  }
}

// out [value.size] = sum_j softmax_j(scale q . key_j + extra_j) value_j over positions 0..last; sizes are multiples of kLanes.
BB_INLINE void attend(const float* query, float scale, const Field& key, int64_t key_shift, int64_t size, const Field& value,
                      int64_t value_shift, int64_t value_size, int64_t last, const float* extra, float* scores, float* out) {
  float largest = -INFINITY;
  for (int64_t tile = 0; tile <= last; tile += kLanes) {
    const int end = static_cast<int>(std::min<int64_t>(last - tile + 1, kLanes));
    Lanes products[kLanes];
    for (int j = 0; j < kLanes; ++j) products[j] = Lanes{};
    for (int j = 0; j < end; ++j) {
      const float* at = key.at(tile + j) + key_shift;
      for (int64_t part = 0; part < size; part += kLanes) products[j] += load(query + part) * load(at + part);
    }
    Lanes found = sums(products) * scale;
    if (extra) found += load_part(extra + tile, end);
    found = kPlaces < end ? found : Lanes{} - INFINITY;
    const float here = largest_of(found);
    largest = here > largest ? here : largest;
    std::memcpy(scores + tile, &found, sizeof found);
  }
  float mass = 0.0f;
  for (int64_t tile = 0; tile <= last; tile += kLanes) {
    const Lanes weight = exponential(load(scores + tile) - largest);
    mass += sum_of(weight);
    std::memcpy(scores + tile, &weight, sizeof weight);
  }
  const float share = 1.0f / mass;
  for (int64_t part = 0; part < value_size; part += kLanes) {
    Lanes sum{};
    for (int64_t j = 0; j <= last; ++j) sum += load(value.at(j) + value_shift + part) * scores[j];
    sum *= share;
    std::memcpy(out + part, &sum, sizeof sum);
  }
}

// The word a token ends and the one before; see builderbrain/rail/words.py.
BB_INLINE void follow_word(State& state, const int64_t* spelling) {
  if (spelling[0]) {
    if (state.word) state.before = state.word;
    state.word = 0;
  }
  state.word = state.word * static_cast<uint64_t>(spelling[2]) + static_cast<uint64_t>(spelling[1]);
}

BB_INLINE int64_t slot(uint64_t word, int64_t slots) {
  return static_cast<int64_t>((word * kMix) >> 33 & 0x7FFFFFFF) % slots;
}

// Moves the reading head by the newest of `tokens`, of kind 1 (quote) or 2 (line); see builderbrain/rail/reading.py.
BB_INLINE void follow_reading(State& state, uint8_t kind) {
  const int64_t t = static_cast<int64_t>(state.tokens.size()) - 1;
  const bool quote = kind & 1;
  state.run.resize(t + 1, 0);
  state.copied.resize(t + 1, 0);
  state.open ^= quote;
  if (kind & 2) state.open = false;
  const bool odd = state.open;
  if (!odd && !quote) {
    state.longest = 0;
    return;
  }
  if (quote && !odd && state.longest == t - 1 - state.opened && state.longest > 0) {
    std::fill(state.copied.begin() + state.opened + 1, state.copied.begin() + t, 1);
  }
  if (quote && odd) {
    state.anchor = state.place;
    state.opened = t;
  }
  if (quote) {
    std::fill(state.run.begin(), state.run.end(), 0);
    state.longest = 0;
    return;
  }
  int32_t longest = 0;
  const int32_t token = state.tokens[t];
  std::fill(state.run.begin() + state.opened, state.run.end(), 0);
  for (int64_t i = state.opened - 1; i >= 0; --i) {
    const int32_t run = state.tokens[i] == token && !state.copied[i] ? (i ? state.run[i - 1] : 0) + 1 : 0;
    state.run[i] = run;
    longest = std::max(longest, run);
  }
  state.longest = longest;
  if (!longest) return;
  int64_t first = -1;
  for (int64_t i = 0; i < state.opened; ++i) {
    if (state.run[i] != longest) continue;
    if (first < 0) first = i;
    if (i >= state.anchor) {
      first = i;
      break;
    }
  }
  state.place = first + 1;
}

// The sequences `begin` to `end` of a step.
BB_INLINE void run(const Step& step, int64_t begin, int64_t end) {
  const Rail& rail = step.rail;
  const Shape& s = rail.shape;
  const int64_t base = step.starts[begin], rows = step.starts[end] - base;
  if (!rows) return;
  const int64_t c = s.c, d = s.d, head = s.head, half = head / 2, heads = s.own_heads + s.reading_heads, inner = rail.inner();
  const int64_t latent_size = s.latent_heads * head, last = s.taps - 1;
  std::vector<int64_t> owner(rows), position(rows), place(rows), chosen(rows, 0);
  int64_t longest = 0;
  for (int64_t n = begin; n < end; ++n) {
    longest = std::max<int64_t>(longest, step.lengths[n]);
    for (int64_t row = step.starts[n]; row < step.starts[n + 1]; ++row) {
      owner[row - base] = n;
      position[row - base] = step.lengths[n] - step.starts[n + 1] + row;
    }
  }
  const auto field = [&](int64_t row, int64_t offset, int64_t size) {
    return Field{step.pages, step.table + owner[row] * step.width, step.shift, rail.record(), offset, size};
  };
  const int64_t widest = std::max({rail.enter.out(), rail.blocks[0].heads.out(), rail.blocks[0].gate_up.out(), rail.leave.out(),
                                   rail.copying.out(), rail.label_enter.in(), rail.reading_enter.in(), rail.blocks[0].query.out(), d});
  std::vector<float> x(rows * c), normed(rows * std::max(c, d)), made(rows * widest), more(rows * widest), update(rows * d),
      scores(longest + kLanes), extra(longest + kLanes), hints(s.labels ? rows * (longest + kLanes) : 0);
  const float* tap = nullptr;

  // The stream before the first block.
  for (int64_t n = 0; n < rows; ++n) {
    const float* from = step.embedding + (base + n) * d;
    const float scale = 1.0f / std::sqrt(mean_square(from, d) + rail.epsilon);
    for (int64_t i = 0; i < d; ++i) normed[n * d + i] = from[i] * scale;
  }
  rail.enter.multiply(normed.data(), d, rows, made.data());
  for (int64_t n = 0; n < rows; ++n) {
    State& state = *step.states[owner[n]];
    const float *own = made.data() + n * rail.enter.out(), *follows = own + c, *piece = follows + c;
    for (int64_t i = 0; i < c; ++i) x[n * c + i] = own[i] + (state.follows.empty() ? 0.0f : state.follows[i]);
    state.follows.assign(follows, follows + c);
    std::memcpy(field(n, rail.pieces(), s.piece).at(position[n]), piece, s.piece * sizeof(float));
    const int64_t token = step.tokens[base + n];
    state.tokens.push_back(static_cast<int32_t>(token));
    follow_word(state, rail.spelling + token * 4);
    float* found = more.data() + n * 2 * s.word_width;
    std::memcpy(found, rail.word_table + slot(state.word, s.word_slots) * s.word_width, s.word_width * sizeof(float));
    std::memcpy(found + s.word_width,
                rail.pair_table + slot(state.word ^ state.before * kOrder, s.word_slots) * s.word_width,
                s.word_width * sizeof(float));
    follow_reading(state, rail.kind[token]);
    place[n] = state.place;
    chosen[n] = std::min(state.longest, s.match);  // which row of the table of runs, until the router chooses
  }
  normalise(more.data(), rows, 2 * s.word_width, rail.epsilon, normed.data());
  rail.words_enter.multiply(normed.data(), 2 * s.word_width, rows, made.data());
  for (int64_t n = 0; n < rows; ++n) {
    for (int64_t i = 0; i < c; ++i) x[n * c + i] += made[n * rail.words_enter.out() + i];
    const Field pieces = field(n, rail.pieces(), s.piece);
    float* ahead = more.data() + n * s.window * s.piece;
    for (int64_t w = 0; w < s.window; ++w) {
      if (place[n] + w <= position[n]) {
        std::memcpy(ahead + w * s.piece, pieces.at(place[n] + w), s.piece * sizeof(float));
      } else {
        std::fill_n(ahead + w * s.piece, s.piece, 0.0f);
      }
    }
  }
  rail.reading_enter.multiply(more.data(), s.window * s.piece, rows, made.data());
  for (int64_t n = 0; n < rows; ++n) {
    const float* told = rail.run_table + chosen[n] * c;
    for (int64_t i = 0; i < c; ++i) x[n * c + i] += made[n * rail.reading_enter.out() + i] + told[i];
  }

  const auto cosine = [&](int64_t at) { return rail.cosine.data() + at * half; };
  const auto sine = [&](int64_t at) { return rail.sine.data() + at * half; };
  const float scale = 1.0f / std::sqrt(static_cast<float>(head));
  for (int64_t b = 0; b < s.taps; ++b) {
    const Block& block = rail.blocks[b];
    tap = step.taps[b] + base * d;

    // Self-attention; the last heads stand where the reading head stands.
    normalise(x.data(), rows, c, rail.epsilon, normed.data());
    block.heads.multiply(normed.data(), c, rows, made.data());
    for (int64_t n = 0; n < rows; ++n) {
      float* mine = made.data() + n * block.heads.out();
      for (int64_t h = 0; h < heads; ++h) {
        const int64_t at = h < s.own_heads ? position[n] : place[n];
        float turned[512];
        turn(mine + h * head, cosine(at), sine(at), half, turned);
        std::memcpy(mine + h * head, turned, head * sizeof(float));
        turn(mine + inner + h * head, cosine(position[n]), sine(position[n]), half,
             field(n, rail.key(b), inner).at(position[n]) + h * head);
      }
      std::memcpy(field(n, rail.value(b), inner).at(position[n]), mine + 2 * inner, inner * sizeof(float));
    }
    for (int64_t n = 0; n < rows; ++n) {
      const float* mine = made.data() + n * block.heads.out();
      const Field keys = field(n, rail.key(b), inner), values = field(n, rail.value(b), inner);
      for (int64_t h = 0; h < heads; ++h) {
        const float* told = nullptr;
        if (h >= s.own_heads) {
          std::fill_n(extra.data(), position[n] + 1, 0.0f);
          const float* bias = mine + 3 * inner + (h - s.own_heads) * s.window;
          for (int64_t w = 0; w < s.window && place[n] + w <= position[n]; ++w) extra[place[n] + w] = bias[w];
          told = extra.data();
        }
        attend(mine + h * head, scale, keys, h * head, head, values, h * head, head, position[n], told, scores.data(),
               more.data() + n * inner + h * head);
      }
    }
    block.output.multiply(more.data(), inner, rows, made.data());
    for (int64_t n = 0; n < rows; ++n) {
      for (int64_t i = 0; i < c; ++i) x[n * c + i] += made[n * block.output.out() + i];
    }

    // Cross-attention into the tap.
    for (int64_t n = 0; n < rows; ++n) {
      const float* from = tap + n * d;
      const float shorter = 1.0f / std::sqrt(mean_square(from, d) + rail.epsilon);
      for (int64_t i = 0; i < d; ++i) normed[n * d + i] = from[i] * shorter;
    }
    block.latent.multiply(normed.data(), d, rows, more.data());
    for (int64_t n = 0; n < rows; ++n) {
      const float* mine = more.data() + n * block.latent.out();
      std::memcpy(field(n, rail.latent(b), latent_size).at(position[n]), mine, latent_size * sizeof(float));
      float* turned = field(n, rail.turned(b), latent_size).at(position[n]);
      for (int64_t g = 0; g < s.latent_heads; ++g) {
        turn(mine + g * head, cosine(position[n]), sine(position[n]), half, turned + g * head);
      }
    }
    normalise(x.data(), rows, c, rail.epsilon, normed.data());
    block.own.multiply(more.data(), block.latent.out(), rows, made.data());
    for (int64_t n = 0; n < rows; ++n) {
      for (int64_t i = 0; i < c; ++i) x[n * c + i] += made[n * block.own.out() + i];
    }
    block.query.multiply(normed.data(), c, rows, made.data());
    for (int64_t n = 0; n < rows; ++n) {
      const Field keys = field(n, rail.turned(b), latent_size), values = field(n, rail.latent(b), latent_size);
      for (int64_t h = 0; h < s.query_heads; ++h) {
        float turned[512];
        turn(made.data() + n * block.query.out() + h * head, cosine(position[n]), sine(position[n]), half, turned);
        const int64_t shift = h / (s.query_heads / s.latent_heads) * head;
        attend(turned, scale, keys, shift, head, values, shift, head, position[n], nullptr, scores.data(),
               more.data() + n * s.query_heads * head + h * head);
      }
    }
    block.cross_output.multiply(more.data(), s.query_heads * head, rows, made.data());
    for (int64_t n = 0; n < rows; ++n) {
      for (int64_t i = 0; i < c; ++i) x[n * c + i] += made[n * block.cross_output.out() + i];
    }

    // The skill and the MLP.
    normalise(x.data(), rows, c, rail.epsilon, normed.data());
    if (b == 0) {
      rail.router.multiply(normed.data(), c, rows, made.data());
      for (int64_t n = 0; n < rows; ++n) {
        const float* score = made.data() + n * rail.router.out();
        int64_t best = -1;
        for (int64_t k = 0; k < s.routes; ++k) {
          if (rail.answers[k] >= 0 && (best < 0 || score[k] > score[best])) best = k;
        }
        chosen[n] = rail.answers[best];
        step.skill[base + n] = chosen[n];
      }
    }
    for (int64_t n = 0; n < rows; ++n) {
      const float *down = block.skill_down + chosen[n] * s.skill_rank * c, *up = block.skill_up + chosen[n] * s.skill_rank * c;
      for (int64_t r = 0; r < s.skill_rank; ++r) {
        float sum = 0.0f;
        for (int64_t i = 0; i < c; ++i) sum += down[r * c + i] * normed[n * c + i];
        made[n * s.skill_rank + r] = silu(sum);
      }
      for (int64_t r = 0; r < s.skill_rank; ++r) {
        for (int64_t i = 0; i < c; ++i) x[n * c + i] += made[n * s.skill_rank + r] * up[r * c + i];
      }
    }
    normalise(x.data(), rows, c, rail.epsilon, normed.data());
    block.gate_up.multiply(normed.data(), c, rows, made.data());
    for (int64_t n = 0; n < rows; ++n) {
      const float *gate = made.data() + n * block.gate_up.out(), *up = gate + s.hidden;
      int64_t i = 0;
      for (; i + kLanes <= s.hidden; i += kLanes) {
        const Lanes x = load(gate + i), value = x * sigmoid(x) * load(up + i);
        std::memcpy(more.data() + n * s.hidden + i, &value, sizeof value);
      }
      for (; i < s.hidden; ++i) more[n * s.hidden + i] = silu(gate[i]) * up[i];
    }
    block.down.multiply(more.data(), s.hidden, rows, made.data());
    for (int64_t n = 0; n < rows; ++n) {
      for (int64_t i = 0; i < c; ++i) x[n * c + i] += made[n * block.down.out() + i];
    }

    // Labels, in the middle of the rail.
    if (s.labels && b == last / 2) {
      normalise(x.data(), rows, c, rail.epsilon, normed.data());
      rail.label_score.multiply(normed.data(), c, rows, made.data());
      const int64_t all = s.labels, told_size = (1 + kAhead + kLookups) * all;
      for (int64_t n = 0; n < rows; ++n) {
        float* own = field(n, rail.known(), all).at(position[n]);
        const float* score = made.data() + n * rail.label_score.out();
        int64_t at = 0;
        for (const int64_t size : rail.label_sizes) {
          float largest = -INFINITY, mass = 0.0f;
          for (int64_t i = at; i < at + size; ++i) largest = std::max(largest, score[i] + rail.label_bias[i]);
          for (int64_t i = at; i < at + size; ++i) mass += own[i] = std::exp(score[i] + rail.label_bias[i] - largest);
          for (int64_t i = at; i < at + size; ++i) own[i] /= mass;
          at += size;
        }
      }
      for (int64_t n = 0; n < rows; ++n) {
        const Field known = field(n, rail.known(), all);
        const float* own = known.at(position[n]);
        float* told = more.data() + n * told_size;
        std::memcpy(told, own, all * sizeof(float));
        for (int64_t w = 0; w < kAhead; ++w) {
          if (place[n] + w <= position[n]) {
            std::memcpy(told + (1 + w) * all, known.at(place[n] + w), all * sizeof(float));
          } else {
            std::fill_n(told + (1 + w) * all, all, 0.0f);
          }
        }
        for (int64_t lookup = 0; lookup <= kLookups; ++lookup) {
          std::vector<float> asks(all);
          for (int64_t i = 0; i < all; ++i) asks[i] = rail.label_away[lookup * all + i];
          for (int64_t a = 0; a < all; ++a) {
            const float* pair = rail.label_pairs + (lookup * all + a) * all;
            for (int64_t i = 0; i < all; ++i) asks[i] += own[a] * pair[i];
          }
          float* wanted = lookup < kLookups ? scores.data() : hints.data() + n * (longest + kLanes);
          float largest = -INFINITY;
          for (int64_t j = 0; j <= position[n]; ++j) {
            const float* there = known.at(j);
            float sum = 0.0f;
            for (int64_t i = 0; i < all; ++i) sum += asks[i] * there[i];
            wanted[j] = sum;
            largest = std::max(largest, sum);
          }
          if (lookup == kLookups) break;
          float* found = told + (1 + kAhead + lookup) * all;
          std::fill_n(found, all, 0.0f);
          float mass = 0.0f;
          for (int64_t j = 0; j <= position[n]; ++j) {
            const float weight = std::exp(wanted[j] - largest);
            const float* there = known.at(j);
            mass += weight;
            for (int64_t i = 0; i < all; ++i) found[i] += weight * there[i];
          }
          for (int64_t i = 0; i < all; ++i) found[i] /= mass;
        }
      }
      rail.label_enter.multiply(more.data(), told_size, rows, made.data());
      for (int64_t n = 0; n < rows; ++n) {
        for (int64_t i = 0; i < c; ++i) x[n * c + i] += made[n * rail.label_enter.out() + i];
      }
    }
  }

  // What is proposed to the base, and copied from the context.
  normalise(x.data(), rows, c, rail.epsilon, normed.data());
  rail.leave.multiply(normed.data(), c, rows, made.data());
  for (int64_t n = 0; n < rows; ++n) {
    std::memcpy(update.data() + n * d, made.data() + n * rail.leave.out(), d * sizeof(float));
    if (!s.proposal_rank) continue;
    const float shorter = 1.0f / std::sqrt(mean_square(update.data() + n * d, d) + rail.epsilon);
    std::vector<float> hidden(s.proposal_rank);
    for (int64_t r = 0; r < s.proposal_rank; ++r) {
      const float* down = rail.proposal_down + (chosen[n] * s.proposal_rank + r) * d;
      float sum = 0.0f;
      for (int64_t i = 0; i < d; ++i) sum += down[i] * update[n * d + i];
      hidden[r] = silu(sum * shorter);
    }
    for (int64_t r = 0; r < s.proposal_rank; ++r) {
      const float* up = rail.proposal_up + (chosen[n] * s.proposal_rank + r) * d;
      for (int64_t i = 0; i < d; ++i) update[n * d + i] += hidden[r] * up[i];
    }
  }
  rail.copying.multiply(normed.data(), c, rows, made.data());
  for (int64_t n = 0; n < rows; ++n) {
    const float* mine = made.data() + n * rail.copying.out();
    turn(mine + head, cosine(position[n]), sine(position[n]), half, field(n, rail.copy_key(), head).at(position[n]));
    const float* row = step.unembedding + (base + n) * d;
    const float shorter = 1.0f / std::sqrt(mean_square(row, d) + rail.epsilon);
    float* to = field(n, rail.copy_value(), d).at(position[n]);
    for (int64_t i = 0; i < d; ++i) to[i] = row[i] * shorter;
  }
  for (int64_t n = 0; n < rows; ++n) {
    const float *mine = made.data() + n * rail.copying.out(), *bias = mine + 2 * head;
    float turned[512];
    turn(mine, cosine(position[n]), sine(position[n]), half, turned);
    if (s.labels) {
      std::memcpy(extra.data(), hints.data() + n * (longest + kLanes), (position[n] + 1) * sizeof(float));
    } else {
      std::fill_n(extra.data(), position[n] + 1, 0.0f);
    }
    for (int64_t w = 0; w < s.window && place[n] + w <= position[n]; ++w) extra[place[n] + w] += bias[w];
    float* copied = more.data();
    attend(turned, scale, field(n, rail.copy_key(), head), 0, head, field(n, rail.copy_value(), d), 0, d, position[n],
           extra.data(), scores.data(), copied);
    const float* h = tap + n * d;
    const float strength = kStrength * std::tanh(bias[s.window]) * std::sqrt(mean_square(h, d));
    float* u = update.data() + n * d;
    for (int64_t i = 0; i < d; ++i) u[i] += strength * copied[i];

    // The fusion; see bbkernels/gated_fusion/reference.py.
    for (int64_t i = 0; i < d; ++i) u[i] += h[i];
    const float ratio = std::sqrt((mean_square(h, d) + kFusionEpsilon) / (mean_square(u, d) + kFusionEpsilon));
    float* out = step.fused + (base + n) * d;
    for (int64_t i = 0; i < d; ++i) out[i] = h[i] + rail.alpha[i] * (ratio * u[i] - h[i]);
  }
}

void run_baseline(const Step& step, int64_t begin, int64_t end) { run(step, begin, end); }
#ifdef BB_X86
BB_AVX2 void run_avx2(const Step& step, int64_t begin, int64_t end) { run(step, begin, end); }
BB_AVX512 void run_avx512(const Step& step, int64_t begin, int64_t end) { run(step, begin, end); }
#endif

using Run = void (*)(const Step&, int64_t, int64_t);

Run best(int level) {
#ifdef BB_X86
  level = std::min(level, cpu_level());
  if (level >= avx512) return run_avx512;
  if (level >= avx2) return run_avx2;
#endif
  (void)level;
  return run_baseline;
}

}  // namespace
}  // namespace bb

// `numbers` are those of `Shape` and then the sizes of the label slots; `floats`, `integers` and `bytes` the arrays that
// builderbrain/rail/native_step.py lists. Matrices are copied; tables stay the caller's and must outlive the rail.
BB_EXPORT void* bb_rail_new(const int64_t* numbers, const float* const* floats, const int64_t* const* integers,
                            const uint8_t* const* bytes, float epsilon, float theta) {
  using namespace bb;
  Rail* rail = new Rail;
  std::memcpy(&rail->shape, numbers, sizeof(Shape));
  const Shape& s = rail->shape;
  const int64_t* sizes = numbers + sizeof(Shape) / sizeof(int64_t);
  rail->label_sizes.assign(sizes, sizes + s.label_slots);
  rail->epsilon = epsilon;
  const auto matrix = [&](int64_t out, int64_t in) { return Panels(*floats++, out, in); };
  const int64_t heads = s.own_heads + s.reading_heads, inner = heads * s.head, latent = s.latent_heads * s.head;
  rail->enter = matrix(2 * s.c + s.piece, s.d);
  rail->words_enter = matrix(s.c, 2 * s.word_width);
  rail->reading_enter = matrix(s.c, s.window * s.piece);
  rail->router = matrix(s.routes, s.c);
  rail->leave = matrix(s.d, s.c);
  rail->copying = matrix(2 * s.head + s.window + 1, s.c);
  rail->word_table = *floats++;
  rail->pair_table = *floats++;
  rail->run_table = *floats++;
  rail->alpha = *floats++;
  for (int64_t b = 0; b < s.taps; ++b) {
    Block block;
    block.heads = matrix(3 * inner + s.reading_heads * s.window, s.c);
    block.output = matrix(s.c, inner);
    block.query = matrix(s.query_heads * s.head, s.c);
    block.latent = matrix(latent, s.d);
    block.own = matrix(s.c, latent);
    block.cross_output = matrix(s.c, s.query_heads * s.head);
    block.gate_up = matrix(2 * s.hidden, s.c);
    block.down = matrix(s.c, s.hidden);
    block.skill_down = *floats++;
    block.skill_up = *floats++;
    rail->blocks.push_back(std::move(block));
  }
  if (s.labels) {
    rail->label_score = matrix(s.labels, s.c);
    rail->label_enter = matrix(s.c, (1 + kAhead + kLookups) * s.labels);
    rail->label_bias = *floats++;
    rail->label_pairs = *floats++;
    rail->label_away = *floats++;
  }
  if (s.proposal_rank) {
    rail->proposal_down = *floats++;
    rail->proposal_up = *floats++;
  }
  rail->spelling = integers[0];
  rail->answers = integers[1];
  rail->kind = bytes[0];
  const int64_t half = s.head / 2;
  for (int64_t at = 0; at < s.positions; ++at) {
    for (int64_t i = 0; i < half; ++i) {
      const float rate = std::pow(theta, -static_cast<float>(i) / static_cast<float>(half));
      rail->cosine.push_back(std::cos(static_cast<float>(at) * rate));
      rail->sine.push_back(std::sin(static_cast<float>(at) * rate));
    }
  }
  return rail;
}

BB_EXPORT void bb_rail_free(void* rail) { delete static_cast<bb::Rail*>(rail); }
// The `index`-th of the arrays that are kept and its `size`; null behind the last.
BB_EXPORT const float* bb_rail_kept(const void* rail, int64_t index, int64_t* size) {
  using namespace bb;
  const Rail& r = *static_cast<const Rail*>(rail);
  std::vector<const Panels*> matrices = {&r.enter, &r.words_enter, &r.reading_enter, &r.router, &r.leave, &r.copying};
  for (const Block& b : r.blocks) {
    for (const Panels* each : {&b.heads, &b.output, &b.query, &b.latent, &b.own, &b.cross_output, &b.gate_up, &b.down}) {
      matrices.push_back(each);
    }
  }
  if (r.shape.labels) matrices.insert(matrices.end(), {&r.label_score, &r.label_enter});
  const int64_t count = static_cast<int64_t>(matrices.size());
  if (index < count) {
    *size = matrices[index]->size();
    return matrices[index]->data();
  }
  if (index >= count + 2) return nullptr;
  const std::vector<float>& table = index == count ? r.cosine : r.sine;
  *size = static_cast<int64_t>(table.size());
  return table.data();
}
// Values that a page keeps of each position.
BB_EXPORT int64_t bb_rail_record(const void* rail) { return static_cast<const bb::Rail*>(rail)->record(); }
BB_EXPORT void* bb_rail_state_new() { return new bb::State; }
BB_EXPORT void* bb_rail_state_copy(const void* state) { return new bb::State(*static_cast<const bb::State*>(state)); }
BB_EXPORT void bb_rail_state_free(void* state) { delete static_cast<bb::State*>(state); }

// N = starts[sequences] rows: tokens [N], embedding, unembedding and each of `taps` [N, d], fused [N, d] and skill [N] to be
// written; pages [P, record * 2^shift], table [sequences, width], lengths [sequences] with the new tokens.
BB_EXPORT void bb_rail_step(const void* rail, void* const* states, int64_t sequences, const int64_t* tokens,
                            const int32_t* starts, const int32_t* lengths, const int32_t* table, int64_t width,
                            const float* embedding, const float* unembedding, const float* const* taps, float* pages,
                            int64_t shift, float* fused, int64_t* skill, int level, int threads) {
  using namespace bb;
  const Step step{*static_cast<const Rail*>(rail), reinterpret_cast<State* const*>(states), tokens, starts, lengths, table,
                  width, shift, embedding, unembedding, taps, pages, fused, skill};
  const Run run = best(level);
  const int64_t share = (sequences + threads - 1) / std::max(1, threads);
  parallel_for(sequences, std::max<int64_t>(1, share), threads, [&](int64_t begin, int64_t end) { run(step, begin, end); });
}
