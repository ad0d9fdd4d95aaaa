// Causal attention of the newest tokens of many sequences over pages of keys and values.
//
// A token and a head of the cache are one piece of work; see paged_attention.h.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "../interface.h"
#include "level.h"
#include "paged_attention.h"
#include "parallel.h"

namespace bb {
namespace {

constexpr int64_t kAlone = 1 << 15;  // products below which waking other threads costs more than it saves

template <class Type>
using Attend = void (*)(const PagedShape&, const Type*, const Type*, const Type*, const int32_t*, int64_t, int64_t, Type*);

template <class Type>
void attend_baseline(const PagedShape& s, const Type* q, const Type* k, const Type* v, const int32_t* pages, int64_t position,
                     int64_t group, Type* out) {
  attend_paged<Type>(s, q, k, v, pages, position, group, out);
}

#ifdef BB_X86
template <class Type>
BB_AVX2 void attend_avx2(const PagedShape& s, const Type* q, const Type* k, const Type* v, const int32_t* pages, int64_t position,
                         int64_t group, Type* out) {
  attend_paged<Type>(s, q, k, v, pages, position, group, out);
}

template <class Type>
BB_AVX512 void attend_avx512(const PagedShape& s, const Type* q, const Type* k, const Type* v, const int32_t* pages,
                             int64_t position, int64_t group, Type* out) {
  attend_paged<Type>(s, q, k, v, pages, position, group, out);
}
#endif

template <class Type>
Attend<Type> best(int level) {
#ifdef BB_X86
  level = std::min(level, cpu_level());
  if (level >= avx512) return attend_avx512<Type>;
  if (level >= avx2) return attend_avx2<Type>;
#endif
  (void)level;
  return attend_baseline<Type>;
}

template <class Type>
void run(const PagedShape& s, const void* query, const void* keys, const void* values, void* out, int level, int threads) {
  const int64_t rows = s.starts[s.sequences];
  std::vector<int32_t> owner(rows);
  int64_t products = 0;
  for (int64_t n = 0; n < s.sequences; ++n) {
    for (int64_t row = s.starts[n]; row < s.starts[n + 1]; ++row) owner[row] = static_cast<int32_t>(n);
    products += static_cast<int64_t>(s.starts[n + 1] - s.starts[n]) * s.lengths[n] * s.heads * s.size;
  }
  const Attend<Type> one = best<Type>(level);
  const int64_t members = s.heads / s.groups;
  parallel_for(rows * s.groups, 4, products < kAlone ? 1 : threads, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t row = piece / s.groups, group = piece % s.groups, n = owner[row];
      const int64_t at = (row * s.heads + group * members) * s.size;
      one(s, static_cast<const Type*>(query) + at, static_cast<const Type*>(keys), static_cast<const Type*>(values),
          s.table + n * s.width, s.lengths[n] - s.starts[n + 1] + row, group, static_cast<Type*>(out) + at);
    }
  });
}

}  // namespace
}  // namespace bb

// query and out [N, heads, size], keys and values [P, page, groups, size], all float32 (type 0) or bfloat16 (1); table
// [sequences, width], starts [sequences + 1], lengths [sequences]; sinks [heads] or null; window and cap 0 for none.
BB_EXPORT void bb_ragged_attention_cpu(const void* query, const void* keys, const void* values, const int32_t* table,
                                       const int32_t* starts, const int32_t* lengths, const float* sinks, void* out,
                                       int64_t sequences, int64_t width, int64_t heads, int64_t groups, int64_t size,
                                       int64_t page, float scale, int64_t window, float cap, int type, int level, int threads) {
  const bb::PagedShape shape{table, starts, lengths, sinks, sequences, width, heads, groups, size, page, window, scale, cap};
  if (type == 0) {
    bb::run<float>(shape, query, keys, values, out, level, threads);
  } else {
    bb::run<uint16_t>(shape, query, keys, values, out, level, threads);
  }
}
