// A builder rail's weights as the native step reads them, what it keeps of each position, and what a sequence carries along.
//
// Letters as in builderbrain/rail: N rows, d base width, c rail width, D head size.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "panels.h"

namespace bb {

constexpr int64_t kAhead = 3;    // tokens from the reading head's place on whose labels are told
constexpr int64_t kLookups = 2;  // attentions over labels

// The numbers that builderbrain/rail/native_step.py hands over, in its order.
struct RailShape {
  int64_t taps, d, c, head, own_heads, reading_heads, query_heads, latent_heads, hidden, skills, skill_rank, proposal_rank,
      window, match, piece, word_slots, word_width, routes, labels, label_slots, vocabulary, positions;

  int64_t heads() const { return own_heads + reading_heads; }
  int64_t inner() const { return heads() * head; }
  int64_t latent() const { return latent_heads * head; }
};

// Where the fields of a position lie in a page, in values per position. A field of all positions of a page lies together, so that
// it is read in one go; in it sixteen positions make a tile. A tile lies by columns where it is summed over its columns (value i
// of the sixteen positions side by side), else by rows.
struct RailRecord {
  int64_t block, inner, latent, copied, known, piece, size;

  explicit RailRecord(const RailShape& s)
      : block(2 * s.inner() + s.latent()),
        inner(s.inner()),
        latent(s.latent()),
        copied(s.taps * block),
        known(copied + s.head),
        piece(known + s.labels),
        size(piece + s.piece) {}
  int64_t keys(int64_t b) const { return b * block; }                  // [inner] by columns, turned to their position
  int64_t values(int64_t b) const { return b * block + inner; }        // [inner] by rows
  int64_t latents(int64_t b) const { return b * block + 2 * inner; }   // [latent] by columns, turned; values too, turned back
};

struct RailBlock {
  Panels heads, output, query, latent, own, cross_output, gate_up, down;
  const float *skill_down, *skill_up;  // [K, R, c] both, the norm's weight in the first
};

// A row of values for each token that was seen, made when it is seen first: what follows from a token alone.
class TokenRows {
 public:
  TokenRows(int64_t vocabulary, int64_t width) : width_(width), rows_(static_cast<size_t>(vocabulary)) {}
  const float* operator[](int64_t token) const { return rows_[token].get(); }
  float* add(int64_t token) {
    rows_[token].reset(new float[width_]);
    return rows_[token].get();
  }

 private:
  int64_t width_;
  std::vector<std::unique_ptr<float[]>> rows_;
};

struct Rail {
  explicit Rail(const RailShape& s) : shape(s), record(s), directions(s.vocabulary, s.d) {}

  RailShape shape;
  RailRecord record;
  std::vector<int64_t> label_sizes;
  float epsilon;
  Panels enter, words_enter, reading_enter, router, leave, copying, label_score, label_asks, label_enter;
  const float *word_table, *pair_table, *run_table, *alpha, *label_bias, *label_away;
  const float *proposal_down, *proposal_up;  // [K, R, d] both
  const int64_t *spelling, *answers;         // [V, 4]; per route the row of adapters, -1 where it is closed
  const uint8_t* kind;                       // [V], 1 quote, 2 line
  std::vector<RailBlock> blocks;
  std::vector<float> cosine, sine;  // [positions / kLanes, D / 2, kLanes]
  TokenRows directions;             // what is copied where a token is: its direction [d] over its root mean square
};

// What a sequence carries from token to token.
struct RailState {
  std::vector<float> follows;
  uint64_t word = 0, before = 0;
  int64_t place = 0, anchor = 0, opened = 0, longest = 0;
  bool open = false;
  std::vector<int32_t> tokens, run;
  std::vector<uint8_t> copied;
};

}  // namespace bb
