// RMSNorm of a rail's narrow stream, whose eight or so operations under autograd take longer than the numbers do.
#include <cmath>
#include <cstdint>
#include <cstring>

#include "../interface.h"
#include "level.h"
#include "parallel.h"

namespace bb {
namespace rms_norm {

constexpr int64_t kRowsAtOnce = 64;  // a multiple of it is where a thread's rows begin, whatever the number of threads

struct Rows {
  const float *x, *weight;
  float *scale, *out;
  const float* gradient;
  float* for_weight;  // [pieces][width]
  int64_t rows, width;
  float epsilon;
};

#define BB_VECTOR_CODE "rms_norm_vector.h"
#include "levels.h"

}  // namespace rms_norm
}  // namespace bb

// x, out [rows, width], weight [width], scale [rows], all float32 and contiguous. Forward (gradient null): writes out and scale.
// Backward: reads scale, writes the gradient of x to out and adds that of the weight to for_weight [ceil(rows / 64), width].
BB_EXPORT void bb_rms_norm_cpu(const float* x, const float* weight, float* scale, float* out, const float* gradient,
                               float* for_weight, int64_t rows, int64_t width, float epsilon, int level, int threads) {
  using namespace bb::rms_norm;
  const Rows all{x, weight, scale, out, gradient, for_weight, rows, width, epsilon};
  auto* code = level0::pass;
#ifdef BB_X86
  const int best = level < bb::cpu_level() ? level : bb::cpu_level();
  if (best >= bb::avx2) code = level1::pass;
  if (best >= bb::avx512) code = level2::pass;
#else
  (void)level;
#endif
  bb::parallel_for(rows, kRowsAtOnce, threads, [&](int64_t begin, int64_t end) {
    // One thread is given all rows at once; sums over rows are cut the same way whatever happens.
    for (int64_t at = begin; at < end; at += kRowsAtOnce) code(all, at, at + kRowsAtOnce < end ? at + kRowsAtOnce : end);
  });
}
