// What a rail computes at the base's width beside each tap, row by row: `builderbrain/rail/tap_reading.py` says which formulas.
// The products with narrow matrices are PyTorch's; here is what lies between them, whose arrays would else be read and written
// a dozen times each.
#include <cmath>
#include <cstring>

#include "../interface.h"
#include "level.h"
#include "parallel.h"

namespace bb {
namespace {

constexpr int64_t kLanes = 16;
constexpr int64_t kRowsAtOnce = 64;  // a multiple of it is where a thread's rows begin, whatever the number of threads

#define BB_INLINE inline __attribute__((always_inline))

struct Shape {
  int64_t width;
  float fusion_epsilon, norm_epsilon;
};

BB_INLINE float total(const float* lanes) {
  float sum = 0.0f;
  for (int64_t j = 0; j < kLanes; ++j) sum += lanes[j];
  return sum;
}

BB_INLINE float wide(const float* from, int64_t i) { return from[i]; }

BB_INLINE float wide(const uint16_t* from, int64_t i) {
  const uint32_t bits = static_cast<uint32_t>(from[i]) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

// state = base + alpha (ratio (base + update) - base); ratio, mean square of base + update, and the norm's scale of the state.
template <class Base>
BB_INLINE void fuse_row(const Base* base, const float* update, const float* alpha, float* state, float* ratio_of, float* mean_of,
                        float* scale_of, const Shape& shape) {
  const int64_t width = shape.width, whole = width / kLanes * kLanes;
  float of_base[kLanes] = {}, of_sum[kLanes] = {}, of_state[kLanes] = {};
  const auto measure = [&](int64_t i, int64_t j) __attribute__((always_inline)) {
    const float h = wide(base, i), p = h + update[i];
    of_base[j] += h * h;
    of_sum[j] += p * p;
  };
  for (int64_t i = 0; i < whole; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) measure(i + j, j);
  }
  for (int64_t i = whole; i < width; ++i) measure(i, i - whole);
  const float mean = total(of_sum) / width + shape.fusion_epsilon;
  const float ratio = std::sqrt((total(of_base) / width + shape.fusion_epsilon) / mean);
  const auto mix = [&](int64_t i, int64_t j) __attribute__((always_inline)) {
    const float h = wide(base, i);
    const float f = h + alpha[i] * (ratio * (h + update[i]) - h);
    state[i] = f;
    of_state[j] += f * f;
  };
  for (int64_t i = 0; i < whole; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) mix(i + j, j);
  }
  for (int64_t i = whole; i < width; ++i) mix(i, i - whole);
  *ratio_of = ratio;
  *mean_of = mean;
  *scale_of = 1.0f / std::sqrt(total(of_state) / width + shape.norm_epsilon);
}

// `gradient` of the state, less what goes through the norm's length, becomes that of the update; that of alpha is added.
template <class Base>
BB_INLINE void differentiate_row(const Base* base, const float* update, const float* alpha, const float* state, float ratio,
                                 float mean, float scale, float* gradient, float* for_alpha, const Shape& shape) {
  const int64_t width = shape.width, whole = width / kLanes * kLanes;
  float lanes[kLanes] = {};
  for (int64_t i = 0; i < whole; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) lanes[j] += gradient[i + j] * state[i + j];
  }
  for (int64_t i = whole; i < width; ++i) lanes[i - whole] += gradient[i] * state[i];
  const float along_state = total(lanes) * scale * scale / width;
  for (int64_t j = 0; j < kLanes; ++j) lanes[j] = 0.0f;
  const auto bend = [&](int64_t i, int64_t j) __attribute__((always_inline)) {
    const float h = wide(base, i), p = h + update[i];
    const float g = gradient[i] - along_state * state[i];
    for_alpha[i] += g * (ratio * p - h);
    gradient[i] = g * alpha[i];
    lanes[j] += gradient[i] * p;
  };
  for (int64_t i = 0; i < whole; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) bend(i + j, j);
  }
  for (int64_t i = whole; i < width; ++i) bend(i, i - whole);
  const float along_sum = total(lanes) / (width * mean);
  for (int64_t i = 0; i < width; ++i) gradient[i] = ratio * (gradient[i] - along_sum * (wide(base, i) + update[i]));
}

template <class Base>
struct Rows {
  const Base* base;
  const float *update, *alpha;
  float* state;
  float* statistics;  // [3][rows]
  float* gradient;
  float* for_alpha;  // [pieces][width]
  int64_t rows;
  Shape shape;

  BB_INLINE void fuse(int64_t begin, int64_t end) const {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t at = row * shape.width;
      fuse_row(base + at, update + at, alpha, state + at, statistics + row, statistics + rows + row, statistics + 2 * rows + row,
               shape);
    }
  }

  BB_INLINE void differentiate(int64_t begin, int64_t end) const {
    float* mine = for_alpha + begin / kRowsAtOnce * shape.width;
    for (int64_t row = begin; row < end; ++row) {
      const int64_t at = row * shape.width;
      differentiate_row(base + at, update + at, alpha, state + at, statistics[row], statistics[rows + row],
                        statistics[2 * rows + row], gradient + at, mine, shape);
    }
  }
};

template <class Base>
void run_baseline(const Rows<Base>& rows, int64_t begin, int64_t end, bool forward) {
  forward ? rows.fuse(begin, end) : rows.differentiate(begin, end);
}

#ifdef BB_X86
template <class Base>
BB_AVX2 void run_avx2(const Rows<Base>& rows, int64_t begin, int64_t end, bool forward) {
  forward ? rows.fuse(begin, end) : rows.differentiate(begin, end);
}

template <class Base>
BB_AVX512 void run_avx512(const Rows<Base>& rows, int64_t begin, int64_t end, bool forward) {
  forward ? rows.fuse(begin, end) : rows.differentiate(begin, end);
}
#endif

template <class Base>
void run(const Rows<Base>& rows, bool forward, int level, int threads) {
  auto* code = run_baseline<Base>;
#ifdef BB_X86
  const int best = level < cpu_level() ? level : cpu_level();
  if (best >= avx2) code = run_avx2<Base>;
  if (best >= avx512) code = run_avx512<Base>;
#else
  (void)level;
#endif
  parallel_for(rows.rows, kRowsAtOnce, threads, [&](int64_t begin, int64_t end) {
    // One thread is given all rows at once; sums over rows are cut the same way whatever happens.
    for (int64_t at = begin; at < end; at += kRowsAtOnce) code(rows, at, at + kRowsAtOnce < end ? at + kRowsAtOnce : end, forward);
  });
}

}  // namespace
}  // namespace bb

// base [rows, width] of `type` (0 float32, 1 bfloat16), the rest float32 and contiguous. Forward (gradient null): writes state
// and statistics. Backward: reads them, turns `gradient` into that of the update and adds that of alpha to for_alpha
// [ceil(rows / 64), width]. Returns 0, or 1 when the type is not served.
BB_EXPORT int bb_gated_fusion_cpu(const void* base, const float* update, const float* alpha, float* state, float* statistics,
                                 float* gradient, float* for_alpha, int64_t rows, int64_t width, float fusion_epsilon,
                                 float norm_epsilon, int type, int level, int threads) {
  using namespace bb;
  const Shape shape{width, fusion_epsilon, norm_epsilon};
  const bool forward = gradient == nullptr;
  if (rows < 0 || width < 1 || type < 0 || type > 1) return 1;
  if (type == 0) {
    run(Rows<float>{static_cast<const float*>(base), update, alpha, state, statistics, gradient, for_alpha, rows, shape}, forward,
        level, threads);
  } else {
    run(Rows<uint16_t>{static_cast<const uint16_t*>(base), update, alpha, state, statistics, gradient, for_alpha, rows, shape},
        forward, level, threads);
  }
  return 0;
}
