// Causal attention of the newest tokens of many sequences over pages of keys and values.
//
// A token and a head of the cache are one piece of work: its query heads share what is read. Positions are taken in order, in
// tiles that begin at multiples of kTile, and sums in fixed lanes, so that a row's bits depend on that row alone: not on the
// rows beside it, on how many threads there are, or on how a prompt was cut into calls.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "../interface.h"
#include "level.h"
#include "parallel.h"

namespace bb {
namespace {

constexpr int kLanes = 16;
constexpr int kTile = kLanes;  // positions whose scores are held at once
constexpr int kSize = 256;     // largest head
constexpr int kGroup = 16;     // query heads of a head of the cache that are done together
constexpr int64_t kAlone = 1 << 15;  // products below which waking other threads costs more than it saves

#define BB_INLINE inline __attribute__((always_inline))

struct Shape {
  const int32_t *table, *starts, *lengths;
  const float* sinks;
  int64_t sequences, width, heads, groups, size, page, window;
  float scale, cap;
};

BB_INLINE float widen(float value) { return value; }
BB_INLINE float widen(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, 4);
  return value;
}
BB_INLINE void narrow(float value, float* to) { *to = value; }
BB_INLINE void narrow(float value, uint16_t* to) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  const uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  *to = static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? bits >> 16 | 0x40u : rounded);
}

typedef float Lanes __attribute__((vector_size(64)));
typedef int32_t Integers __attribute__((vector_size(64)));

constexpr Integers kPlaces = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

#if defined(__clang__) || __GNUC__ >= 12
#define BB_TAKE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define BB_TAKE(a, b, ...) __builtin_shuffle(a, b, Integers{__VA_ARGS__})
#endif

BB_INLINE Lanes load(const float* from) {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof lanes);
  return lanes;
}
BB_INLINE Lanes load(const uint16_t* from) {
  float wide[kLanes];
  for (int i = 0; i < kLanes; ++i) wide[i] = widen(from[i]);
  return load(wide);
}
template <class Type>
BB_INLINE Lanes load_part(const Type* from, int64_t count) {
  float wide[kLanes] = {};
  for (int64_t i = 0; i < count; ++i) wide[i] = widen(from[i]);
  return load(wide);
}

// Lane i of the result is the sum of the lanes of v[i]: halves are added, of two vectors at a time, four times over.
BB_INLINE Lanes sums(const Lanes* v) {
  Lanes a[8], b[4], c[2];
  for (int i = 0; i < 8; ++i) {
    a[i] = BB_TAKE(v[i], v[i + 8], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
           BB_TAKE(v[i], v[i + 8], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
  }
  for (int i = 0; i < 4; ++i) {
    b[i] = BB_TAKE(a[i], a[i + 4], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27) +
           BB_TAKE(a[i], a[i + 4], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
  }
  for (int i = 0; i < 2; ++i) {
    c[i] = BB_TAKE(b[i], b[i + 2], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29) +
           BB_TAKE(b[i], b[i + 2], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
  }
  return BB_TAKE(c[0], c[1], 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30) +
         BB_TAKE(c[0], c[1], 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31);
}

// e^x for x <= 0: 2^n times a polynomial of degree 6 for 2^f, f in [-1/2, 1/2] (relative error below 2e-7); 0 below -87.
BB_INLINE Lanes exponential(Lanes x) {
  const Lanes t = (x < -87.0f ? Lanes{} - 87.0f : x) * 1.44269504088896341f;
  const Lanes n = (t + 12582912.0f) - 12582912.0f;  // 1.5 * 2^23 rounds to an integer
  const Lanes f = t - n;
  Lanes p = f * 1.5403530393381608e-4f + 1.3333558146428443e-3f;
  p = p * f + 9.6181291076284772e-3f;
  p = p * f + 5.5504108664821580e-2f;
  p = p * f + 2.4022650695910071e-1f;
  p = p * f + 6.9314718055994531e-1f;
  p = p * f + 1.0f;
  const Integers power = (__builtin_convertvector(n, Integers) + 127) << 23;
  Lanes two;
  std::memcpy(&two, &power, sizeof two);
  return x < -87.0f ? Lanes{} : p * two;
}

// The largest lane; NaN is passed over, since it comes back with its own exponential.
BB_INLINE float largest_of(Lanes v) {
  Lanes other = BB_TAKE(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15);
  v = v > other ? v : other;
  other = BB_TAKE(v, v, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7);
  v = v > other ? v : other;
  const float a = v[0] > v[1] ? v[0] : v[1], b = v[2] > v[3] ? v[2] : v[3];
  return a > b ? a : b;
}

BB_INLINE float sum_of(Lanes v) {
  v += BB_TAKE(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15);
  v += BB_TAKE(v, v, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7);
  return (v[0] + v[2]) + (v[1] + v[3]);
}

// One token and one head of the cache. `query` and `out` are those of its first query head.
template <class Type>
BB_INLINE void attend(const Shape& s, const Type* query, const Type* keys, const Type* values, const int32_t* pages,
                      int64_t position, int64_t group, Type* out) {
  const int64_t members = s.heads / s.groups, size = s.size, whole = size / kLanes, parts = (size + kLanes - 1) / kLanes;
  const int64_t place_stride = s.groups * size, page_stride = s.page * place_stride;
  const int64_t first = s.window && position >= s.window ? position - s.window + 1 : 0;
  for (int64_t member = 0; member < members; member += kGroup) {
    const int many = static_cast<int>(std::min<int64_t>(kGroup, members - member));
    Lanes q[kGroup][kSize / kLanes], sum[kGroup][kSize / kLanes];
    float largest[kGroup], mass[kGroup];
    for (int h = 0; h < many; ++h) {
      const Type* mine = query + (member + h) * size;
      for (int64_t part = 0; part < parts; ++part) {
        q[h][part] = load_part(mine + part * kLanes, std::min<int64_t>(kLanes, size - part * kLanes)) * s.scale;
        sum[h][part] = Lanes{};
      }
      const float* sink = s.sinks ? s.sinks + group * members + member + h : nullptr;
      largest[h] = sink ? *sink : -INFINITY;
      mass[h] = sink ? 1.0f : 0.0f;
    }
    for (int64_t tile = first / kTile * kTile; tile <= position; tile += kTile) {
      const int begin = static_cast<int>(std::max<int64_t>(first - tile, 0));
      const int end = static_cast<int>(std::min<int64_t>(position - tile + 1, kTile));
      int64_t offset[kTile], page = (tile + begin) / s.page, place = (tile + begin) % s.page;
      for (int j = begin; j < end; ++j) {
        offset[j] = pages[page] * page_stride + place * place_stride + group * size;
        if (++place == s.page) {
          place = 0;
          ++page;
        }
      }
      for (int h = 0; h < many; ++h) {
        Lanes products[kTile];
        for (int j = 0; j < kTile; ++j) products[j] = Lanes{};
        for (int j = begin; j < end; ++j) {
          const Type* key = keys + offset[j];
          Lanes product{};
          for (int64_t part = 0; part < whole; ++part) product += q[h][part] * load(key + part * kLanes);
          if (whole < parts) product += q[h][whole] * load_part(key + whole * kLanes, size - whole * kLanes);
          products[j] = product;
        }
        Lanes scores = sums(products);
        if (s.cap > 0.0f) {
          for (int j = begin; j < end; ++j) scores[j] = s.cap * std::tanh(scores[j] / s.cap);
        }
        const Integers seen = kPlaces >= begin & kPlaces < end;
        scores = seen ? scores : Lanes{} - INFINITY;
        const float here = largest_of(scores);
        const float now = here > largest[h] ? here : largest[h];
        const float shrink = largest[h] == now ? 1.0f : std::exp(largest[h] - now);
        const Lanes weights = seen ? exponential(scores - now) : Lanes{};
        alignas(64) float score[kTile];
        std::memcpy(score, &weights, sizeof score);
        mass[h] = mass[h] * shrink + sum_of(weights);
        largest[h] = now;
        for (int64_t part = 0; part < parts; ++part) {
          Lanes mine = sum[h][part] * shrink;
          if (part < whole) {
            for (int j = begin; j < end; ++j) mine += score[j] * load(values + offset[j] + part * kLanes);
          } else {
            for (int j = begin; j < end; ++j) {
              mine += score[j] * load_part(values + offset[j] + part * kLanes, size - part * kLanes);
            }
          }
          sum[h][part] = mine;
        }
      }
    }
    for (int h = 0; h < many; ++h) {
      const float share = 1.0f / mass[h];
      for (int64_t part = 0; part < parts; ++part) {
        const Lanes result = sum[h][part] * share;
        const int64_t count = std::min<int64_t>(kLanes, size - part * kLanes);
        for (int64_t i = 0; i < count; ++i) narrow(result[i], out + (member + h) * size + part * kLanes + i);
      }
    }
  }
}

template <class Type>
using Attend = void (*)(const Shape&, const Type*, const Type*, const Type*, const int32_t*, int64_t, int64_t, Type*);

template <class Type>
void attend_baseline(const Shape& s, const Type* q, const Type* k, const Type* v, const int32_t* pages, int64_t position,
                     int64_t group, Type* out) {
  attend<Type>(s, q, k, v, pages, position, group, out);
}

#ifdef BB_X86
template <class Type>
BB_AVX2 void attend_avx2(const Shape& s, const Type* q, const Type* k, const Type* v, const int32_t* pages, int64_t position,
                         int64_t group, Type* out) {
  attend<Type>(s, q, k, v, pages, position, group, out);
}

template <class Type>
BB_AVX512 void attend_avx512(const Shape& s, const Type* q, const Type* k, const Type* v, const int32_t* pages,
                             int64_t position, int64_t group, Type* out) {
  attend<Type>(s, q, k, v, pages, position, group, out);
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
void run(const Shape& s, const void* query, const void* keys, const void* values, void* out, int level, int threads) {
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
  const bb::Shape shape{table, starts, lengths, sinks, sequences, width, heads, groups, size, page, window, scale, cap};
  if (type == 0) {
    bb::run<float>(shape, query, keys, values, out, level, threads);
  } else {
    bb::run<uint16_t>(shape, query, keys, values, out, level, threads);
  }
}
