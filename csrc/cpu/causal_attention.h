// What csrc/cpu/causal_attention.cpp and its vector code share. No template of the standard library is used in the vector code:
// an instance made for a high level could be the one that the linker keeps for all.
#pragma once

#include <cstdint>

namespace bb {
namespace causal_attention {

constexpr int64_t kSize = 32;      // channels of a head
constexpr int64_t kHalf = kSize / 2;
constexpr int64_t kQueries = 8;    // queries at a time
constexpr int64_t kColumns = 64;   // keys are padded to a multiple of it
constexpr float kHidden = -1e30f;  // score of what a query does not see

// Letters: B rows, T tokens, H heads, G latent heads, M memory slots, W the reading head's window. All numbers are float32, all
// arrays contiguous, but that tokens of queries, keys, values and bias (and of their gradients) are that many values apart.
// bbkernels/causal_attention/native.py has the same structure.
struct Job {
  const float *query, *key, *value;  // [B, T, H, 32], [B, T, G, 32] twice
  const float* bias;                 // [B, T, H - own, W], or null
  const float* memory;               // [B, M, G, 32], or null
  const int64_t* lengths;            // [B]: slots that are real
  const float *cosine, *sine;        // [T, 16], angles of the tokens' positions
  const float *reading_cosine, *reading_sine;  // [B, T, 16], of the places below; null like bias
  const int64_t* place;              // [B, T]
  float* out;                        // [B, T, H, 32]
  float* mass;                       // [B, H, T], logarithms of sums of exponentials
  const float* gradient;             // [B, T, H, 32], null in a forward pass, as are the rest
  float *for_query, *for_key, *for_value;  // without for_value, what belongs there is added to for_key
  float *for_bias, *for_memory;
  int64_t rows, tokens, heads, groups, own, slots, window;
  int64_t query_token, key_token, value_token, bias_token;
};

// Keys that one head sees: `seen` of memory, then all tokens.
struct Keys {
  int64_t seen, count, stride;  // count = seen + tokens, stride: of a transposed array, a multiple of 64
  float *transposed, *rows;     // [32, stride], [stride, 32] under the rotary embedding
  float *values, *values_transposed;
  float *for_rows, *for_values;  // gradients [stride, 32]
  float *scores, *slopes;        // [8, stride]
};

}  // namespace causal_attention
}  // namespace bb
