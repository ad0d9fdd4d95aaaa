// y = x W^T + b with W [N, K] in bitsandbytes' NF4 storage, for few rows of x, and W unpacked for many.
//
// A row of W is read once: 64 weights, which share a scale, are unpacked into registers and multiplied with every row of x; the
// scale is applied to the sum of the 64 products. K is a multiple of 64, so that no scale is shared by two rows of W.
//
// Unpacking with AVX2: a word of 8 nibbles is spread over 8 lanes and shifted, each lane by its own amount; vpermps reads the
// low three bits of a lane as an index into one half of the table, and the fourth bit, moved to the sign, chooses the half.
// With AVX-512 one vpermps reads all sixteen values.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "../interface.h"
#include "level.h"
#include "parallel.h"

namespace bb {
namespace {

constexpr int64_t kGroup = 64;        // weights with one scale
constexpr int64_t kNested = 256;      // 8-bit scales with one scale
constexpr int kRows = 16;             // most rows of x
constexpr int kTile = 8;              // rows of W that pass over the same part of x
constexpr int64_t kInCache = 4096;    // values of x that stay in the first cache meanwhile
constexpr int64_t kAlone = 1 << 18;   // products below which waking other threads costs more than it saves

enum Type : int { float32 = 0, bfloat16 = 1 };

struct alignas(64) Lanes {
  float value[16];  // partial sums side by side; levels with shorter vectors use the first eight
};

struct Weight {
  const uint8_t* packed;
  const float* code;
  const void* absmax;  // float, or uint8_t with the three below
  const float* nested_absmax;
  const float* nested_code;
  const float* offset;
  int64_t width;  // K

  float scale(int64_t group) const {
    if (!nested_absmax) return static_cast<const float*>(absmax)[group];
    return nested_code[static_cast<const uint8_t*>(absmax)[group]] * nested_absmax[group / kNested] + *offset;
  }
};

float widen(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, 4);
  return value;
}

uint16_t round_to_bfloat16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>(bits >> 16 | 0x40u);  // NaN stays NaN
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

// 64 values. Without branches, so that levels with vectors need no code of their own: it is inlined into theirs.
inline __attribute__((always_inline)) void narrow_group(const float* from, uint16_t* to) {
  uint32_t bits[kGroup];
  std::memcpy(bits, from, sizeof bits);
  for (int i = 0; i < kGroup; ++i) {
    const uint32_t rounded = (bits[i] + 0x7fffu + (bits[i] >> 16 & 1u)) >> 16;
    to[i] = static_cast<uint16_t>((bits[i] & 0x7fffffffu) > 0x7f800000u ? bits[i] >> 16 | 0x40u : rounded);
  }
}

float load(Type type, const void* from, int64_t index) {
  return type == float32 ? static_cast<const float*>(from)[index] : widen(static_cast<const uint16_t*>(from)[index]);
}

void store(float value, Type type, void* to, int64_t index) {
  if (type == float32) {
    static_cast<float*>(to)[index] = value;
  } else {
    static_cast<uint16_t*>(to)[index] = round_to_bfloat16(value);
  }
}

// Adds W[row, begin..end] . x[m, begin..end] to the lanes of partial[m], for every row m of x; begin and end are whole groups.
// x is ordered [K / 64][rows][64]: rows far apart would fall on the same lines of the first cache.
using Product = void (*)(const Weight&, int64_t row, int64_t begin, int64_t end, const float* x, int rows, Lanes* partial);
using Total = float (*)(const Lanes&);
// 64 weights of one scale.
using Unpack = void (*)(const uint8_t* packed, const float* code, float scale, float* out);
using Narrow = void (*)(const float* from, uint16_t* to);

struct Code {
  Product product;
  Total total;
  Unpack unpack;
  Narrow narrow;
};

void narrow_baseline(const float* from, uint16_t* to) { narrow_group(from, to); }

void unpack_baseline(const uint8_t* packed, const float* code, float scale, float* out) {
  for (int i = 0; i < kGroup / 2; ++i) {
    out[2 * i] = code[packed[i] >> 4] * scale;
    out[2 * i + 1] = code[packed[i] & 15] * scale;
  }
}

void product_baseline(const Weight& w, int64_t row, int64_t begin, int64_t end, const float* x, int rows, Lanes* partial) {
  float values[kGroup];
  for (int64_t k = begin; k < end; k += kGroup) {
    unpack_baseline(w.packed + (row * w.width + k) / 2, w.code, w.scale((row * w.width + k) / kGroup), values);
    for (int m = 0; m < rows; ++m) {
      const float* part = x + k * rows + m * kGroup;
      float sum[8];
      std::memcpy(sum, partial[m].value, sizeof sum);
      for (int i = 0; i < kGroup; i += 8) {
        for (int j = 0; j < 8; ++j) sum[j] += values[i + j] * part[i + j];
      }
      std::memcpy(partial[m].value, sum, sizeof sum);
    }
  }
}

float total_baseline(const Lanes& lanes) {
  float sum = 0.0f;
  for (int j = 0; j < 8; ++j) sum += lanes.value[j];
  return sum;
}

#ifdef BB_X86

struct Table {
  __m256 low, high;
};

// 8 weights from 4 bytes. Bytes hold the earlier weight in their high half, words the earlier byte in their low one.
BB_AVX2 inline __m256 unpack_8(const uint8_t* packed, const Table& table) {
  int32_t word;
  std::memcpy(&word, packed, 4);
  const __m256i spread = _mm256_set1_epi32(word);
  const __m256i index = _mm256_srlv_epi32(spread, _mm256_setr_epi32(4, 0, 12, 8, 20, 16, 28, 24));
  const __m256i upper = _mm256_sllv_epi32(spread, _mm256_setr_epi32(24, 28, 16, 20, 8, 12, 0, 4));
  return _mm256_blendv_ps(_mm256_permutevar8x32_ps(table.low, index), _mm256_permutevar8x32_ps(table.high, index),
                          _mm256_castsi256_ps(upper));
}

BB_AVX2 inline Table table_of(const float* code) { return {_mm256_loadu_ps(code), _mm256_loadu_ps(code + 8)}; }

BB_AVX2 void unpack_avx2(const uint8_t* packed, const float* code, float scale, float* out) {
  const Table table = table_of(code);
  for (int i = 0; i < 8; ++i) {
    _mm256_storeu_ps(out + 8 * i, _mm256_mul_ps(unpack_8(packed + 4 * i, table), _mm256_set1_ps(scale)));
  }
}

BB_AVX2 void narrow_avx2(const float* from, uint16_t* to) { narrow_group(from, to); }

BB_AVX2 void product_avx2(const Weight& w, int64_t row, int64_t begin, int64_t end, const float* x, int rows,
                          Lanes* partial) {
  const Table table = table_of(w.code);
  const int64_t start = row * w.width;
  for (int64_t k = begin; k < end; k += kGroup) {
    const uint8_t* packed = w.packed + (start + k) / 2;
    __m256 values[8];
    for (int i = 0; i < 8; ++i) values[i] = unpack_8(packed + 4 * i, table);
    const __m256 scale = _mm256_set1_ps(w.scale((start + k) / kGroup));
    for (int m = 0; m < rows; ++m) {
      const float* part = x + k * rows + m * kGroup;
      __m256 even = _mm256_mul_ps(values[0], _mm256_loadu_ps(part));
      __m256 odd = _mm256_mul_ps(values[1], _mm256_loadu_ps(part + 8));
      for (int i = 2; i < 8; i += 2) {
        even = _mm256_fmadd_ps(values[i], _mm256_loadu_ps(part + 8 * i), even);
        odd = _mm256_fmadd_ps(values[i + 1], _mm256_loadu_ps(part + 8 * i + 8), odd);
      }
      float* sum = partial[m].value;
      _mm256_store_ps(sum, _mm256_fmadd_ps(_mm256_add_ps(even, odd), scale, _mm256_load_ps(sum)));
    }
  }
}

BB_AVX2 float total_avx2(const Lanes& lanes) {
  __m128 half = _mm_add_ps(_mm_load_ps(lanes.value), _mm_load_ps(lanes.value + 4));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

// 16 weights from 8 bytes.
BB_AVX512 inline __m512 unpack_16(const uint8_t* packed, __m512 table) {
  const __m512i both = _mm512_castsi128_si512(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(packed)));
  const __m512i spread =
      _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1), both);
  const __m512i shift = _mm512_setr_epi32(4, 0, 12, 8, 20, 16, 28, 24, 4, 0, 12, 8, 20, 16, 28, 24);
  return _mm512_permutexvar_ps(_mm512_srlv_epi32(spread, shift), table);
}

BB_AVX512 void unpack_avx512(const uint8_t* packed, const float* code, float scale, float* out) {
  const __m512 table = _mm512_loadu_ps(code);
  for (int i = 0; i < 4; ++i) {
    _mm512_storeu_ps(out + 16 * i, _mm512_mul_ps(unpack_16(packed + 8 * i, table), _mm512_set1_ps(scale)));
  }
}

BB_AVX512 void narrow_avx512(const float* from, uint16_t* to) { narrow_group(from, to); }

BB_AVX512 void product_avx512(const Weight& w, int64_t row, int64_t begin, int64_t end, const float* x, int rows,
                              Lanes* partial) {
  const __m512 table = _mm512_loadu_ps(w.code);
  const int64_t start = row * w.width;
  for (int64_t k = begin; k < end; k += kGroup) {
    const uint8_t* packed = w.packed + (start + k) / 2;
    __m512 values[4];
    for (int i = 0; i < 4; ++i) values[i] = unpack_16(packed + 8 * i, table);
    const __m512 scale = _mm512_set1_ps(w.scale((start + k) / kGroup));
    for (int m = 0; m < rows; ++m) {
      const float* part = x + k * rows + m * kGroup;
      __m512 even = _mm512_mul_ps(values[0], _mm512_loadu_ps(part));
      __m512 odd = _mm512_mul_ps(values[1], _mm512_loadu_ps(part + 16));
      even = _mm512_fmadd_ps(values[2], _mm512_loadu_ps(part + 32), even);
      odd = _mm512_fmadd_ps(values[3], _mm512_loadu_ps(part + 48), odd);
      float* sum = partial[m].value;
      _mm512_store_ps(sum, _mm512_fmadd_ps(_mm512_add_ps(even, odd), scale, _mm512_load_ps(sum)));
    }
  }
}

BB_AVX512 float total_avx512(const Lanes& lanes) { return _mm512_reduce_add_ps(_mm512_load_ps(lanes.value)); }

#endif

Code code_of(int level) {
  level = std::min(level, cpu_level());
#ifdef BB_X86
  if (level >= avx512) return {product_avx512, total_avx512, unpack_avx512, narrow_avx512};
  if (level >= avx2) return {product_avx2, total_avx2, unpack_avx2, narrow_avx2};
#endif
  return {product_baseline, total_baseline, unpack_baseline, narrow_baseline};
}

}  // namespace
}  // namespace bb

// y [rows, N] = x [rows, K] W^T + bias, accumulated in float32. x, bias and y are of `type` (0 float32, 1 bfloat16);
// bias may be null, as may the three nested tensors when absmax is float32. Returns 0, or 1 when the sizes are not served:
// rows in 1..16, K a multiple of 64. `level` is the highest to use, of those that the machine has.
BB_EXPORT int bb_nf4_linear_cpu(const void* x, const uint8_t* packed, const void* absmax, const float* code,
                                const float* nested_absmax, const float* nested_code, const float* offset, const void* bias,
                                void* y, int64_t rows, int64_t outputs, int64_t width, int type, int level, int threads) {
  using namespace bb;
  if (rows < 1 || rows > kRows || outputs < 0 || width < 0 || width % kGroup || type < 0 || type > 1) return 1;
  const Type kind = static_cast<Type>(type);
  const Weight weight{packed, code, absmax, nested_absmax, nested_code, offset, width};
  std::vector<float> ordered;
  const float* values = static_cast<const float*>(x);
  if (kind != float32 || rows > 1) {
    ordered.resize(rows * width);
    float* next = ordered.data();
    for (int64_t k = 0; k < width; k += kGroup) {
      for (int64_t m = 0; m < rows; ++m) {
        for (int64_t i = 0; i < kGroup; ++i) *next++ = load(kind, x, m * width + k + i);
      }
    }
    values = ordered.data();
  }
  const Code code_at = code_of(level);
  const int64_t work = rows * outputs * width;
  const int64_t stretch = std::max(kGroup, kInCache / rows / kGroup * kGroup);
  parallel_for(outputs, kTile, work < kAlone ? 1 : threads, [&](int64_t first, int64_t last) {
    Lanes partial[kTile][kRows] = {};
    for (int64_t begin = 0; begin < width; begin += stretch) {
      for (int64_t n = first; n < last; ++n) {
        code_at.product(weight, n, begin, std::min(begin + stretch, width), values, static_cast<int>(rows), partial[n - first]);
      }
    }
    for (int64_t n = first; n < last; ++n) {
      const float added = bias ? load(kind, bias, n) : 0.0f;
      for (int64_t m = 0; m < rows; ++m) store(code_at.total(partial[n - first][m]) + added, kind, y, m * outputs + n);
    }
  });
  return 0;
}

// Groups `first` to `first + groups` of W, 64 values of `type` each, for products of many rows.
BB_EXPORT int bb_nf4_unpack_cpu(const uint8_t* packed, const void* absmax, const float* code, const float* nested_absmax,
                                const float* nested_code, const float* offset, void* out, int64_t first, int64_t groups,
                                int type, int level, int threads) {
  using namespace bb;
  if (first < 0 || groups < 0 || type < 0 || type > 1) return 1;
  const Type kind = static_cast<Type>(type);
  const Weight weight{packed, code, absmax, nested_absmax, nested_code, offset, kGroup};
  const Code code_at = code_of(level);
  parallel_for(groups, 1024, groups * kGroup < kAlone ? 1 : threads, [&](int64_t begin, int64_t end) {
    float values[kGroup];
    for (int64_t group = begin; group < end; ++group) {
      float* direct = static_cast<float*>(out) + group * kGroup;
      const float scale = weight.scale(first + group);
      code_at.unpack(packed + (first + group) * kGroup / 2, code, scale, kind == float32 ? direct : values);
      if (kind == bfloat16) code_at.narrow(values, static_cast<uint16_t*>(out) + group * kGroup);
    }
  });
  return 0;
}

// Whether this machine multiplies bfloat16 in hardware, so that a product in it is quicker than one in float32.
BB_EXPORT int bb_cpu_multiplies_bfloat16() { return bb::cpu_multiplies_bfloat16() ? 1 : 0; }
