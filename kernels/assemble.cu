// A tensor put together of others: the generator's `element_of(at, i)` reads element i from the part that has it, and is
// 0 where none has.
#ifndef SPHC_GENERATED
constexpr int SIZE = 128 * 30;
using element = float;
#define SPHC_GENERATED
#include "device.cu"
struct Parts { const element *in0, *in1; };
__device__ __forceinline__ element element_of(const Parts& at, int i) {
    const int x0 = i / 30 % 128, x1 = i / 1 % 30;
    if (x1 < 10) return at.in0[x0 * 10 + x1];
    return at.in1[x0 * 20 + x1 - 10];
}
#endif

constexpr int ASSEMBLE_THREADS = 256;

__device__ __forceinline__ void assemble_elements(const Parts& at, element* to) {
    const i64 i = (i64)blockIdx.x * ASSEMBLE_THREADS + threadIdx.x;
    if (i < SIZE) to[i] = element_of(at, (int)i);
}
