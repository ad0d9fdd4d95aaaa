// The vector code of the governed loss for vectors of BB_LANES floats; governed_loss.cpp includes it once for every level, in a
// namespace of its own.

namespace {

#include "row_vector.h"

constexpr float kHidden = -3e38f;

BB_INLINE I lanes_up_to(int64_t count) {
  I number;
  for (int i = 0; i < kLanes; ++i) number[i] = i;
  return number < static_cast<int32_t>(count);
}

// Lanes of the tokens from i on that a row's mask allows.
BB_INLINE I legal_lanes(const int32_t* words, int64_t i) {
  U shift;
  for (int j = 0; j < kLanes; ++j) shift[j] = static_cast<uint32_t>(j);
  const uint32_t word = static_cast<uint32_t>(words[i / 32]) >> (i % 32);
  return (I)((((U{} + word) >> shift) & 1u) != 0u);
}

// A row's logits from i on, kHidden behind the last.
BB_INLINE F logits(const Job& job, const uint16_t* raw, int64_t i, Whole) { return load(raw + i) * job.scale; }

BB_INLINE F logits(const Job& job, const uint16_t* raw, int64_t i, int64_t count) {
  return lanes_up_to(count) ? load(raw + i, count) * job.scale : fill(kHidden);
}

BB_INLINE F larger(F a, F b) { return a > b ? a : b; }

void read(const Job& job, int64_t row) {
  const uint16_t *raw = job.raw + row * job.size, *apart = job.apart ? job.apart + row * job.size : nullptr;
  const int32_t* words = job.bitmask ? job.bitmask + row * job.words : nullptr;
  F peaks = fill(kHidden), legal_peaks = peaks, base_peaks = peaks;
  each(job.size, [&](int64_t i, auto count) __attribute__((always_inline)) {
    const F z = logits(job, raw, i, count);
    peaks = larger(z, peaks);
    if (words) legal_peaks = legal_lanes(words, i) ? larger(z, legal_peaks) : legal_peaks;
    if (apart) base_peaks = larger(z - load(apart + i, count) * job.scale, base_peaks);
  });
  const float peak = highest(peaks), legal_peak = highest(legal_peaks), base_peak = highest(base_peaks);
  F sums = {}, legal_sums = {}, base_sums = {}, means = {};
  each(job.size, [&](int64_t i, auto count) __attribute__((always_inline)) {
    const F z = logits(job, raw, i, count), share = exponential(z - peak);
    sums += share;
    if (words) legal_sums += legal_lanes(words, i) ? exponential(z - legal_peak) : F{};
    if (apart) {
      const F more = load(apart + i, count) * job.scale;
      means += share * more;
      base_sums += exponential(z - more - base_peak);
    }
  });
  const float sum = total(sums), mass = peak + std::log(sum);
  const int64_t label = job.labels[row];
  job.mass[row] = mass;
  job.cross_entropy[row] = label < 0 ? 0.0f : label >= job.size ? INFINITY : mass - load(raw + label, int64_t{1})[0] * job.scale;
  if (words) {
    job.legal_mass[row] = legal_peak == kHidden ? -INFINITY : legal_peak + std::log(total(legal_sums));
    job.energy[row] = mass - job.legal_mass[row];
  }
  if (apart) job.divergence[row] = total(means) / sum - mass + base_peak + std::log(total(base_sums));
}

// With p = e^(z - mass): slope = p (u + w) + p v (apart - mean) - w e^(z - legal mass) of legal tokens, less u at the label.
void differentiate(const Job& job, int64_t row) {
  const uint16_t* raw = job.raw + row * job.size;
  const float u = job.for_cross_entropy[row], v = job.for_divergence[row], w = job.for_energy[row], mass = job.mass[row];
  const uint16_t* apart = job.apart && v != 0.0f ? job.apart + row * job.size : nullptr;
  const int32_t* words = job.bitmask && w != 0.0f ? job.bitmask + row * job.words : nullptr;
  const float legal_mass = words ? job.legal_mass[row] : 0.0f;
  F means = {};
  if (apart) {
    each(job.size, [&](int64_t i, auto count) __attribute__((always_inline)) {
      means += exponential(logits(job, raw, i, count) - mass) * (load(apart + i, count) * job.scale);
    });
  }
  const float mean = total(means);
  const int64_t label = job.labels[row];
  each(job.size, [&](int64_t i, auto count) __attribute__((always_inline)) {
    const F z = logits(job, raw, i, count), p = exponential(z - mass);
    F slope = p * (u + w);
    if (apart) slope += p * v * (load(apart + i, count) * job.scale - mean);
    if (words) slope -= legal_lanes(words, i) ? w * exponential(z - legal_mass) : F{};
    if (u != 0.0f && label >= i && label < i + kLanes) slope[label - i] -= u;
    store(job.slopes + row * job.size + i, slope, count);
  });
}

void pass(const Job& job, int64_t row) { job.slopes == nullptr ? read(job, row) : differentiate(job, row); }

}  // namespace
#undef BB_INLINE
