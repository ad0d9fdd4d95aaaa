// Vectors of BB_LANES floats for code that goes over rows of float32 or bfloat16; included once for every level, in a namespace
// of its own, by the vector code that needs it. The vectors are the compiler's, so that every machine has at least one level.

typedef float F __attribute__((vector_size(4 * BB_LANES)));
typedef int32_t I __attribute__((vector_size(4 * BB_LANES)));
typedef uint32_t U __attribute__((vector_size(4 * BB_LANES)));
typedef uint16_t H __attribute__((vector_size(2 * BB_LANES)));

constexpr int64_t kLanes = BB_LANES;

#define BB_INLINE inline __attribute__((always_inline))

BB_INLINE F fill(float value) { return F{} + value; }

// `count` values, the rest 0; with count = kLanes known at compile time it is one instruction.
BB_INLINE F load(const float* from, int64_t count = kLanes) {
  F value = {};
  std::memcpy(&value, from, static_cast<size_t>(count) * sizeof(float));
  return value;
}

BB_INLINE F load(const uint16_t* from, int64_t count = kLanes) {
  H value = {};
  std::memcpy(&value, from, static_cast<size_t>(count) * sizeof(uint16_t));
  return (F)(__builtin_convertvector(value, U) << 16);
}

BB_INLINE void store(float* to, F value, int64_t count = kLanes) {
  std::memcpy(to, &value, static_cast<size_t>(count) * sizeof(float));
}

// Rounded to the nearest, ties to even; NaN stays NaN.
BB_INLINE void store(uint16_t* to, F value, int64_t count = kLanes) {
  const U bits = (U)value;
  const U rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const H narrow = __builtin_convertvector(value == value ? rounded : (bits >> 16) | 0x40u, H);
  std::memcpy(to, &narrow, static_cast<size_t>(count) * sizeof(uint16_t));
}

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

// body(i, count) for whole vectors, then for what is left.
template <class Body>
BB_INLINE void each(int64_t width, const Body& body) {
  const int64_t whole = width / kLanes * kLanes;
  for (int64_t i = 0; i < whole; i += kLanes) body(i, kLanes);
  if (whole < width) body(whole, width - whole);
}
