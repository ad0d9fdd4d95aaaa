// The vector code of RMSNorm for vectors of BB_LANES floats; rms_norm.cpp includes it once for every level, in a namespace of its
// own.

namespace {

#include "row_vector.h"

void normalise(const Rows& rows, int64_t begin, int64_t end) {
  const int64_t width = rows.width;
  for (int64_t row = begin; row < end; ++row) {
    const float* x = rows.x + row * width;
    float* out = rows.out + row * width;
    F sum = {};
    each(width, [&](int64_t i, auto count) __attribute__((always_inline)) {
      const F value = load(x + i, count);
      sum += value * value;
    });
    const float scale = 1.0f / std::sqrt(total(sum) / width + rows.epsilon);
    rows.scale[row] = scale;
    each(width, [&](int64_t i, auto count) __attribute__((always_inline)) {
      store(out + i, load(x + i, count) * scale * load(rows.weight + i, count), count);
    });
  }
}

// With g = gradient * weight: out = scale (g - x scale^2 mean(g x)).
void differentiate(const Rows& rows, int64_t begin, int64_t end) {
  const int64_t width = rows.width;
  float* for_weight = rows.for_weight + begin / kRowsAtOnce * width;
  for (int64_t row = begin; row < end; ++row) {
    const float *x = rows.x + row * width, *gradient = rows.gradient + row * width;
    const float scale = rows.scale[row];
    float* out = rows.out + row * width;
    F sum = {};
    each(width, [&](int64_t i, auto count) __attribute__((always_inline)) {
      const F along = load(gradient + i, count) * load(x + i, count);
      store(for_weight + i, load(for_weight + i, count) + along * scale, count);
      sum += along * load(rows.weight + i, count);
    });
    const float along = total(sum) * scale * scale / width;
    each(width, [&](int64_t i, auto count) __attribute__((always_inline)) {
      const F g = load(gradient + i, count) * load(rows.weight + i, count);
      store(out + i, scale * (g - along * load(x + i, count)), count);
    });
  }
}

void pass(const Rows& rows, int64_t begin, int64_t end) {
  rows.gradient == nullptr ? normalise(rows, begin, end) : differentiate(rows, begin, end);
}

}  // namespace
#undef BB_INLINE
