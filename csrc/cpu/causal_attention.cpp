// Attention of every token to itself and those before it, as rails are trained with: rotary embedding, memory slots that all
// see, and scores of the reading head's window included. Scores and probabilities are made for eight queries at a time and
// never leave the first caches; the backward pass makes them again from the logarithm of their sum (Dao et al. 2022).
//
// At 256 tokens and 32 channels, PyTorch's forms of it spend more time between products than on them, and as much on keys that
// a query does not see as on those it does.

#include "causal_attention.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "../interface.h"
#include "level.h"
#include "parallel.h"

namespace bb {
namespace causal_attention {

#define BB_VECTOR_CODE "causal_attention_vector.h"
#include "levels.h"

namespace {

using Code = void (*)(const Job&, int64_t row, int64_t group, const Keys&);

Code code_of(int level, bool forward) {
#ifdef BB_X86
  const int best = level < cpu_level() ? level : cpu_level();
  if (best >= avx512) return forward ? level2::attend : level2::differentiate;
  if (best >= avx2) return forward ? level1::attend : level1::differentiate;
#else
  (void)level;
#endif
  return forward ? level0::attend : level0::differentiate;
}

// Scratch for one head's keys, whose memory is the thread's.
Keys keys_of(const Job& job, int64_t row) {
  static thread_local std::vector<float> scratch;
  const int64_t seen = job.memory ? job.lengths[row] : 0, count = seen + job.tokens;
  const int64_t stride = (count + kColumns - 1) / kColumns * kColumns, array = stride * kSize;
  scratch.resize(static_cast<size_t>(6 * array + 2 * kQueries * stride + 16));
  float* at = scratch.data();
  at += (64 - reinterpret_cast<uintptr_t>(at) % 64) / sizeof(float) % 16;
  Keys keys{seen, count, stride, at, at + array, at + 2 * array, at + 3 * array, at + 4 * array, at + 5 * array, nullptr, nullptr};
  keys.scores = at + 6 * array;
  keys.slopes = keys.scores + kQueries * stride;
  return keys;
}

}  // namespace
}  // namespace causal_attention
}  // namespace bb

// Forward without job->gradient, backward with it; lengths are in 0..slots, places at least 0, heads a multiple of groups.
BB_EXPORT void bb_causal_attention_cpu(const bb::causal_attention::Job* job, int level, int threads) {
  using namespace bb::causal_attention;
  const Code code = code_of(level, job->gradient == nullptr);
  bb::parallel_for(job->rows * job->groups, 1, threads, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; ++at) code(*job, at / job->groups, at % job->groups, keys_of(*job, at / job->groups));
  });
}
