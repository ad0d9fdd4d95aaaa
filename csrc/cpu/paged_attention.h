// Causal attention of one token and one head of the cache over pages of keys and values: its query heads share what is read.
// Positions are taken in order, in tiles that begin at multiples of kTile, and sums in fixed lanes, so that a row's bits depend on
// that row alone: not on the rows beside it, on how many threads there are, or on how a prompt was cut into calls.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "lanes.h"

namespace bb {

constexpr int kTile = kLanes;  // positions whose scores are held at once
constexpr int kSize = 256;     // largest head
constexpr int kGroup = 16;     // query heads of a head of the cache that are done together

struct PagedShape {
  const int32_t *table, *starts, *lengths;
  const float* sinks;
  int64_t sequences, width, heads, groups, size, page, window;
  float scale, cap;
};

// `Parts` vectors of sixteen make up a head; 0 stands for any number, and for heads that end within a vector.
template <class Type, int Parts>
BB_INLINE void attend_parts(const PagedShape& s, const Type* query, const Type* keys, const Type* values, const int32_t* pages,
                            int64_t position, int64_t group, Type* out) {
  const int64_t members = s.heads / s.groups, size = Parts ? Parts * kLanes : s.size, whole = size / kLanes;
  const int64_t parts = (size + kLanes - 1) / kLanes;
  constexpr int kMost = Parts ? Parts : kSize / kLanes;
  const int64_t place_stride = s.groups * size, page_stride = s.page * place_stride;
  const int64_t first = s.window && position >= s.window ? position - s.window + 1 : 0;
  for (int64_t member = 0; member < members; member += kGroup) {
    const int many = static_cast<int>(std::min<int64_t>(kGroup, members - member));
    Lanes q[kGroup][kMost], sum[kGroup][kMost];
    float largest[kGroup], mass[kGroup];
    for (int h = 0; h < many; ++h) {
      const Type* mine = query + (member + h) * size;
      for (int64_t part = 0; part < parts; ++part) {
        const Type* from = mine + part * kLanes;
        q[h][part] = (part < whole ? load(from) : load_part(from, size - part * kLanes)) * s.scale;
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
        const auto multiply = [&](int j) BB_LAMBDA {
          const Type* key = keys + offset[j];
          Lanes product{};
          for (int64_t part = 0; part < whole; ++part) product += q[h][part] * load(key + part * kLanes);
          if (whole < parts) product += q[h][whole] * load_part(key + whole * kLanes, size - whole * kLanes);
          products[j] = product;
        };
        if (end - begin == kTile) {
          for (int j = 0; j < kTile; ++j) multiply(j);
        } else {
          for (int j = 0; j < kTile; ++j) products[j] = Lanes{};
          for (int j = begin; j < end; ++j) multiply(j);
        }
        Lanes scores = sums(products);
        if (s.cap > 0.0f) {
          for (int j = begin; j < end; ++j) scores[j] = s.cap * std::tanh(scores[j] / s.cap);
        }
        const Integers seen = (kPlaces >= begin) & (kPlaces < end);
        scores = seen ? scores : Lanes{} - INFINITY;
        const float here = largest_of(scores);
        const float now = here > largest[h] ? here : largest[h];
        const float shrink = largest[h] == now ? 1.0f : std::exp(largest[h] - now);
        const Lanes weights = seen ? exponential(scores - now) : Lanes{};
        alignas(64) float score[kTile];
        std::memcpy(score, &weights, sizeof score);
        mass[h] = mass[h] * shrink + sum_of(weights);
        largest[h] = now;
        // Every other position adds to a sum of its own: an addition need not wait for the one before.
        Lanes even[kMost], odd[kMost];
        for (int64_t part = 0; part < parts; ++part) {
          even[part] = sum[h][part] * shrink;
          odd[part] = Lanes{};
        }
        const auto gather = [&](int j, Lanes* to) BB_LAMBDA {
          const Type* value = values + offset[j];
          for (int64_t part = 0; part < whole; ++part) to[part] += score[j] * load(value + part * kLanes);
          if (whole < parts) to[whole] += score[j] * load_part(value + whole * kLanes, size - whole * kLanes);
        };
        if (end - begin == kTile) {
          for (int j = 0; j < kTile; j += 2) {
            gather(j, even);
            gather(j + 1, odd);
          }
        } else {
          for (int j = begin; j < end; ++j) gather(j, j & 1 ? odd : even);
        }
        for (int64_t part = 0; part < parts; ++part) sum[h][part] = even[part] + odd[part];
      }
    }
    for (int h = 0; h < many; ++h) {
      const float share = 1.0f / mass[h];
      for (int64_t part = 0; part < parts; ++part) {
        const Lanes result = sum[h][part] * share;
        if (std::is_same<Type, float>::value && part < whole) {
          std::memcpy(out + (member + h) * size + part * kLanes, &result, sizeof result);
          continue;
        }
        const int64_t count = std::min<int64_t>(kLanes, size - part * kLanes);
        for (int64_t i = 0; i < count; ++i) narrow(result[i], out + (member + h) * size + part * kLanes + i);
      }
    }
  }
}

// One token and one head of the cache. `query` and `out` are those of its first query head.
template <class Type>
BB_INLINE void attend_paged(const PagedShape& s, const Type* query, const Type* keys, const Type* values, const int32_t* pages,
                            int64_t position, int64_t group, Type* out) {
  switch (s.size) {
    case 32: return attend_parts<Type, 2>(s, query, keys, values, pages, position, group, out);
    case 64: return attend_parts<Type, 4>(s, query, keys, values, pages, position, group, out);
    case 128: return attend_parts<Type, 8>(s, query, keys, values, pages, position, group, out);
    default: return attend_parts<Type, 0>(s, query, keys, values, pages, position, group, out);
  }
}

}  // namespace bb
