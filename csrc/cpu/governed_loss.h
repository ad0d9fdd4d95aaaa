// What csrc/cpu/governed_loss.cpp and its vector code share. No template of the standard library is used in the vector code: an
// instance made for a high level could be the one that the linker keeps for all.
#pragma once

#include <cstdint>

namespace bb {
namespace governed_loss {

// Letters: N rows, V tokens. Readings and upstream gradients are float32 [N]. bbkernels/governed_loss/native.py has the same
// structure.
struct Job {
  const uint16_t *raw, *apart;  // bfloat16 [N, V]: logits, and what they have more than the base's; null without a base
  const int64_t* labels;        // [N], below 0 for none
  const int32_t* bitmask;       // [N, words], or null
  float *cross_entropy, *divergence, *energy;
  float *mass, *legal_mass;  // logarithms of sums of exponentials, of all tokens and of the legal ones
  const float *for_cross_entropy, *for_divergence, *for_energy;  // null in a forward pass, as are slopes
  uint16_t* slopes;                                              // bfloat16 [N, V]: gradient of the logits
  int64_t rows, size, words;
  float scale;  // of the logits
};

}  // namespace governed_loss
}  // namespace bb
