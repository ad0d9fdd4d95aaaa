// One function at every level of level.h: BB_AT_EVERY_LEVEL(run, (int x), (x)) makes of an inlined `run` the function
// `run_at(level)`, which gives the form for that level, or for the highest one below it that this machine has.
#pragma once

#include "level.h"

#ifdef BB_X86
#define BB_AT_EVERY_LEVEL(name, parameters, arguments)         \
  void name##_baseline parameters { name arguments; }          \
  BB_AVX2 void name##_avx2 parameters { name arguments; }      \
  BB_AVX512 void name##_avx512 parameters { name arguments; }  \
  auto name##_at(int level)->void(*) parameters {              \
    const int best = level < cpu_level() ? level : cpu_level(); \
    if (best >= avx512) return name##_avx512;                  \
    return best >= avx2 ? name##_avx2 : name##_baseline;       \
  }
#else
#define BB_AT_EVERY_LEVEL(name, parameters, arguments) \
  void name##_baseline parameters { name arguments; }  \
  auto name##_at(int)->void(*) parameters { return name##_baseline; }
#endif
