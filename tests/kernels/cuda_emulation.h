// CUDA sources as C++: the threads of a block are contexts that take turns on one thread of the machine and hand over where they
// wait for each other, blocks run one after the other, and a matrix operation is carried out from the registers of its warp by the
// layout that NVIDIA documents for mma.m16n8k16. Turns go up and down the block alternately, so that values which are read or
// replaced without waiting are wrong in the same way every time.
#pragma once

#include <ucontext.h>

#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__ static
#define __launch_bounds__(threads)

struct Index {
  unsigned x = 0;
};
struct uint2 {
  uint32_t x, y;
};
struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};

inline Index threadIdx;
inline Index blockIdx;

struct Barrier {
  unsigned count = 0, arrived = 0, turn = 0;
  void wait();
};

struct Context {
  ucontext_t state;
  const Barrier* waits = nullptr;  // until its turn is another than `turn`
  unsigned turn = 0;
  bool ended = false;
};

struct Warp {
  Barrier barrier;
  uint32_t a[32][4], b[32][2];
  float value[32];
};

inline constexpr int kMostThreads = 256, kStackBytes = 1 << 17;
inline Barrier block_barrier;
inline Warp warps[kMostThreads / 32];
inline Context contexts[kMostThreads];
inline char stacks[kMostThreads][kStackBytes];
inline ucontext_t scheduler;
inline bool stuck;  // since it was last asked: a thread waits for others that never come

inline void Barrier::wait() {
  if (++arrived == count) {
    arrived = 0;
    ++turn;
    return;
  }
  Context& mine = contexts[threadIdx.x];
  mine.waits = this;
  mine.turn = turn;
  swapcontext(&mine.state, &scheduler);
  mine.waits = nullptr;
}

inline void __syncthreads() { block_barrier.wait(); }

inline uint32_t __float_as_uint(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}

inline float __uint_as_float(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

inline uint32_t __byte_perm(uint32_t low, uint32_t high, uint32_t selector) {
  const uint64_t bytes = static_cast<uint64_t>(high) << 32 | low;
  uint32_t chosen = 0;
  for (int i = 0; i < 4; ++i) chosen |= static_cast<uint32_t>(bytes >> (8 * (selector >> (4 * i) & 7)) & 255u) << (8 * i);
  return chosen;
}

inline float half_of(uint32_t pair, int which) { return __uint_as_float(which ? pair & 0xffff0000u : pair << 16); }

inline float __shfl_sync(unsigned, float value, int from, int width) {
  const int lane = threadIdx.x % 32;
  Warp& warp = warps[threadIdx.x / 32];
  warp.value[lane] = value;
  warp.barrier.wait();
  const float taken = warp.value[lane / width * width + from % width];
  warp.barrier.wait();
  return taken;
}

// Lane 4 g + t holds a: rows g, g + 8 of columns 2t, 2t + 1 (first two registers) and 2t + 8, 2t + 9; b: column g of the same
// rows; d: rows g and g + 8 of columns 2t and 2t + 1.
inline void bb_emulated_multiply_add(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  Warp& warp = warps[threadIdx.x / 32];
  std::memcpy(warp.a[lane], a, sizeof a);
  std::memcpy(warp.b[lane], b, sizeof b);
  warp.barrier.wait();
  for (int i = 0; i < 4; ++i) {
    const int row = g + 8 * (i / 2), column = 2 * t + i % 2;
    for (int k = 0; k < 16; ++k) {
      const int holder = k % 8 / 2;
      const float left = half_of(warp.a[4 * (row % 8) + holder][row / 8 + 2 * (k / 8)], k % 2);
      const float right = half_of(warp.b[4 * column + holder][k / 8], k % 2);
      d[i] += left * right;
    }
  }
  warp.barrier.wait();
}

// One turn of every thread that can go on; false when none could.
inline bool take_turns(unsigned threads, bool upwards) {
  bool moved = false;
  for (unsigned k = 0; k < threads; ++k) {
    const unsigned i = upwards ? k : threads - 1 - k;
    Context& next = contexts[i];
    if (next.ended || (next.waits != nullptr && next.waits->turn == next.turn)) continue;
    threadIdx.x = i;
    swapcontext(&scheduler, &next.state);
    moved = true;
  }
  return moved;
}

template <class Call>
const Call* the_call;

template <class Call>
void run_thread() {
  (*the_call<Call>)();
  contexts[threadIdx.x].ended = true;
}

template <class Call>
void emulate(unsigned blocks, unsigned threads, const Call& call) {
  the_call<Call> = &call;
  for (unsigned block = 0; block < blocks; ++block) {
    blockIdx.x = block;
    block_barrier = {threads};
    for (unsigned i = 0; i < threads; ++i) {
      warps[i / 32].barrier = {32};
      Context& thread = contexts[i];
      getcontext(&thread.state);
      thread.state.uc_stack.ss_sp = stacks[i];
      thread.state.uc_stack.ss_size = kStackBytes;
      thread.state.uc_link = &scheduler;
      thread.waits = nullptr;
      thread.ended = false;
      makecontext(&thread.state, run_thread<Call>, 0);
    }
    for (bool upwards = true; take_turns(threads, upwards);) upwards = !upwards;
    for (unsigned i = 0; i < threads; ++i) stuck = stuck || !contexts[i].ended;
  }
}

inline int launch_status() {
  const int status = stuck ? 1 : 0;
  stuck = false;
  return status;
}

#define BB_LAUNCH(kernel, blocks, threads, stream, ...) \
  (static_cast<void>(stream), emulate((blocks), (threads), [&] { kernel(__VA_ARGS__); }))
#define BB_LAUNCH_STATUS() launch_status()
