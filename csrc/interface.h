// What every file of the native libraries shares: how a function is exported, and the version that Python checks.
//
// Functions are `extern "C"`, begin with `bb_`, and take pointers, sizes and, on CUDA, a stream: no PyTorch header is read, so
// that one build works with every PyTorch. `bbkernels/native.py` loads what is built from here.
#pragma once

#define BB_EXPORT extern "C" __attribute__((visibility("default")))

// Raised with every change of a signature, here and in bbkernels/native.py.
#define BB_INTERFACE_VERSION 5

#ifndef BB_SOURCE_HASH
#define BB_SOURCE_HASH "unknown"
#endif

// Both libraries have these two; the string is what the build compares with the sources at hand.
#define BB_DEFINE_VERSION                                                    \
  BB_EXPORT int bb_interface_version(void) { return BB_INTERFACE_VERSION; }  \
  BB_EXPORT const char* bb_source_hash(void) { return "bb_source_hash=" BB_SOURCE_HASH; }
