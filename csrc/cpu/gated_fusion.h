// What csrc/cpu/gated_fusion.cpp and its vector code share. No template of the standard library is used in the vector code: an
// instance made for a high level could be the one that the linker keeps for all.
#pragma once

#include <cstdint>

namespace bb {
namespace gated_fusion {

constexpr int64_t kRowsAtOnce = 64;  // a multiple of it is where a thread's rows begin, whatever the number of threads

// base [rows, width]; update, state, gradient [rows, width] in a type of their own.
template <class Base, class Wide>
struct Rows {
  const Base* base;
  const Wide* update;
  const float* alpha;  // [width]
  Wide* state;
  float* statistics;  // [3][rows]
  Wide* gradient;
  float* for_alpha;  // [pieces][width]
  int64_t rows, width;
  float fusion_epsilon, norm_epsilon;
};

}  // namespace gated_fusion
}  // namespace bb
