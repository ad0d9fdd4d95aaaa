// Vectors of sixteen floats that every level compiles to its own instructions: code is written once, is inlined into one function
// per level, and adds in the same order in each.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

// Everything here is inlined, so that no vector is ever handed from one function to another.
#ifdef __GNUC__
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

#define BB_INLINE inline __attribute__((always_inline))
#define BB_LAMBDA __attribute__((always_inline))

namespace bb {

constexpr int kLanes = 16;

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

BB_INLINE Lanes sigmoid(Lanes x) {
  const Lanes e = exponential(x < 0.0f ? x : -x);
  return (x < 0.0f ? e : Lanes{} + 1.0f) / (1.0f + e);
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

}  // namespace bb
