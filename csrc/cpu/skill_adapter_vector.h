// The vector code of skill adapters for vectors of BB_LANES floats; skill_adapter.cpp includes it once for every level, in a
// namespace of its own.

namespace {

#include "row_vector.h"

BB_INLINE float along(const float* a, const float* b, int64_t width) {
  F sum = {};
  each(width, [&](int64_t i, auto count) __attribute__((always_inline)) { sum += load(a + i, count) * load(b + i, count); });
  return total(sum);
}

// to += factor * from
BB_INLINE void add(float* to, const float* from, float factor, int64_t width) {
  each(width, [&](int64_t i, auto count) __attribute__((always_inline)) {
    store(to + i, load(to + i, count) + factor * load(from + i, count), count);
  });
}

void adapt(const Job& job, int64_t begin, int64_t end) {
  const int64_t width = job.width, rank = job.rank;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t first = job.skill[row] * rank;
    float* out = job.out + row * width;
    std::memset(out, 0, static_cast<std::size_t>(width) * sizeof(float));
    for (int64_t r = 0; r < rank; ++r) {
      const float hidden = along(job.x + row * width, job.down + (first + r) * width, width);
      job.hidden[row * rank + r] = hidden;
      add(out, job.up + (first + r) * width, hidden / (1.0f + std::exp(-hidden)), width);
    }
  }
}

void differentiate(const Job& job, int64_t begin, int64_t end) {
  const int64_t width = job.width, rank = job.rank;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t first = job.skill[row] * rank;
    const float *x = job.x + row * width, *gradient = job.gradient + row * width;
    float* out = job.out + row * width;
    std::memset(out, 0, static_cast<std::size_t>(width) * sizeof(float));
    for (int64_t r = 0; r < rank; ++r) {
      const float hidden = job.hidden[row * rank + r], share = 1.0f / (1.0f + std::exp(-hidden));
      const float slope = along(gradient, job.up + (first + r) * width, width) * share * (1.0f + hidden * (1.0f - share));
      add(out, job.down + (first + r) * width, slope, width);
      add(job.for_down + (first + r) * width, x, slope, width);
      add(job.for_up + (first + r) * width, gradient, hidden * share, width);
    }
  }
}

void pass(const Job& job, int64_t begin, int64_t end) {
  job.gradient == nullptr ? adapt(job, begin, end) : differentiate(job, begin, end);
}

}  // namespace
#undef BB_INLINE
