// A small dense decoder's layers for the new tokens of many sequences, as one call: norm, attention over pages, norm, gated MLP.
//
// A base of a few million weights spends most of its time between small operations where a framework runs it. What is computed is
// what the modules of `transformers` compute for Llama and its relatives (builderbrain/hosts/native_decoder.py says which and proves
// it when a base is loaded). Sequences are shared out among threads; rows never meet in a sum, so a row's bits do not depend on
// its neighbours.
//
// Letters: N rows, d width, H query heads and G heads of the cache of size D, h hidden units of the MLP.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "../interface.h"
#include "dispatch.h"
#include "lanes.h"
#include "paged_attention.h"
#include "panels.h"
#include "parallel.h"

namespace bb {
namespace {

enum Activation : int64_t { silu = 0, gelu_tanh = 1 };
enum Part : int { attention_norm, query_norm, key_norm, mlp_norm, qkv_bias, output_bias, gate_up_bias, down_bias, kParts };

// The numbers that builderbrain/hosts/native_decoder.py hands over, in its order.
struct DecoderShape {
  int64_t layers, d, heads, groups, size, turned, hidden, activation;
};

struct Layer {
  Panels qkv, output, gate_up, down;
  const float* parts[kParts];  // null where the family has none
  int64_t window;              // 0 for none
};

struct Decoder {
  DecoderShape shape;
  float epsilon, scale;
  const float *cosine, *sine;  // [positions, turned / 2]
  std::vector<Layer> layers;
};

struct DecoderCall {
  const Decoder& decoder;
  const int64_t *positions, *slots;
  const int32_t *starts, *lengths, *table;
  int64_t width, page;
  float *const *keys, *const *values;  // per layer [P, page, G, D]
  const float* embedding;              // [N, d]
  float* const* taps;                  // per layer [N, d], null where nobody asks
};

BB_INLINE float squares(const float* x, int64_t size) {
  Lanes sum{};
  for (int64_t i = 0; i < size; i += kLanes) sum += load(x + i) * load(x + i);
  return sum_of(sum);
}

BB_INLINE void normalise(const float* x, int64_t size, float epsilon, const float* weight, float* y) {
  const float scale = 1.0f / std::sqrt(squares(x, size) / static_cast<float>(size) + epsilon);
  for (int64_t i = 0; i < size; i += kLanes) {
    const Lanes value = load(x + i) * scale * load(weight + i);
    std::memcpy(y + i, &value, sizeof value);
  }
}

BB_INLINE void add(const float* more, int64_t size, float* x) {
  for (int64_t i = 0; i < size; i += kLanes) {
    const Lanes value = load(x + i) + load(more + i);
    std::memcpy(x + i, &value, sizeof value);
  }
}

BB_INLINE void gate(const float* gates, const float* up, int64_t size, int64_t activation, float* y) {
  for (int64_t i = 0; i < size; i += kLanes) {
    const Lanes x = load(gates + i);
    // 0.5 (1 + tanh u) is the sigmoid of 2 u.
    const Lanes inner = activation == silu ? x : (x + x * x * x * 0.044715f) * 1.5957691216057308f;
    const Lanes value = x * sigmoid(inner) * load(up + i);
    std::memcpy(y + i, &value, sizeof value);
  }
}

// The first `turned` values of a head are turned, pairs lying half of that apart.
BB_INLINE void turn(float* head, const float* cosine, const float* sine, int64_t turned) {
  const int64_t half = turned / 2;
  for (int64_t i = 0; i < half; ++i) {
    const float first = head[i], second = head[i + half];
    head[i] = first * cosine[i] - second * sine[i];
    head[i + half] = second * cosine[i] + first * sine[i];
  }
}

// The sequences `begin` to `end` of a call.
BB_INLINE void run(const DecoderCall& call, int64_t begin, int64_t end) {
  const Decoder& decoder = call.decoder;
  const DecoderShape& s = decoder.shape;
  const int64_t base = call.starts[begin], rows = call.starts[end] - base;
  if (!rows) return;
  const int64_t query = s.heads * s.size, cached = s.groups * s.size, all = query + 2 * cached, half = s.turned / 2;
  std::vector<float> x(call.embedding + base * s.d, call.embedding + (base + rows) * s.d), normed(rows * s.d),
      made(rows * std::max(all, 2 * s.hidden)), more(rows * std::max({query, s.hidden, s.d}));
  const auto biased = [&](const float* bias, int64_t size, float* row) {
    if (bias) add(bias, size, row);
  };
  for (int64_t l = 0; l < s.layers; ++l) {
    const Layer& layer = decoder.layers[l];
    const PagedShape paged{call.table, call.starts, call.lengths, nullptr, 0, call.width, s.heads, s.groups, s.size, call.page,
                           layer.window, decoder.scale, 0.0f};
    for (int64_t n = 0; n < rows; ++n) {
      normalise(x.data() + n * s.d, s.d, decoder.epsilon, layer.parts[attention_norm], normed.data() + n * s.d);
    }
    layer.qkv.multiply(normed.data(), s.d, rows, made.data());
    for (int64_t n = 0; n < rows; ++n) {
      float* mine = made.data() + n * all;
      biased(layer.parts[qkv_bias], all, mine);
      const float *cosine = decoder.cosine + call.positions[base + n] * half, *sine = decoder.sine + call.positions[base + n] * half;
      for (int64_t h = 0; h < s.heads + s.groups; ++h) {
        float* head = mine + h * s.size;
        const float* norm = layer.parts[h < s.heads ? query_norm : key_norm];
        if (norm) normalise(head, s.size, decoder.epsilon, norm, head);
        turn(head, cosine, sine, s.turned);
      }
      const int64_t place = call.slots[base + n] * cached;
      std::memcpy(call.keys[l] + place, mine + query, cached * sizeof(float));
      std::memcpy(call.values[l] + place, mine + query + cached, cached * sizeof(float));
    }
    for (int64_t sequence = begin; sequence < end; ++sequence) {
      for (int64_t row = call.starts[sequence]; row < call.starts[sequence + 1]; ++row) {
        for (int64_t group = 0; group < s.groups; ++group) {
          const int64_t first = group * (s.heads / s.groups) * s.size;
          attend_paged<float>(paged, made.data() + (row - base) * all + first, call.keys[l], call.values[l],
                              call.table + sequence * call.width, call.positions[row], group,
                              more.data() + (row - base) * query + first);
        }
      }
    }
    layer.output.multiply(more.data(), query, rows, made.data());
    for (int64_t n = 0; n < rows; ++n) {
      biased(layer.parts[output_bias], s.d, made.data() + n * s.d);
      add(made.data() + n * s.d, s.d, x.data() + n * s.d);
      normalise(x.data() + n * s.d, s.d, decoder.epsilon, layer.parts[mlp_norm], normed.data() + n * s.d);
    }
    layer.gate_up.multiply(normed.data(), s.d, rows, made.data());
    for (int64_t n = 0; n < rows; ++n) {
      float* mine = made.data() + n * 2 * s.hidden;
      biased(layer.parts[gate_up_bias], 2 * s.hidden, mine);
      gate(mine, mine + s.hidden, s.hidden, s.activation, more.data() + n * s.hidden);
    }
    layer.down.multiply(more.data(), s.hidden, rows, made.data());
    for (int64_t n = 0; n < rows; ++n) {
      biased(layer.parts[down_bias], s.d, made.data() + n * s.d);
      add(made.data() + n * s.d, s.d, x.data() + n * s.d);
    }
    if (call.taps[l]) std::memcpy(call.taps[l] + base * s.d, x.data(), rows * s.d * sizeof(float));
  }
}

BB_AT_EVERY_LEVEL(run, (const DecoderCall& call, int64_t begin, int64_t end), (call, begin, end))

}  // namespace
}  // namespace bb

// `matrices`, four per layer, [H D + 2 G D, d], [d, H D], [2 h, d] and [d, h], are copied; `parts`, kParts per layer and null
// where there is none, and the tables [positions, turned / 2] stay the caller's and must outlive the decoder. All widths are
// multiples of kLanes.
BB_EXPORT void* bb_decoder_new(const int64_t* numbers, const float* const* matrices, const float* const* parts,
                               const int64_t* windows, const float* cosine, const float* sine, float epsilon, float scale) {
  using namespace bb;
  Decoder* decoder = new Decoder;
  std::memcpy(&decoder->shape, numbers, sizeof(DecoderShape));
  decoder->epsilon = epsilon;
  decoder->scale = scale;
  decoder->cosine = cosine;
  decoder->sine = sine;
  const DecoderShape& s = decoder->shape;
  for (int64_t l = 0; l < s.layers; ++l, matrices += 4, parts += kParts) {
    Layer layer;
    layer.qkv = Panels(matrices[0], (s.heads + 2 * s.groups) * s.size, s.d);
    layer.output = Panels(matrices[1], s.d, s.heads * s.size);
    layer.gate_up = Panels(matrices[2], 2 * s.hidden, s.d);
    layer.down = Panels(matrices[3], s.d, s.hidden);
    std::copy(parts, parts + kParts, layer.parts);
    layer.window = windows[l];
    decoder->layers.push_back(std::move(layer));
  }
  return decoder;
}

BB_EXPORT void bb_decoder_free(void* decoder) { delete static_cast<bb::Decoder*>(decoder); }

// The `index`-th of the arrays that are kept, in the order of `matrices`, and its `size`; null behind the last.
BB_EXPORT const float* bb_decoder_kept(const void* decoder, int64_t index, int64_t* size) {
  using namespace bb;
  const std::vector<Layer>& layers = static_cast<const Decoder*>(decoder)->layers;
  if (index >= 4 * static_cast<int64_t>(layers.size())) return nullptr;
  const Layer& layer = layers[index / 4];
  const Panels* all[] = {&layer.qkv, &layer.output, &layer.gate_up, &layer.down};
  *size = all[index % 4]->size();
  return all[index % 4]->data();
}

// N = starts[sequences] rows: positions and slots [N], embedding [N, d]; table [sequences, width] and lengths [sequences] with the
// new tokens. Keys and values of the new tokens are written to their slots.
BB_EXPORT void bb_decoder_step(const void* decoder, int64_t sequences, const int64_t* positions, const int64_t* slots,
                               const int32_t* starts, const int32_t* lengths, const int32_t* table, int64_t width, int64_t page,
                               float* const* keys, float* const* values, const float* embedding, float* const* taps, int level,
                               int threads) {
  using namespace bb;
  const DecoderCall call{*static_cast<const Decoder*>(decoder), positions, slots, starts, lengths, table, width, page, keys, values,
                         embedding, taps};
  const auto part = run_at(level);
  const int64_t share = (sequences + threads - 1) / std::max(1, threads);
  parallel_for(sequences, std::max<int64_t>(1, share), threads, [&](int64_t begin, int64_t end) { part(call, begin, end); });
}
