// What a rail computes at the base's width beside each tap, row by row: `builderbrain/rail/tap_reading.py` says which formulas.
// The products with narrow matrices are PyTorch's; here is what lies between them, whose arrays would else be read and written
// a dozen times each.
#include "gated_fusion.h"

#include <cmath>
#include <cstring>
#include <type_traits>

#include "../interface.h"
#include "level.h"
#include "parallel.h"

namespace bb {
namespace gated_fusion {

#define BB_VECTOR_CODE "gated_fusion_vector.h"
#include "levels.h"

namespace {

template <class Base, class Wide>
void run(const Rows<Base, Wide>& rows, int level, int threads) {
  auto* code = level0::pass<Base, Wide>;
#ifdef BB_X86
  const int best = level < cpu_level() ? level : cpu_level();
  if (best >= avx2) code = level1::pass<Base, Wide>;
  if (best >= avx512) code = level2::pass<Base, Wide>;
#else
  (void)level;
#endif
  parallel_for(rows.rows, kRowsAtOnce, threads, [&](int64_t begin, int64_t end) {
    // One thread is given all rows at once; sums over rows are cut the same way whatever happens.
    for (int64_t at = begin; at < end; at += kRowsAtOnce) code(rows, at, at + kRowsAtOnce < end ? at + kRowsAtOnce : end);
  });
}

}  // namespace
}  // namespace gated_fusion
}  // namespace bb

// base [rows, width] of `type` (0 float32; 1 and 2 bfloat16); update, state and gradient [rows, width] float32, or bfloat16 for
// type 2; the rest float32; all contiguous. Forward (gradient null): writes state and statistics. Backward: reads them, turns
// `gradient` into that of the update and adds that of alpha to for_alpha [ceil(rows / 64), width]. Returns 0, or 1 when the type
// is not served.
BB_EXPORT int bb_gated_fusion_cpu(const void* base, const void* update, const float* alpha, void* state, float* statistics,
                                 void* gradient, float* for_alpha, int64_t rows, int64_t width, float fusion_epsilon,
                                 float norm_epsilon, int type, int level, int threads) {
  using namespace bb::gated_fusion;
  if (rows < 0 || width < 1 || type < 0 || type > 2) return 1;
  const auto go = [&](auto* of_base, auto* of_state) {
    using Base = std::remove_pointer_t<decltype(of_base)>;
    using Wide = std::remove_pointer_t<decltype(of_state)>;
    const Rows<Base, Wide> all{static_cast<const Base*>(base), static_cast<const Wide*>(update), alpha, static_cast<Wide*>(state),
                               statistics, static_cast<Wide*>(gradient), for_alpha, rows, width, fusion_epsilon, norm_epsilon};
    run(all, level, threads);
  };
  float* const single = nullptr;
  uint16_t* const half = nullptr;
  if (type == 0) go(single, single);
  if (type == 1) go(half, single);
  if (type == 2) go(half, half);
  return 0;
}
