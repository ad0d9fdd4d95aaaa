// Attention of one token over what its sequence keeps in pages, in tiles of sixteen positions that begin at multiples of sixteen;
// a page holds whole tiles. Scores of all positions are made first, then their shares, then sums of values.
//
// Tiles are taken in order and positions in fixed lanes, so that a row's bits depend on that row alone. Positions beyond the last
// one have share 0 exactly; what lies there must be finite (`Tiles::begin` sees to that).
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "lanes.h"

namespace bb {

BB_INLINE void store(Lanes value, float* to) { std::memcpy(to, &value, sizeof value); }

BB_INLINE void store_part(Lanes value, int64_t count, float* to) {
  if (count >= kLanes) {
    store(value, to);
  } else {
    std::memcpy(to, &value, static_cast<size_t>(count) * sizeof(float));
  }
}

// One field of all positions of a sequence: `size` values at `offset` of each record.
struct Tiles {
  float* pages;
  const int32_t* table;
  int64_t shift, record, offset, size;  // a page has 2^shift positions

  BB_INLINE float* tile(int64_t number) const {
    const int64_t position = number * kLanes, page = int64_t{1} << shift;
    return pages + ((table[position >> shift] * record + offset) << shift) + (position & (page - 1)) * size;
  }
  BB_INLINE float* row(int64_t position) const { return tile(position / kLanes) + position % kLanes * size; }
  BB_INLINE float* column(int64_t position) const { return tile(position / kLanes) + position % kLanes; }

  // Asks for a tile's values `from` to `from + count`, which are read soon.
  BB_INLINE void ask_for(int64_t number, int64_t from, int64_t count) const {
    const float* values = tile(number) + from * kLanes;
    for (int64_t line = 0; line < count; ++line) __builtin_prefetch(values + line * kLanes, 0, 2);
  }

  // A tile by columns is read whole: the first position that is written to it clears what a former text left there.
  BB_INLINE void begin(int64_t position) const {
    if (position % kLanes == 0) std::memset(tile(position / kLanes), 0, static_cast<size_t>(size * kLanes) * sizeof(float));
  }
  BB_INLINE void write_column(int64_t position, const float* values) const {
    begin(position);
    float* to = column(position);
    for (int64_t i = 0; i < size; ++i) to[i * kLanes] = values[i];
  }
  BB_INLINE void read_column(int64_t position, float* values) const {
    const float* from = column(position);
    for (int64_t i = 0; i < size; ++i) values[i] = from[i * kLanes];
  }
};

// The products of a query with sixteen positions; four sums, so that an addition need not wait for the one before.
BB_INLINE Lanes along_columns(const float* query, const float* columns, int64_t size) {
  Lanes sum[4] = {};
  int64_t i = 0;
  for (; i + 4 <= size; i += 4) {
    for (int part = 0; part < 4; ++part) sum[part] += load(columns + (i + part) * kLanes) * query[i + part];
  }
  for (; i < size; ++i) sum[0] += load(columns + i * kLanes) * query[i];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

// e^(score - largest) over `tiles` tiles in place, 0 beyond `last`; returns one over their sum.
BB_INLINE float soften(float* scores, int64_t last) {
  const int64_t whole = (last + 1) / kLanes, end = last / kLanes;
  if (whole <= end) {
    const Lanes part = load(scores + end * kLanes);
    store(kPlaces < static_cast<int>(last % kLanes + 1) ? part : Lanes{} - INFINITY, scores + end * kLanes);
  }
  Lanes most = load(scores);
  for (int64_t tile = 1; tile <= end; ++tile) {
    const Lanes here = load(scores + tile * kLanes);
    most = here > most ? here : most;
  }
  const float largest = largest_of(most);
  Lanes mass{};
  for (int64_t tile = 0; tile <= end; ++tile) {
    const Lanes weight = exponential(load(scores + tile * kLanes) - largest);
    mass += weight;
    store(weight, scores + tile * kLanes);
  }
  return 1.0f / sum_of(mass);
}

// Two vectors of a value that lies by rows; every other position adds to a sum of its own.
template <int Wide>
BB_INLINE void add_rows(const float* weights, const Tiles& field, int64_t shift, int64_t last, float share, float* out) {
  Lanes even[Wide] = {}, odd[Wide] = {};
  for (int64_t tile = 0; tile <= last / kLanes; ++tile) {
    const float *rows = field.tile(tile) + shift, *weight = weights + tile * kLanes;
    const int end = static_cast<int>(last - tile * kLanes + 1 < kLanes ? last - tile * kLanes + 1 : kLanes);
    int j = 0;
    for (; j + 2 <= end; j += 2) {
      for (int part = 0; part < Wide; ++part) {
        even[part] += load(rows + j * field.size + part * kLanes) * weight[j];
        odd[part] += load(rows + (j + 1) * field.size + part * kLanes) * weight[j + 1];
      }
    }
    if (j < end) {
      for (int part = 0; part < Wide; ++part) even[part] += load(rows + j * field.size + part * kLanes) * weight[j];
    }
  }
  for (int part = 0; part < Wide; ++part) store((even[part] + odd[part]) * share, out + part * kLanes);
}

// out [size] = share * sum_j weight_j value_j for values by rows; `size` is a multiple of kLanes.
BB_INLINE void sum_rows(const float* weights, const Tiles& field, int64_t shift, int64_t size, int64_t last, float share,
                        float* out) {
  int64_t part = 0;
  for (; part + 2 * kLanes <= size; part += 2 * kLanes) add_rows<2>(weights, field, shift + part, last, share, out + part);
  if (part < size) add_rows<1>(weights, field, shift + part, last, share, out + part);
}

// The same for values by columns, of any size.
BB_INLINE void sum_columns(const float* weights, const Tiles& field, int64_t last, float share, float* out) {
  for (int64_t first = 0; first < field.size; first += kLanes) {
    const int64_t count = field.size - first < kLanes ? field.size - first : kLanes;
    Lanes sum[kLanes] = {};
    for (int64_t tile = 0; tile <= last / kLanes; ++tile) {
      const Lanes weight = load(weights + tile * kLanes);
      const float* columns = field.tile(tile) + first * kLanes;
      for (int64_t i = 0; i < count; ++i) sum[i] += load(columns + i * kLanes) * weight;
    }
    store_part(sums(sum) * share, count, out + first);
  }
}

// The same for a head by columns whose values were turned to their positions, and are turned back: out [2 half], pairs lying
// `half` apart; `cosine` and `sine` [tiles, half, kLanes].
BB_INLINE void sum_turned_columns(const float* weights, const Tiles& field, int64_t shift, int64_t half, const float* cosine,
                                  const float* sine, int64_t last, float share, float* out) {
  for (int64_t first = 0; first < half; first += kLanes) {
    const int64_t count = half - first < kLanes ? half - first : kLanes;
    Lanes one[kLanes] = {}, two[kLanes] = {};
    for (int64_t i = 0; i < count; i += 4) {
      Lanes a[4] = {}, b[4] = {};
      for (int64_t tile = 0; tile <= last / kLanes; ++tile) {
        const Lanes weight = load(weights + tile * kLanes);
        const float* columns = field.tile(tile) + shift * kLanes;
        for (int part = 0; part < 4; ++part) {
          const int64_t column = first + i + part;
          const Lanes x = load(columns + column * kLanes), y = load(columns + (half + column) * kLanes);
          const Lanes c = load(cosine + (tile * half + column) * kLanes) * weight;
          const Lanes s = load(sine + (tile * half + column) * kLanes) * weight;
          a[part] += x * c + y * s;
          b[part] += y * c - x * s;
        }
      }
      for (int part = 0; part < 4; ++part) {
        one[i + part] = a[part];
        two[i + part] = b[part];
      }
    }
    store_part(sums(one) * share, count, out + first);
    store_part(sums(two) * share, count, out + half + first);
  }
}

}  // namespace bb
