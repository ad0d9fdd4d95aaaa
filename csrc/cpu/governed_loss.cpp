// What is read off a row of logits, and their gradient: `bbkernels/governed_loss/narrow.py` says which formulas. The products
// with the head are PyTorch's. Between them each logit is read twice and written once, and its exponential taken in a register.
#include "governed_loss.h"

#include <cmath>
#include <cstring>

#include "../interface.h"
#include "level.h"
#include "parallel.h"

namespace bb {
namespace governed_loss {

#define BB_VECTOR_CODE "governed_loss_vector.h"
#include "levels.h"

}  // namespace governed_loss
}  // namespace bb

// Forward without job->slopes: writes the readings asked for by what is given, and masses. Backward: reads masses, writes slopes;
// for_cross_entropy is 0 where the label is no token, for_energy where no token is legal.
BB_EXPORT void bb_governed_loss_cpu(const bb::governed_loss::Job* job, int level, int threads) {
  using namespace bb::governed_loss;
  auto* code = level0::pass;
#ifdef BB_X86
  const int best = level < bb::cpu_level() ? level : bb::cpu_level();
  if (best >= bb::avx2) code = level1::pass;
  if (best >= bb::avx512) code = level2::pass;
#else
  (void)level;
#endif
  bb::parallel_for(job->rows, 4, threads, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) code(*job, row);
  });
}
