// Makes and frees the rails and states of csrc/cpu/rail_step.cpp.

#include "rail.h"

#include <cmath>
#include <cstring>

#include "../interface.h"

namespace bb {
namespace {

// Takes the arrays of builderbrain/rail/native_step.py one after the other.
class Arrays {
 public:
  explicit Arrays(const float* const* next) : next_(next) {}
  const float* table() { return *next_++; }
  Panels matrix(int64_t out, int64_t in) { return Panels(*next_++, out, in); }

 private:
  const float* const* next_;
};

RailBlock take_block(const RailShape& s, Arrays& arrays) {
  RailBlock block;
  block.heads = arrays.matrix(3 * s.inner() + s.reading_heads * s.window, s.c);
  block.output = arrays.matrix(s.c, s.inner());
  block.query = arrays.matrix(s.query_heads * s.head, s.c);
  block.latent = arrays.matrix(s.latent(), s.d);
  block.own = arrays.matrix(s.c, s.latent());
  block.cross_output = arrays.matrix(s.c, s.query_heads * s.head);
  block.gate_up = arrays.matrix(2 * s.hidden, s.c);
  block.down = arrays.matrix(s.c, s.hidden);
  block.skill_down = arrays.table();
  block.skill_up = arrays.table();
  return block;
}

// `pairs` [1 + kLookups, A, A] as one matrix, so that what all lookups ask for is one product.
Panels joined_pairs(const float* pairs, int64_t labels) {
  std::vector<float> turned(static_cast<size_t>((1 + kLookups) * labels * labels));
  for (int64_t lookup = 0; lookup <= kLookups; ++lookup) {
    for (int64_t a = 0; a < labels; ++a) {
      for (int64_t i = 0; i < labels; ++i) {
        turned[(lookup * labels + i) * labels + a] = pairs[(lookup * labels + a) * labels + i];
      }
    }
  }
  return Panels(turned.data(), (1 + kLookups) * labels, labels);
}

void fill_turns(const RailShape& s, float theta, Rail* rail) {
  const int64_t half = s.head / 2, tiles = (s.positions + kLanes - 1) / kLanes;
  rail->cosine.resize(static_cast<size_t>(tiles * half * kLanes));
  rail->sine.resize(rail->cosine.size());
  for (int64_t i = 0; i < half; ++i) {
    const float rate = std::pow(theta, -static_cast<float>(i) / static_cast<float>(half));
    for (int64_t at = 0; at < tiles * kLanes; ++at) {
      const int64_t place = (at / kLanes * half + i) * kLanes + at % kLanes;
      rail->cosine[place] = std::cos(static_cast<float>(at) * rate);
      rail->sine[place] = std::sin(static_cast<float>(at) * rate);
    }
  }
}

}  // namespace
}  // namespace bb

// `numbers` are those of `RailShape` and then the sizes of the label slots; `floats`, `integers` and `bytes` the arrays that
// builderbrain/rail/native_step.py lists. Matrices are copied; tables stay the caller's and must outlive the rail.
BB_EXPORT void* bb_rail_new(const int64_t* numbers, const float* const* floats, const int64_t* const* integers,
                            const uint8_t* const* bytes, float epsilon, float theta) {
  using namespace bb;
  RailShape s;
  std::memcpy(&s, numbers, sizeof s);
  Rail* rail = new Rail(s);
  const int64_t* sizes = numbers + sizeof s / sizeof(int64_t);
  rail->label_sizes.assign(sizes, sizes + s.label_slots);
  rail->epsilon = epsilon;
  Arrays arrays(floats);
  rail->enter = arrays.matrix(2 * s.c + s.piece, s.d);
  rail->words_enter = arrays.matrix(s.c, 2 * s.word_width);
  rail->reading_enter = arrays.matrix(s.c, s.window * s.piece);
  rail->router = arrays.matrix(s.routes, s.c);
  rail->leave = arrays.matrix(s.d, s.c);
  rail->copying = arrays.matrix(2 * s.head + s.window + 1, s.c);
  rail->word_table = arrays.table();
  rail->pair_table = arrays.table();
  rail->run_table = arrays.table();
  rail->alpha = arrays.table();
  for (int64_t b = 0; b < s.taps; ++b) rail->blocks.push_back(take_block(s, arrays));
  if (s.labels) {
    rail->label_score = arrays.matrix(s.labels, s.c);
    rail->label_enter = arrays.matrix(s.c, (1 + kAhead + kLookups) * s.labels);
    rail->label_bias = arrays.table();
    rail->label_asks = joined_pairs(arrays.table(), s.labels);
    rail->label_away = arrays.table();
  }
  if (s.proposal_rank) {
    rail->proposal_down = arrays.table();
    rail->proposal_up = arrays.table();
  }
  rail->spelling = integers[0];
  rail->answers = integers[1];
  rail->kind = bytes[0];
  fill_turns(s, theta, rail);
  return rail;
}

BB_EXPORT void bb_rail_free(void* rail) { delete static_cast<bb::Rail*>(rail); }

// The `index`-th of the arrays that are kept and its `size`; null behind the last. Not the directions of tokens, which come as they
// are seen.
BB_EXPORT const float* bb_rail_kept(const void* rail, int64_t index, int64_t* size) {
  using namespace bb;
  const Rail& r = *static_cast<const Rail*>(rail);
  std::vector<const Panels*> matrices = {&r.enter, &r.words_enter, &r.reading_enter, &r.router, &r.leave, &r.copying};
  for (const RailBlock& b : r.blocks) {
    for (const Panels* each : {&b.heads, &b.output, &b.query, &b.latent, &b.own, &b.cross_output, &b.gate_up, &b.down}) {
      matrices.push_back(each);
    }
  }
  if (r.shape.labels) matrices.insert(matrices.end(), {&r.label_score, &r.label_asks, &r.label_enter});
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
BB_EXPORT int64_t bb_rail_record(const void* rail) { return static_cast<const bb::Rail*>(rail)->record.size; }
BB_EXPORT void* bb_rail_state_new() { return new bb::RailState; }
BB_EXPORT void* bb_rail_state_copy(const void* state) { return new bb::RailState(*static_cast<const bb::RailState*>(state)); }
BB_EXPORT void bb_rail_state_free(void* state) { delete static_cast<bb::RailState*>(state); }
