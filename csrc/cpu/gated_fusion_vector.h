// The vector code of fusion for vectors of BB_LANES floats; gated_fusion.cpp includes it once for every level, in a namespace of
// its own.

namespace {

#include "row_vector.h"

// state = base + alpha (ratio (base + update) - base); ratio, mean square of base + update, and the norm's scale of the state.
template <class Base, class Wide>
void fuse(const Rows<Base, Wide>& rows, int64_t begin, int64_t end) {
  const int64_t width = rows.width;
  const float* alpha = rows.alpha;
  for (int64_t row = begin; row < end; ++row) {
    const Base* base = rows.base + row * width;
    const Wide* update = rows.update + row * width;
    Wide* state = rows.state + row * width;
    F of_base = {}, of_sum = {}, of_state = {};
    each(width, [&](int64_t i, auto count) __attribute__((always_inline)) {
      const F h = load(base + i, count), p = h + load(update + i, count);
      of_base += h * h;
      of_sum += p * p;
    });
    const float mean = total(of_sum) / width + rows.fusion_epsilon;
    const float ratio = std::sqrt((total(of_base) / width + rows.fusion_epsilon) / mean);
    each(width, [&](int64_t i, auto count) __attribute__((always_inline)) {
      const F h = load(base + i, count);
      const F f = h + load(alpha + i, count) * (ratio * (h + load(update + i, count)) - h);
      store(state + i, f, count);
      of_state += f * f;
    });
    rows.statistics[row] = ratio;
    rows.statistics[rows.rows + row] = mean;
    rows.statistics[2 * rows.rows + row] = 1.0f / std::sqrt(total(of_state) / width + rows.norm_epsilon);
  }
}

// `gradient` of the state, less what goes through the norm's length, becomes that of the update; that of alpha is added.
template <class Base, class Wide>
void differentiate(const Rows<Base, Wide>& rows, int64_t begin, int64_t end) {
  const int64_t width = rows.width;
  const float* alpha = rows.alpha;
  float* for_alpha = rows.for_alpha + begin / kRowsAtOnce * width;
  for (int64_t row = begin; row < end; ++row) {
    const Base* base = rows.base + row * width;
    const Wide *update = rows.update + row * width, *state = rows.state + row * width;
    Wide* gradient = rows.gradient + row * width;
    const float ratio = rows.statistics[row], mean = rows.statistics[rows.rows + row];
    const float scale = rows.statistics[2 * rows.rows + row];
    F lanes = {};
    each(width, [&](int64_t i, auto count) __attribute__((always_inline)) {
      lanes += load(gradient + i, count) * load(state + i, count);
    });
    const float along_state = total(lanes) * scale * scale / width;
    lanes = F{};
    each(width, [&](int64_t i, auto count) __attribute__((always_inline)) {
      const F h = load(base + i, count), p = h + load(update + i, count);
      const F g = load(gradient + i, count) - along_state * load(state + i, count);
      store(for_alpha + i, load(for_alpha + i, count) + g * (ratio * p - h), count);
      lanes += g * load(alpha + i, count) * p;
    });
    const float along_sum = total(lanes) / (width * mean);
    each(width, [&](int64_t i, auto count) __attribute__((always_inline)) {
      const F p = load(base + i, count) + load(update + i, count);
      const F g = load(gradient + i, count) - along_state * load(state + i, count);
      store(gradient + i, ratio * (g * load(alpha + i, count) - along_sum * p), count);
    });
  }
}

template <class Base, class Wide>
void pass(const Rows<Base, Wide>& rows, int64_t begin, int64_t end) {
  rows.gradient == nullptr ? fuse(rows, begin, end) : differentiate(rows, begin, end);
}

}  // namespace
#undef BB_INLINE
