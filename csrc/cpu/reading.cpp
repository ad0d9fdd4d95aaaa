// Where the reading head stands and how long a run of equal tokens it follows: builderbrain/rail/reading.py says what both are.
// There a step is about fifteen operations on all places of all rows; here it is one look at the places of its own row.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "../interface.h"

namespace bb {
namespace {

enum Flag : uint8_t { inside = 1, opening = 2, closing = 4 };

void follow(const int64_t* tokens, const uint8_t* flags, int64_t* place_of, int64_t* run_of, int64_t count) {
  std::vector<int64_t> run(static_cast<std::size_t>(count) + 1);  // run[i + 1] belongs to place i
  std::vector<uint8_t> copied(static_cast<std::size_t>(count));
  int64_t place = 0, anchor = 0, opened = 0, before = 0;
  for (int64_t t = 0; t < count; ++t) {
    int64_t longest = 0, first = 0;
    if (flags[t] & closing && before > 0 && before == t - 1 - opened) {
      for (int64_t i = opened + 1; i < t; ++i) copied[static_cast<std::size_t>(i)] = 1;
    }
    if (flags[t] & opening) {
      anchor = place;
      opened = t;
    }
    if (flags[t] & inside) {
      for (int64_t i = opened - 1; i >= 0; --i) {
        const std::size_t at = static_cast<std::size_t>(i);
        const int64_t length = tokens[i] == tokens[t] && !copied[at] ? run[at] + 1 : 0;
        run[at + 1] = length;
        // Of equals the first one behind the anchor, and the first of all where none is behind it.
        if (length > 0 && (length > longest || (length == longest && (i >= anchor || first < anchor)))) {
          longest = length;
          first = i;
        }
      }
    } else {
      run.assign(run.size(), 0);
    }
    if (longest > 0) place = first + 1;
    place_of[t] = place;
    run_of[t] = before = longest;
  }
}

}  // namespace
}  // namespace bb

// All [rows, count]: int64 tokens; flags, bits of what a token is to a literal (1 in it, 2 opens it, 4 closes it); place and run,
// int64, are written.
BB_EXPORT void bb_reading_cpu(const int64_t* tokens, const uint8_t* flags, int64_t* place, int64_t* run, int64_t rows,
                              int64_t count) {
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t at = row * count;
    bb::follow(tokens + at, flags + at, place + at, run + at, count);
  }
}
