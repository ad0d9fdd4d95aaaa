// Which instructions this machine has. Code for higher levels is compiled beside the baseline by target attributes and chosen
// at run time; every function takes the level as an argument, so that tests can run each one that the machine has.
#pragma once

#if defined(__x86_64__)
// GCC 12 warns about its own intrinsics, which start from a value left undefined on purpose.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#define BB_X86 1
#define BB_AVX2 __attribute__((target("avx2,fma,f16c")))
#define BB_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")))
#endif

namespace bb {

enum Level : int { baseline = 0, avx2 = 1, avx512 = 2 };

inline int cpu_level() {
#ifdef BB_X86
  static const int level = [] {
    __builtin_cpu_init();
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return has_avx2 && has_avx512 ? avx512 : has_avx2 ? avx2 : baseline;
  }();
  return level;
#else
  return baseline;
#endif
}

inline bool cpu_multiplies_bfloat16() {
#ifdef BB_X86
  __builtin_cpu_init();
  return cpu_level() >= avx512 && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

}  // namespace bb
