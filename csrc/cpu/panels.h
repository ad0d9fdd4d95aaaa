// y = x W^T for few rows of x, with W [out, in] kept as panels of sixteen outputs: sixteen neighbouring values of a panel meet one
// value of x. A row adds its products in the order of `in`, whatever stands in the other rows, so its bits are its own.
#pragma once

#include <cstdint>
#include <vector>

#include "lanes.h"

namespace bb {

class Panels {
 public:
  Panels() = default;
  Panels(const float* weight, int64_t out, int64_t in) : in_(in), out_((out + kLanes - 1) / kLanes * kLanes) {
    values_.resize(static_cast<size_t>(in_ * out_));
    for (int64_t o = 0; o < out; ++o) {
      for (int64_t i = 0; i < in; ++i) values_[(o / kLanes * in + i) * kLanes + o % kLanes] = weight[o * in + i];
    }
  }
  int64_t in() const { return in_; }
  // What is kept, for whoever checks that it is still what was given.
  const float* data() const { return values_.data(); }
  int64_t size() const { return static_cast<int64_t>(values_.size()); }
  // Outputs, with those that fill up the last panel.
  int64_t out() const { return out_; }

  // y [rows, out()] for x [rows, in()], with `x_stride` values from row to row.
  BB_INLINE void multiply(const float* x, int64_t x_stride, int64_t rows, float* y) const {
    multiply(x, x_stride, rows, y, 0, out_);
  }

  // The outputs `first` to `end`, both multiples of kLanes.
  BB_INLINE void multiply(const float* x, int64_t x_stride, int64_t rows, float* y, int64_t first, int64_t end) const {
    int64_t row = 0;
    for (; row + 8 <= rows; row += 8) block<8, 1>(x + row * x_stride, x_stride, y + row * out_, first, end);
    for (; row + 4 <= rows; row += 4) block<4, 2>(x + row * x_stride, x_stride, y + row * out_, first, end);
    for (; row < rows; ++row) block<1, 4>(x + row * x_stride, x_stride, y + row * out_, first, end);
  }

 private:
  template <int Rows, int Wide>
  BB_INLINE void block(const float* x, int64_t x_stride, float* y, int64_t first, int64_t end) const {
    for (; first + Wide * kLanes <= end; first += Wide * kLanes) tile<Rows, Wide>(x, x_stride, first, y);
    if (Wide > 1) {
      for (; first < end; first += kLanes) tile<Rows, 1>(x, x_stride, first, y);
    }
  }

  template <int Rows, int Wide>
  BB_INLINE void tile(const float* x, int64_t x_stride, int64_t first, float* y) const {
    const float* panel = values_.data() + first * in_;
    Lanes sum[Rows][Wide];
    for (int r = 0; r < Rows; ++r) {
      for (int p = 0; p < Wide; ++p) sum[r][p] = Lanes{};
    }
    for (int64_t i = 0; i < in_; ++i) {
      for (int p = 0; p < Wide; ++p) {
        const Lanes w = load(panel + (p * in_ + i) * kLanes);
        for (int r = 0; r < Rows; ++r) sum[r][p] += w * x[r * x_stride + i];
      }
    }
    for (int r = 0; r < Rows; ++r) {
      for (int p = 0; p < Wide; ++p) std::memcpy(y + r * out_ + first + p * kLanes, &sum[r][p], sizeof(Lanes));
    }
  }

  int64_t in_ = 0, out_ = 0;
  std::vector<float> values_;
};

}  // namespace bb
