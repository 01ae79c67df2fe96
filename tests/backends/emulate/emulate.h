// Lets g++ compile the CUDA text that `sphc` writes, unchanged: put before it with `-include`, and close with
// EMULATE_ENTRY(name) for each entry. What the words below mean is in emulate.cpp.
#pragma once
#include <math.h>

#define SPHC_EMULATE 1

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

inline float rsqrtf(float a) { return 1.0f / sqrtf(a); }

struct EmulatedIndex { unsigned x, y, z; };
// The thread that runs, as the program sees it.
struct Emulated { EmulatedIndex thread, block, threads, blocks; unsigned char* shared; };
extern __thread Emulated emulated __attribute__((tls_model("initial-exec")));
#define threadIdx (emulated.thread)
#define blockIdx (emulated.block)
#define blockDim (emulated.threads)
#define gridDim (emulated.blocks)

struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };

// Rendezvous of a warp: what each lane brings, by operation.
enum EmulatedOp : int { EMULATED_SHUFFLE = 1, EMULATED_BF16, EMULATED_TF32, EMULATED_MATRICES, EMULATED_TRANSPOSED };
extern "C" {
void emulate_barrier();
void emulate_collective(EmulatedOp op, const void* a, const void* b, void* to, int mask);
void emulate_copy(void* to, const void* from, int bytes, bool valid);
void emulate_commit();
void emulate_wait(int groups);
}
#define __syncthreads() emulate_barrier()
#define SHARED_MEMORY(name) unsigned char* name = emulated.shared

using Shared = unsigned char*;
inline Shared shared_address(const void* at) { return (Shared)at; }
template <int BYTES, bool KEEP> inline void copy_async(Shared to, const void* from, bool valid) { emulate_copy(to, from, BYTES, valid); }
inline void copy_commit() { emulate_commit(); }
template <int N> inline void copy_wait() { emulate_wait(N); }
inline void load_matrices(unsigned (&to)[4], Shared row) { emulate_collective(EMULATED_MATRICES, row, nullptr, to, 0); }
inline void load_matrices_transposed(unsigned (&to)[4], Shared row) { emulate_collective(EMULATED_TRANSPOSED, row, nullptr, to, 0); }
inline void multiply_bf16(float* d, const unsigned (&a)[4], const unsigned (&b)[2]) { emulate_collective(EMULATED_BF16, a, b, d, 0); }
inline void multiply_tf32(float* d, const unsigned (&a)[4], const unsigned (&b)[2]) { emulate_collective(EMULATED_TF32, a, b, d, 0); }
inline unsigned unforeseen(unsigned value) { return value; }
// Blocks run one after the other, in any order.
inline void fence() {}
inline unsigned count_up(unsigned* counter, unsigned last) {
    const unsigned before = *counter;
    *counter = before < last ? before + 1 : 0;
    return before;
}
template <class T> inline T shuffle_xor(T value, int mask) {
    T result;
    emulate_collective(EMULATED_SHUFFLE, &value, nullptr, &result, mask);
    return result;
}
inline unsigned float_as_bits(float value) {
    unsigned bits;
    __builtin_memcpy(&bits, &value, 4);
    return bits;
}
inline float bits_as_float(unsigned bits) {
    float value;
    __builtin_memcpy(&value, &bits, 4);
    return value;
}
inline float rounded_product(float a, float b) {
    const volatile float product = a * b;
    return product;
}
inline float rounded_sum(float a, float b) {
    const volatile float sum = a + b;
    return sum;
}
// To the nearest bf16, ties to even; NaN stays NaN.
inline unsigned emulated_bf16(float value) {
    const unsigned bits = float_as_bits(value);
    return value != value ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
inline unsigned pack_bf16(float low, float high) { return emulated_bf16(low) | emulated_bf16(high) << 16; }
// To the nearest tf32, ties away from zero.
inline unsigned round_tf32(float value) { return value != value ? float_as_bits(value) : (float_as_bits(value) + 0x1000) & ~0x1fffu; }

template <int... I> struct EmulatedPack {};
template <class T> inline T emulated_argument(unsigned long long bits) {
    static_assert(sizeof(T) == 8, "every argument is eight bytes");
    T value;
    __builtin_memcpy(&value, &bits, 8);
    return value;
}
template <class... A, int... I>
inline void emulated_apply(void (*entry)(A...), const unsigned long long* arguments, EmulatedPack<I...>) {
    entry(emulated_argument<A>(arguments[I])...);
}
template <class... A> inline void emulated_call(void (*entry)(A...), const unsigned long long* arguments) {
    emulated_apply(entry, arguments, EmulatedPack<__integer_pack(sizeof...(A))...>());
}
template <class... A> constexpr int emulated_count(void (*)(A...)) { return sizeof...(A); }
#define EMULATE_ENTRY(name)                                                                                           \
    extern "C" void emulate_call_##name(const unsigned long long* arguments) { emulated_call(&name, arguments); }     \
    extern "C" const int emulate_count_##name = emulated_count(&name);
