// Axes permuted: the generator's `source_of(i)` tells where element i of the result comes from.
#ifndef SPHC_GENERATED
constexpr int SIZE = 128 * 10;
using element = float;
#define SPHC_GENERATED
#include "device.cu"
__device__ __forceinline__ int source_of(int i) { return i % 10 * 128 + i / 10; }
#endif

constexpr int TRANSPOSE_THREADS = 256;

extern "C" __global__ void __launch_bounds__(TRANSPOSE_THREADS) transpose(const element* from, element* to) {
    const i64 i = (i64)blockIdx.x * TRANSPOSE_THREADS + threadIdx.x;
    if (i < SIZE) to[i] = from[source_of((int)i)];
}
