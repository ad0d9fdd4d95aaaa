// Includes BB_VECTOR_CODE, the name of a header, once for every level of level.h: in a namespace level0, level1 or level2, with
// BB_LANES floats a vector. A file of its own, because attributes of functions are switched by pragmas.
#include "level.h"

namespace level0 {
#define BB_LANES 4
#include BB_VECTOR_CODE
#undef BB_LANES
}  // namespace level0

#ifdef BB_X86
namespace level1 {
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#define BB_LANES 8
#include BB_VECTOR_CODE
#undef BB_LANES
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
}  // namespace level1

namespace level2 {
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma,prefer-vector-width=512")
#endif
#define BB_LANES 16
#include BB_VECTOR_CODE
#undef BB_LANES
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
}  // namespace level2
#endif
#undef BB_VECTOR_CODE
