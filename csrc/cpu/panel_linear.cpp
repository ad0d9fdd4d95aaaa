// y = x W^T + b in float32 with W kept as panels: a row's bits do not depend on how many rows there are.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "../interface.h"
#include "dispatch.h"
#include "panels.h"
#include "parallel.h"

namespace bb {
namespace {

constexpr int64_t kAlone = 1 << 20;  // products below which waking other threads costs more than it saves
constexpr int64_t kRows = 64;        // rows of x that meet a panel before the next one is read

struct Linear {
  Panels panels;
  int64_t out;
};

struct Product {
  const Panels& panels;
  const float* x;
  int64_t rows;
  float* y;
};

BB_INLINE void multiply(const Product& p, int64_t first, int64_t end) {
  for (int64_t row = 0; row < p.rows; row += kRows) {
    const int64_t count = std::min(kRows, p.rows - row);
    p.panels.multiply(p.x + row * p.panels.in(), p.panels.in(), count, p.y + row * p.panels.out(), first, end);
  }
}

BB_AT_EVERY_LEVEL(multiply, (const Product& p, int64_t first, int64_t end), (p, first, end))

}  // namespace
}  // namespace bb

// Copies `weight` [out, in]. Whoever asks for it frees it.
BB_EXPORT void* bb_panels_new(const float* weight, int64_t out, int64_t in) {
  return new bb::Linear{bb::Panels(weight, out, in), out};
}
BB_EXPORT void bb_panels_free(void* linear) { delete static_cast<bb::Linear*>(linear); }

// The `index`-th of the arrays that are kept and its `size`; null behind the last.
BB_EXPORT const float* bb_panels_kept(const void* linear, int64_t index, int64_t* size) {
  const bb::Panels& panels = static_cast<const bb::Linear*>(linear)->panels;
  *size = panels.size();
  return index == 0 ? panels.data() : nullptr;
}

// y [rows, out] for contiguous x [rows, in]; `bias` [out] or null.
BB_EXPORT void bb_panels_multiply(const void* linear, const float* x, int64_t rows, const float* bias, float* y, int level,
                                  int threads) {
  using namespace bb;
  const Linear& l = *static_cast<const Linear*>(linear);
  const int64_t padded = l.panels.out();
  std::vector<float> scratch(padded == l.out ? 0 : static_cast<size_t>(rows * padded));
  float* to = scratch.empty() ? y : scratch.data();
  const Product product{l.panels, x, rows, to};
  const auto part = multiply_at(level);
  const int64_t panels = padded / kLanes, products = rows * l.panels.in() * padded;
  parallel_for(panels, std::max<int64_t>(4, panels / (4 * std::max(1, threads))), products < kAlone ? 1 : threads,
               [&](int64_t begin, int64_t end) { part(product, begin * kLanes, end * kLanes); });
  if (to != y) {
    for (int64_t row = 0; row < rows; ++row) std::memcpy(y + row * l.out, to + row * padded, l.out * sizeof(float));
  }
  if (bias) {
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t i = 0; i < l.out; ++i) y[row * l.out + i] += bias[i];
    }
  }
}
