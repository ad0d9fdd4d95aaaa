// What a rail knows of a text by its token ids alone: the words they spell and where the reading head stands.
#pragma once

#include <algorithm>
#include <cstdint>

#include "rail.h"

namespace bb {

// The word a token ends and the one before; see builderbrain/rail/words.py.
inline void follow_word(RailState& state, const int64_t* spelling) {
  if (spelling[0]) {
    if (state.word) state.before = state.word;
    state.word = 0;
  }
  state.word = state.word * static_cast<uint64_t>(spelling[2]) + static_cast<uint64_t>(spelling[1]);
}

constexpr uint64_t kMix = static_cast<uint64_t>(-0x61C8864680B583EBLL);
constexpr uint64_t kOrder = static_cast<uint64_t>(-0x3D4D51C2D82B14B1LL);

inline int64_t word_slot(uint64_t word, int64_t slots) { return static_cast<int64_t>((word * kMix) >> 33 & 0x7FFFFFFF) % slots; }
inline int64_t pair_slot(const RailState& state, int64_t slots) { return word_slot(state.word ^ state.before * kOrder, slots); }

// The longest run of tokens before the literal that ends in the newest token; moves the place behind it.
inline void find_run(RailState& state, int64_t newest) {
  int32_t longest = 0;
  const int32_t token = state.tokens[newest];
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

// Moves the reading head by the newest of `tokens`, of kind 1 (quote) or 2 (line); see builderbrain/rail/reading.py.
inline void follow_reading(RailState& state, uint8_t kind) {
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
  find_run(state, t);
}

}  // namespace bb
