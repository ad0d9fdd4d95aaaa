#include <cuda_runtime.h>

#include "../interface.h"

BB_DEFINE_VERSION

namespace {
__global__ void probe() {}
}  // namespace

// What CUDA says against this library on the current device, NULL when nothing: a driver older than the compiler's CUDA, no device,
// or a device for which there is no code here.
BB_EXPORT const char* bb_cuda_status(void) {
  cudaFuncAttributes attributes;
  const cudaError_t status = cudaFuncGetAttributes(&attributes, probe);
  if (status == cudaSuccess) return nullptr;
  cudaGetLastError();  // it was said here; no launch is to find it
  return cudaGetErrorString(status);
}
