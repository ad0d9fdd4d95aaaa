// Each row through the adapter of its own skill, out = up[k]^T silu(down[k]^T x): a few hundred numbers of arithmetic a row, so
// that what PyTorch does around them is what it costs.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../interface.h"
#include "level.h"
#include "parallel.h"

namespace bb {
namespace skill_adapter {

// x, out, gradient [N, width]; down, up and their gradients [K, rank, width]; hidden [N, rank]; skill [N] in 0..K - 1.
struct Job {
  const float* x;
  const int64_t* skill;
  const float *down, *up;
  float *hidden, *out;
  const float* gradient;
  float *for_down, *for_up;
  int64_t width, rank;
};

#define BB_VECTOR_CODE "skill_adapter_vector.h"
#include "levels.h"

}  // namespace skill_adapter
}  // namespace bb

// All float32 and contiguous. Forward (gradient null): writes hidden and out. Backward: reads hidden, writes the gradient of x to
// out and adds those of the adapters, by one thread and in the order of rows. Returns 1, before anything is done, when a skill is
// not in 0..skills - 1, else 0.
BB_EXPORT int bb_skill_adapter_cpu(const float* x, const int64_t* skill, const float* down, const float* up, float* hidden,
                                   float* out, const float* gradient, float* for_down, float* for_up, int64_t rows,
                                   int64_t width, int64_t skills, int64_t rank, int level, int threads) {
  using namespace bb::skill_adapter;
  for (int64_t row = 0; row < rows; ++row) {
    if (skill[row] < 0 || skill[row] >= skills) return 1;
  }
  const Job job{x, skill, down, up, hidden, out, gradient, for_down, for_up, width, rank};
  auto* code = level0::pass;
#ifdef BB_X86
  const int best = level < bb::cpu_level() ? level : bb::cpu_level();
  if (best >= bb::avx2) code = level1::pass;
  if (best >= bb::avx512) code = level2::pass;
#else
  (void)level;
#endif
  bb::parallel_for(rows, 64, gradient == nullptr ? threads : 1, [&](int64_t begin, int64_t end) { code(job, begin, end); });
  return 0;
}
