// Vectors of BB_LANES floats for code that goes over rows of float32 or bfloat16; included once for every level, in a namespace
// of its own, by the vector code that needs it. The vectors are the compiler's, so that every machine has at least one level.

typedef float F __attribute__((vector_size(4 * BB_LANES)));
typedef int32_t I __attribute__((vector_size(4 * BB_LANES)));
typedef uint32_t U __attribute__((vector_size(4 * BB_LANES)));
typedef uint16_t H __attribute__((vector_size(2 * BB_LANES)));

constexpr int64_t kLanes = BB_LANES;

#define BB_INLINE inline __attribute__((always_inline))

BB_INLINE F fill(float value) { return F{} + value; }

// All lanes, where a number of lanes is asked for.
struct Whole {
  operator int64_t() const { return kLanes; }
};

BB_INLINE F widened(H value) { return (F)(__builtin_convertvector(value, U) << 16); }

// Rounded to the nearest, ties to even; NaN stays NaN.
BB_INLINE H rounded(F value) {
  const U bits = (U)value;
  const U near = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return __builtin_convertvector(value == value ? near : (bits >> 16) | 0x40u, H);
}

BB_INLINE F load(const float* from, Whole = {}) {
  F value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

BB_INLINE F load(const uint16_t* from, Whole = {}) {
  H value;
  std::memcpy(&value, from, sizeof value);
  return widened(value);
}

BB_INLINE void store(float* to, F value, Whole = {}) { std::memcpy(to, &value, sizeof value); }

BB_INLINE void store(uint16_t* to, F value, Whole = {}) {
  const H narrow = rounded(value);
  std::memcpy(to, &narrow, sizeof narrow);
}

// `count` values, fewer than a vector holds; the rest 0.
#if defined(BB_X86) && BB_LANES == 16
BB_INLINE F load(const float* from, int64_t count) {
  return (F)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1u), from);
}

BB_INLINE F load(const uint16_t* from, int64_t count) {
  return widened((H)_mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << count) - 1u), from));
}

BB_INLINE void store(float* to, F value, int64_t count) {
  _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1u), (__m512)value);
}

BB_INLINE void store(uint16_t* to, F value, int64_t count) {
  _mm256_mask_storeu_epi16(to, static_cast<__mmask16>((1u << count) - 1u), (__m256i)rounded(value));
}
#else
BB_INLINE F load(const float* from, int64_t count) {
  F value = {};
  for (int64_t i = 0; i < count; ++i) value[i] = from[i];
  return value;
}

BB_INLINE F load(const uint16_t* from, int64_t count) {
  H value = {};
  for (int64_t i = 0; i < count; ++i) value[i] = from[i];
  return widened(value);
}

BB_INLINE void store(float* to, F value, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = value[i];
}

BB_INLINE void store(uint16_t* to, F value, int64_t count) {
  const H narrow = rounded(value);
  for (int64_t i = 0; i < count; ++i) to[i] = narrow[i];
}
#endif

BB_INLINE float total(F lanes) {
  float sum = 0.0f;
  for (int64_t i = 0; i < kLanes; ++i) sum += lanes[i];
  return sum;
}

BB_INLINE float highest(F lanes) {
  float best = lanes[0];
  for (int64_t i = 1; i < kLanes; ++i) best = lanes[i] > best ? lanes[i] : best;
  return best;
}

// Within 2^-22 of e^x for x <= 0, and 0 below -87. NaN stays NaN.
BB_INLINE F exponential(F x) {
  const I vanishes = x < -87.0f;
  x = vanishes ? fill(-87.0f) : x;
  const F n = (x * 1.4426950408889634f + 12582912.0f) - 12582912.0f;
  const F r = (x - n * 0.693359375f) + n * 2.12194440054690583e-4f;
  F series = r * (1.0f / 5040) + 1.0f / 720;
  series = series * r + 1.0f / 120;
  series = series * r + 1.0f / 24;
  series = series * r + 1.0f / 6;
  series = series * r + 0.5f;
  series = series * r + 1.0f;
  series = series * r + 1.0f;
  const F power = (F)((__builtin_convertvector(n, I) + 127) << 23);
  return vanishes ? F{} : series * power;
}

// body(i, Whole{}) for whole vectors, then body(i, count) for what is left.
template <class Body>
BB_INLINE void each(int64_t width, const Body& body) {
  const int64_t whole = width / kLanes * kLanes;
  for (int64_t i = 0; i < whole; i += kLanes) body(i, Whole{});
  if (whole < width) body(whole, width - whole);
}
