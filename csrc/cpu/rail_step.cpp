// One step of a builder rail for the new tokens of many sequences: what `BuilderRail.forward` computes without a gradient, without
// memory and without ablated skills, as far as the base's logits depend on it. A rail is narrow, so that in PyTorch its time is that
// of starting a few hundred operations; here it is one call.
//
// What later tokens need of a token lies in pages (`RailRecord`), what the sequence needs as a whole in a `RailState`. Sequences are
// shared out among threads; rows never meet in a sum, so a row's bits do not depend on its neighbours.
//
// Letters as in builderbrain/rail: N rows, d base width, c rail width, D head size.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "../interface.h"
#include "dispatch.h"
#include "lanes.h"
#include "panels.h"
#include "parallel.h"
#include "rail.h"
#include "rail_text.h"
#include "tiled_attention.h"

namespace bb {
namespace {

constexpr int64_t kRowsAtOnce = 64;  // that go through the rail together
constexpr float kStrength = 2.0f;    // of an open copy gate
constexpr float kFusionEpsilon = 1e-6f;

using Multiply = void (*)(const Panels& matrix, const float* x, int64_t stride, int64_t rows, float* y);

struct RailCall {
  const Rail& rail;
  Multiply multiply;  // a call, as there are two dozen products
  RailState* const* states;
  const int64_t* tokens;
  const int32_t *starts, *lengths, *table;
  int64_t width, shift;
  const float* embedding;
  const float* const* taps;
  float *pages, *fused;
  int64_t* skill;
  const int64_t* kept_rows;  // in rising order
  int64_t num_kept;
  void** kept;
};

BB_INLINE float silu(float x) { return x / (1.0f + std::exp(-x)); }

BB_INLINE float product(const float* x, const float* y, int64_t size) {
  Lanes sum{};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) sum += load(x + i) * load(y + i);
  if (i < size) sum += load_part(x + i, size - i) * load_part(y + i, size - i);
  return sum_of(sum);
}

// One over the root mean square.
BB_INLINE float shrinking(const float* x, int64_t size, float epsilon) {
  return 1.0f / std::sqrt(product(x, x, size) / static_cast<float>(size) + epsilon);
}

BB_INLINE void normalise(const float* x, int64_t rows, int64_t size, float epsilon, float* y) {
  for (int64_t n = 0; n < rows; ++n) {
    const float scale = shrinking(x + n * size, size, epsilon);
    for (int64_t i = 0; i < size; ++i) y[n * size + i] = x[n * size + i] * scale;
  }
}

BB_INLINE void add(const float* more, int64_t size, float* x) {
  for (int64_t i = 0; i < size; ++i) x[i] += more[i];
}

BB_INLINE void turn(const float* from, const float* cosine, const float* sine, int64_t half, float* to) {
  for (int64_t i = 0; i < half; ++i) {
    const float first = from[i], second = from[i + half];
    to[i] = first * cosine[i] - second * sine[i];
    to[i + half] = second * cosine[i] + first * sine[i];
  }
}

// out [Wide kLanes] = share * sum_j weight_j row(token_j).
template <int Wide>
BB_INLINE void add_tokens(const float* weights, const TokenRows& rows, const int32_t* tokens, int64_t first, int64_t last,
                          float share, float* out) {
  Lanes sum[Wide] = {};
  for (int64_t j = 0; j <= last; ++j) {
    const float* row = rows[tokens[j]] + first;
    for (int part = 0; part < Wide; ++part) sum[part] += load(row + part * kLanes) * weights[j];
  }
  for (int part = 0; part < Wide; ++part) store(sum[part] * share, out + first + part * kLanes);
}

// Rows `begin` to `end` of a call on their way through the rail. All arrays are of rows: x [c] is the stream, the others are for
// whatever a part needs.
class Pass {
 public:
  BB_INLINE Pass(const RailCall& call, int64_t sequence, int64_t begin, int64_t end)
      : call_(call), rail_(call.rail), s_(call.rail.shape), base_(begin), rows_(end - begin), half_(s_.head / 2) {
    owner_.resize(rows_);
    position_.resize(rows_);
    place_.resize(rows_);
    chosen_.resize(rows_);
    int64_t longest = 0;
    for (int64_t n = 0; n < rows_; ++n) {
      while (call.starts[sequence + 1] <= begin + n) ++sequence;
      owner_[n] = sequence;
      position_[n] = call.lengths[sequence] - call.starts[sequence + 1] + begin + n;
      longest = std::max(longest, position_[n] + 1);
    }
    const RailBlock& first = rail_.blocks[0];
    const int64_t widest =
        std::max({s_.d + s_.head, s_.query_heads * s_.head, s_.skill_rank, s_.proposal_rank, rail_.enter.out(),
                  rail_.words_enter.out(), rail_.words_enter.in(), rail_.reading_enter.in(), rail_.router.out(), rail_.leave.out(),
                  rail_.copying.out(), rail_.label_enter.in(), rail_.label_score.out(), first.heads.out(), first.gate_up.out(),
                  first.query.out(), first.latent.out()});
    x_.resize(rows_ * s_.c);
    normed_.resize(rows_ * widest);
    made_.resize(rows_ * widest);
    more_.resize(rows_ * widest);
    asks_.resize(rows_ * rail_.label_asks.out());
    turns_.resize(rows_ * 4 * half_);
    scores_.resize(longest + kLanes);
  }

  BB_INLINE void run() {
    enter();
    for (int64_t b = 0; b < s_.taps; ++b) {
      attend_to_itself(b);
      attend_to_base(b);
      if (b == 0) route();
      adapt(rail_.blocks[b]);
      compute(rail_.blocks[b]);
      if (s_.labels && b == (s_.taps - 1) / 2) label();
    }
    propose();
    copy();
    fuse();
  }

 private:
  BB_INLINE RailState& state(int64_t row) const { return *call_.states[owner_[row]]; }
  BB_INLINE Tiles field(int64_t row, int64_t offset, int64_t size) const {
    return Tiles{call_.pages, call_.table + owner_[row] * call_.width, call_.shift, rail_.record.size, offset, size};
  }
  BB_INLINE const float* cosine(int64_t row) const { return turns_.data() + row * 4 * half_; }
  BB_INLINE const float* sine(int64_t row) const { return cosine(row) + half_; }
  BB_INLINE const float* place_cosine(int64_t row) const { return cosine(row) + 2 * half_; }
  BB_INLINE const float* place_sine(int64_t row) const { return cosine(row) + 3 * half_; }
  // How many of the `most` positions from the reading head's place on are there.
  BB_INLINE int64_t readable(int64_t row, int64_t most) const { return std::min(most, position_[row] - place_[row] + 1); }

  BB_INLINE void add_to_stream(const Panels& matrix, const float* from, int64_t stride) {
    call_.multiply(matrix, from, stride, rows_, made_.data());
    for (int64_t n = 0; n < rows_; ++n) add(made_.data() + n * matrix.out(), s_.c, x_.data() + n * s_.c);
  }
  BB_INLINE void normalise_stream() { normalise(x_.data(), rows_, s_.c, rail_.epsilon, normed_.data()); }

  // The stream before the first block: a token together with the one before, the words it ends, what the reading head finds.
  BB_INLINE void enter() {
    const int64_t c = s_.c, d = s_.d;
    normalise(call_.embedding + base_ * d, rows_, d, rail_.epsilon, normed_.data());
    call_.multiply(rail_.enter, normed_.data(), d, rows_, made_.data());
    const int64_t* kept = std::lower_bound(call_.kept_rows, call_.kept_rows + call_.num_kept, base_);
    for (int64_t n = 0; n < rows_; ++n) {
      RailState& state = this->state(n);
      const float *own = made_.data() + n * rail_.enter.out(), *follows = own + c, *piece = follows + c;
      float* x = x_.data() + n * c;
      std::memcpy(x, own, c * sizeof(float));
      if (!state.follows.empty()) add(state.follows.data(), c, x);
      state.follows.assign(follows, follows + c);
      std::memcpy(field(n, rail_.record.piece, s_.piece).row(position_[n]), piece, s_.piece * sizeof(float));
      const int64_t token = call_.tokens[base_ + n];
      state.tokens.push_back(static_cast<int32_t>(token));
      follow_word(state, rail_.spelling + token * 4);
      float* found = more_.data() + n * 2 * s_.word_width;
      std::memcpy(found, rail_.word_table + word_slot(state.word, s_.word_slots) * s_.word_width, s_.word_width * sizeof(float));
      std::memcpy(found + s_.word_width, rail_.pair_table + pair_slot(state, s_.word_slots) * s_.word_width,
                  s_.word_width * sizeof(float));
      follow_reading(state, rail_.kind[token]);
      place_[n] = state.place;
      add(rail_.run_table + std::min(state.longest, s_.match) * c, c, x);
      note_turns(n);
      if (kept < call_.kept_rows + call_.num_kept && *kept == base_ + n) {
        call_.kept[kept - call_.kept_rows] = new RailState(state);
        ++kept;
      }
    }
    normalise(more_.data(), rows_, 2 * s_.word_width, rail_.epsilon, normed_.data());
    add_to_stream(rail_.words_enter, normed_.data(), 2 * s_.word_width);
    for (int64_t n = 0; n < rows_; ++n) {
      const Tiles pieces = field(n, rail_.record.piece, s_.piece);
      float* ahead = more_.data() + n * s_.window * s_.piece;
      std::fill_n(ahead, s_.window * s_.piece, 0.0f);
      for (int64_t w = 0; w < readable(n, s_.window); ++w) {
        std::memcpy(ahead + w * s_.piece, pieces.row(place_[n] + w), s_.piece * sizeof(float));
      }
    }
    add_to_stream(rail_.reading_enter, more_.data(), s_.window * s_.piece);
  }

  // By which angles a row's heads are turned, where it is and where the reading head stands.
  BB_INLINE void note_turns(int64_t n) {
    float* to = turns_.data() + n * 4 * half_;
    for (const int64_t at : {position_[n], place_[n]}) {
      const int64_t first = at / kLanes * half_ * kLanes + at % kLanes;
      for (int64_t i = 0; i < half_; ++i) {
        to[i] = rail_.cosine[first + i * kLanes];
        to[half_ + i] = rail_.sine[first + i * kLanes];
      }
      to += 2 * half_;
    }
  }

  // The products of a query [size] with all positions of a field by columns, from `shift` of its values on.
  BB_INLINE void score(const float* query, int64_t size, const Tiles& keys, int64_t shift, float scale, int64_t last) {
    for (int64_t tile = 0; tile <= last / kLanes; ++tile) {
      store(along_columns(query, keys.tile(tile) + shift * kLanes, size) * scale, scores_.data() + tile * kLanes);
    }
  }

  // Sixteen sequences' pages lie far apart and in no core's cache, and waiting for them is most of attention. So those that the next
  // row reads are asked for while this one is computed, and those that a product's results are written to while it is made.
  BB_INLINE void ask_for_next(int64_t n, int64_t offset, int64_t size, int64_t first, int64_t count) const {
    if (n + 1 == rows_ || owner_[n + 1] == owner_[n]) return;
    const Tiles next = field(n + 1, offset, size);
    for (int64_t tile = 0; tile <= position_[n + 1] / kLanes; ++tile) next.ask_for(tile, first, count);
  }
  BB_INLINE void ask_for_newest(int64_t offset, int64_t size) const {
    for (int64_t n = 0; n < rows_; ++n) {
      if (n == 0 || owner_[n] != owner_[n - 1]) field(n, offset, size).ask_for(position_[n] / kLanes, 0, size);
    }
  }

  // Self-attention; the last heads stand where the reading head stands.
  BB_INLINE void attend_to_itself(int64_t b) {
    const RailBlock& block = rail_.blocks[b];
    const int64_t head = s_.head, inner = s_.inner();
    const float scale = 1.0f / std::sqrt(static_cast<float>(head));
    ask_for_newest(rail_.record.keys(b), inner);
    normalise_stream();
    call_.multiply(block.heads, normed_.data(), s_.c, rows_, made_.data());
    for (int64_t n = 0; n < rows_; ++n) {
      float *query = made_.data() + n * block.heads.out(), *turned = more_.data() + n * 2 * inner;
      for (int64_t h = 0; h < s_.heads(); ++h) {
        const bool own = h < s_.own_heads;
        turn(query + h * head, own ? cosine(n) : place_cosine(n), own ? sine(n) : place_sine(n), half_, turned + h * head);
        turn(query + inner + h * head, cosine(n), sine(n), half_, turned + inner + h * head);
      }
      std::memcpy(query, turned, inner * sizeof(float));
      field(n, rail_.record.keys(b), inner).write_column(position_[n], turned + inner);
      std::memcpy(field(n, rail_.record.values(b), inner).row(position_[n]), query + 2 * inner, inner * sizeof(float));
    }
    for (int64_t n = 0; n < rows_; ++n) {
      const float *query = made_.data() + n * block.heads.out(), *bias = query + 3 * inner;
      const Tiles keys = field(n, rail_.record.keys(b), inner), values = field(n, rail_.record.values(b), inner);
      for (int64_t h = 0; h < s_.heads(); ++h) {
        ask_for_next(n, rail_.record.keys(b), inner, h * head, head);
        ask_for_next(n, rail_.record.values(b), inner, h * head, head);
        score(query + h * head, head, keys, h * head, scale, position_[n]);
        if (h >= s_.own_heads) add(bias + (h - s_.own_heads) * s_.window, readable(n, s_.window), scores_.data() + place_[n]);
        const float share = soften(scores_.data(), position_[n]);
        sum_rows(scores_.data(), values, h * head, head, position_[n], share, more_.data() + n * inner + h * head);
      }
    }
    add_to_stream(block.output, more_.data(), inner);
  }

  // Cross-attention into the tap; a latent is key and value at once.
  BB_INLINE void attend_to_base(int64_t b) {
    const RailBlock& block = rail_.blocks[b];
    const int64_t head = s_.head, latent = s_.latent(), asked = s_.query_heads * head;
    const float scale = 1.0f / std::sqrt(static_cast<float>(head));
    ask_for_newest(rail_.record.latents(b), latent);
    normalise(call_.taps[b] + base_ * s_.d, rows_, s_.d, rail_.epsilon, normed_.data());
    call_.multiply(block.latent, normed_.data(), s_.d, rows_, more_.data());
    for (int64_t n = 0; n < rows_; ++n) {
      const float* mine = more_.data() + n * block.latent.out();
      float* turned = made_.data();
      for (int64_t g = 0; g < s_.latent_heads; ++g) turn(mine + g * head, cosine(n), sine(n), half_, turned + g * head);
      field(n, rail_.record.latents(b), latent).write_column(position_[n], turned);
    }
    normalise_stream();
    add_to_stream(block.own, more_.data(), block.latent.out());
    call_.multiply(block.query, normed_.data(), s_.c, rows_, made_.data());
    for (int64_t n = 0; n < rows_; ++n) {
      const Tiles latents = field(n, rail_.record.latents(b), latent);
      for (int64_t h = 0; h < s_.query_heads; ++h) {
        float* query = normed_.data();
        turn(made_.data() + n * block.query.out() + h * head, cosine(n), sine(n), half_, query);
        const int64_t shift = h / (s_.query_heads / s_.latent_heads) * head;
        ask_for_next(n, rail_.record.latents(b), latent, shift, head);
        score(query, head, latents, shift, scale, position_[n]);
        const float share = soften(scores_.data(), position_[n]);
        sum_turned_columns(scores_.data(), latents, shift, half_, rail_.cosine.data(), rail_.sine.data(), position_[n], share,
                           more_.data() + n * asked + h * head);
      }
    }
    add_to_stream(block.cross_output, more_.data(), asked);
  }

  // The skill of each row.
  BB_INLINE void route() {
    normalise_stream();
    call_.multiply(rail_.router, normed_.data(), s_.c, rows_, made_.data());
    for (int64_t n = 0; n < rows_; ++n) {
      const float* score = made_.data() + n * rail_.router.out();
      int64_t best = -1;
      for (int64_t k = 0; k < s_.routes; ++k) {
        if (rail_.answers[k] >= 0 && (best < 0 || score[k] > score[best])) best = k;
      }
      chosen_[n] = call_.skill[base_ + n] = rail_.answers[best];
    }
  }

  // x [size] += up^T silu(scale down x'), both [rank, size].
  BB_INLINE void add_adapter(const float* down, const float* up, int64_t rank, const float* from, int64_t size, float scale,
                             float* x) {
    float* hidden = made_.data();
    for (int64_t r = 0; r < rank; ++r) hidden[r] = silu(product(down + r * size, from, size) * scale);
    for (int64_t r = 0; r < rank; ++r) {
      for (int64_t i = 0; i < size; ++i) x[i] += hidden[r] * up[r * size + i];
    }
  }

  BB_INLINE void adapt(const RailBlock& block) {
    normalise_stream();
    for (int64_t n = 0; n < rows_; ++n) {
      const int64_t first = chosen_[n] * s_.skill_rank * s_.c;
      add_adapter(block.skill_down + first, block.skill_up + first, s_.skill_rank, normed_.data() + n * s_.c, s_.c, 1.0f,
                  x_.data() + n * s_.c);
    }
  }

  BB_INLINE void compute(const RailBlock& block) {
    normalise_stream();
    call_.multiply(block.gate_up, normed_.data(), s_.c, rows_, made_.data());
    for (int64_t n = 0; n < rows_; ++n) {
      const float *gate = made_.data() + n * block.gate_up.out(), *up = gate + s_.hidden;
      float* to = more_.data() + n * s_.hidden;
      int64_t i = 0;
      for (; i + kLanes <= s_.hidden; i += kLanes) store(load(gate + i) * sigmoid(load(gate + i)) * load(up + i), to + i);
      for (; i < s_.hidden; ++i) to[i] = silu(gate[i]) * up[i];
    }
    add_to_stream(block.down, more_.data(), s_.hidden);
  }

  // Labels, in the middle of the rail: a row's own, those from the reading head's place on, and those that it looks up.
  BB_INLINE void label() {
    const int64_t all = s_.labels, told_size = (1 + kAhead + kLookups) * all;
    normalise_stream();
    call_.multiply(rail_.label_score, normed_.data(), s_.c, rows_, made_.data());
    float* own = normed_.data();  // [rows, all]
    for (int64_t n = 0; n < rows_; ++n) {
      share_out(made_.data() + n * rail_.label_score.out(), own + n * all);
      field(n, rail_.record.known, all).write_column(position_[n], own + n * all);
    }
    call_.multiply(rail_.label_asks, own, all, rows_, asks_.data());
    for (int64_t n = 0; n < rows_; ++n) {
      const Tiles known = field(n, rail_.record.known, all);
      float *asks = asks_.data() + n * rail_.label_asks.out(), *told = more_.data() + n * told_size;
      add(rail_.label_away, (1 + kLookups) * all, asks);
      std::memcpy(told, own + n * all, all * sizeof(float));
      std::fill_n(told + all, kAhead * all, 0.0f);
      for (int64_t w = 0; w < readable(n, kAhead); ++w) known.read_column(place_[n] + w, told + (1 + w) * all);
      for (int64_t lookup = 0; lookup < kLookups; ++lookup) {
        score(asks + lookup * all, all, known, 0, 1.0f, position_[n]);
        const float share = soften(scores_.data(), position_[n]);
        sum_columns(scores_.data(), known, position_[n], share, told + (1 + kAhead + lookup) * all);
      }
    }
    add_to_stream(rail_.label_enter, more_.data(), told_size);
  }

  // The softmax of each slot of labels.
  BB_INLINE void share_out(const float* score, float* own) const {
    const float* bias = rail_.label_bias;
    int64_t at = 0;
    for (const int64_t size : rail_.label_sizes) {
      float largest = -INFINITY, mass = 0.0f;
      for (int64_t i = at; i < at + size; ++i) largest = std::max(largest, score[i] + bias[i]);
      for (int64_t i = at; i < at + size; ++i) mass += own[i] = std::exp(score[i] + bias[i] - largest);
      for (int64_t i = at; i < at + size; ++i) own[i] /= mass;
      at += size;
    }
  }

  // What is proposed to the base: `more_` [rows, d].
  BB_INLINE void propose() {
    const int64_t d = s_.d, rank = s_.proposal_rank;
    normalise_stream();
    call_.multiply(rail_.leave, normed_.data(), s_.c, rows_, more_.data());
    for (int64_t n = 0; rank && n < rows_; ++n) {
      float* update = more_.data() + n * d;
      const int64_t first = chosen_[n] * rank * d;
      add_adapter(rail_.proposal_down + first, rail_.proposal_up + first, rank, update, d, shrinking(update, d, rail_.epsilon),
                  update);
    }
  }

  // What is copied from the context, added to what is proposed.
  BB_INLINE void copy() {
    const int64_t d = s_.d, head = s_.head;
    const float scale = 1.0f / std::sqrt(static_cast<float>(head));
    call_.multiply(rail_.copying, normed_.data(), s_.c, rows_, made_.data());
    float *turned = normed_.data(), *copied = turned + head;
    for (int64_t n = 0; n < rows_; ++n) {
      turn(made_.data() + n * rail_.copying.out() + head, cosine(n), sine(n), half_, turned);
      field(n, rail_.record.copied, head).write_column(position_[n], turned);
    }
    for (int64_t n = 0; n < rows_; ++n) {
      const float *mine = made_.data() + n * rail_.copying.out(), *bias = mine + 2 * head, *tap = last_tap(n);
      const int64_t last = position_[n];
      turn(mine, cosine(n), sine(n), half_, turned);
      score(turned, head, field(n, rail_.record.copied, head), 0, scale, last);
      if (s_.labels) add_hints(n);
      add(bias, readable(n, s_.window), scores_.data() + place_[n]);
      const float share = soften(scores_.data(), last);
      copy_tokens(state(n).tokens.data(), position_[n], share, copied);
      const float strength = kStrength * std::tanh(bias[s_.window]) * std::sqrt(product(tap, tap, d) / static_cast<float>(d));
      float* update = more_.data() + n * d;
      for (int64_t i = 0; i < d; ++i) update[i] += strength * copied[i];
    }
  }

  // What was said at each position, by its share.
  BB_INLINE void copy_tokens(const int32_t* tokens, int64_t last, float share, float* to) const {
    const float* shares = scores_.data();
    const TokenRows& rows = rail_.directions;
    int64_t first = 0;
    for (; first + 8 * kLanes <= s_.d; first += 8 * kLanes) add_tokens<8>(shares, rows, tokens, first, last, share, to);
    for (; first + 4 * kLanes <= s_.d; first += 4 * kLanes) add_tokens<4>(shares, rows, tokens, first, last, share, to);
    for (; first < s_.d; first += kLanes) add_tokens<1>(shares, rows, tokens, first, last, share, to);
  }

  // The last lookup over labels counts where to copy from.
  BB_INLINE void add_hints(int64_t n) {
    const Tiles known = field(n, rail_.record.known, s_.labels);
    const float* asks = asks_.data() + n * rail_.label_asks.out() + kLookups * s_.labels;
    for (int64_t tile = 0; tile <= position_[n] / kLanes; ++tile) {
      float* scores = scores_.data() + tile * kLanes;
      store(load(scores) + along_columns(asks, known.tile(tile), s_.labels), scores);
    }
  }

  // See bbkernels/gated_fusion/reference.py.
  BB_INLINE void fuse() {
    const int64_t d = s_.d;
    const float size = static_cast<float>(d);
    for (int64_t n = 0; n < rows_; ++n) {
      const float* h = last_tap(n);
      float *sum = more_.data() + n * d, *out = call_.fused + (base_ + n) * d;
      add(h, d, sum);
      const float ratio =
          std::sqrt((product(h, h, d) / size + kFusionEpsilon) / (product(sum, sum, d) / size + kFusionEpsilon));
      for (int64_t i = 0; i < d; ++i) out[i] = h[i] + rail_.alpha[i] * (ratio * sum[i] - h[i]);
    }
  }

  BB_INLINE const float* last_tap(int64_t n) const { return call_.taps[s_.taps - 1] + (base_ + n) * s_.d; }

  const RailCall& call_;
  const Rail& rail_;
  const RailShape& s_;
  const int64_t base_, rows_, half_;
  std::vector<int64_t> owner_, position_, place_, chosen_;
  std::vector<float> x_, normed_, made_, more_, asks_, turns_, scores_;
};

// The sequences `begin` to `end` of a call.
BB_INLINE void run(const RailCall& call, int64_t begin, int64_t end) {
  int64_t sequence = begin;
  for (int64_t row = call.starts[begin]; row < call.starts[end]; row += kRowsAtOnce) {
    while (call.starts[sequence + 1] <= row) ++sequence;
    Pass(call, sequence, row, std::min<int64_t>(row + kRowsAtOnce, call.starts[end])).run();
  }
}

// Keeps the directions [N, d] of tokens that were not seen before.
BB_INLINE void learn(Rail& rail, const int64_t* tokens, const float* directions, int64_t rows) {
  const int64_t d = rail.shape.d;
  for (int64_t n = 0; n < rows; ++n) {
    if (!rail.directions[tokens[n]]) normalise(directions + n * d, 1, d, rail.epsilon, rail.directions.add(tokens[n]));
  }
}

BB_INLINE void multiply(const Panels& matrix, const float* x, int64_t stride, int64_t rows, float* y) {
  matrix.multiply(x, stride, rows, y);
}

BB_AT_EVERY_LEVEL(multiply, (const Panels& matrix, const float* x, int64_t stride, int64_t rows, float* y),
                  (matrix, x, stride, rows, y))
BB_AT_EVERY_LEVEL(run, (const RailCall& call, int64_t begin, int64_t end), (call, begin, end))
BB_AT_EVERY_LEVEL(learn, (Rail& rail, const int64_t* tokens, const float* directions, int64_t rows),
                  (rail, tokens, directions, rows))

}  // namespace
}  // namespace bb

// N = starts[sequences] rows: tokens [N], embedding, unembedding and each of `taps` [N, d], fused [N, d] and skill [N] to be
// written; pages [P, record * 2^shift] of at least kLanes positions, table [sequences, width], lengths [sequences] with the new
// tokens. `kept` [num_kept] receives the states behind the rows `kept_rows`, which rise; whoever asks for them frees them.
BB_EXPORT void bb_rail_step(void* rail, void* const* states, int64_t sequences, const int64_t* tokens, const int32_t* starts,
                            const int32_t* lengths, const int32_t* table, int64_t width, const float* embedding,
                            const float* unembedding, const float* const* taps, float* pages, int64_t shift, float* fused,
                            int64_t* skill, const int64_t* kept_rows, int64_t num_kept, void** kept, int level, int threads) {
  using namespace bb;
  Rail& own = *static_cast<Rail*>(rail);
  learn_at(level)(own, tokens, unembedding, starts[sequences]);
  const RailCall call{own,   multiply_at(level), reinterpret_cast<RailState* const*>(states), tokens, starts, lengths, table,
                      width, shift, embedding, taps, pages, fused, skill, kept_rows, num_kept, kept};
  const auto part = run_at(level);
  const int64_t share = (sequences + threads - 1) / std::max(1, threads);
  parallel_for(sequences, std::max<int64_t>(1, share), threads, [&](int64_t begin, int64_t end) { part(call, begin, end); });
}
