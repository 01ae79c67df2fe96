// What every kernel starts with: names of types, and wrappers around the instructions that C++ cannot say. No other
// file holds inline PTX, and none includes a header. An emulator supplies its own versions of the second half.

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;
using i64 = long long;

#ifndef SPHC_EMULATE

#define SHARED_MEMORY(name) extern __shared__ __align__(128) unsigned char name[]

// An address in shared memory as instructions take it: half as long as a pointer, to which bytes can be added. In the
// emulator it is a pointer.
using Shared = u32;
__device__ __forceinline__ Shared shared_address(const void* at) { return (u32)__cvta_generic_to_shared(at); }

// Copies `BYTES` (4 or 16) from global to shared memory behind the program's back; zeros when not `valid`, and then nothing
// is read. `from` is a multiple of BYTES either way. With `KEEP` the bytes stay in the L1 cache, too.
template <int BYTES, bool KEEP> __device__ __forceinline__ void copy_async(Shared to, const void* from, bool valid) {
    const int bytes = valid ? BYTES : 0;
    if constexpr (BYTES == 16 && !KEEP)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %3, %2;" ::"r"(to), "l"(from), "r"(bytes), "n"(BYTES) : "memory");
}

// Closes a group of this thread's copies.
__device__ __forceinline__ void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most `N` of this thread's groups are under way.
template <int N> __device__ __forceinline__ void copy_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }

// Four 8x8 matrices of 16-bit numbers from shared memory, one register each: lane 8 j + i gives the address of row i of
// matrix j (16 bytes), and takes two neighbours, 2 (lane % 4) on, of row lane / 4 of every matrix.
__device__ __forceinline__ void load_matrices(u32 (&to)[4], Shared row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(row)
                 : "memory");
}

// The same of the transposed matrices.
__device__ __forceinline__ void load_matrices_transposed(u32 (&to)[4], Shared row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(row)
                 : "memory");
}

// d += a b for 16x16 times 16x8 bf16, accumulated in fp32.
__device__ __forceinline__ void multiply_bf16(float* d, const u32 (&a)[4], const u32 (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// d += a b for 16x8 times 8x8 tf32, accumulated in fp32.
__device__ __forceinline__ void multiply_tf32(float* d, const u32 (&a)[4], const u32 (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Two numbers rounded to bf16, `low` in the low half.
__device__ __forceinline__ u32 pack_bf16(float low, float high) {
    u32 packed;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
}

// A number rounded to tf32.
__device__ __forceinline__ u32 round_tf32(float value) {
    u32 rounded;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(value));
    return rounded;
}

// The same number, of which the compiler knows nothing: what depends on it is not computed ahead of here.
__device__ __forceinline__ u32 unforeseen(u32 value) {
    asm volatile("" : "+r"(value));
    return value;
}

// The value of the lane whose number differs by `mask`. All lanes of the warp take part.
__device__ __forceinline__ float shuffle_xor(float value, int mask) { return __shfl_xor_sync(0xffffffffu, value, mask); }
__device__ __forceinline__ int shuffle_xor(int value, int mask) { return __shfl_xor_sync(0xffffffffu, value, mask); }

__device__ __forceinline__ float bits_as_float(u32 bits) { return __uint_as_float(bits); }

// A product and a sum that the compiler makes no fused one of.
__device__ __forceinline__ float rounded_product(float a, float b) { return __fmul_rn(a, b); }
__device__ __forceinline__ float rounded_sum(float a, float b) { return __fadd_rn(a, b); }

// What this thread, and those it met at a barrier, wrote before is there for every block before what it writes after;
// likewise for what is read.
__device__ __forceinline__ void fence() { __threadfence(); }

// Counts up to `last`, and then starts at 0 again; tells what was counted before.
__device__ __forceinline__ u32 count_up(u32* counter, u32 last) { return atomicInc(counter, last); }

#endif

// A real in 16 bits of memory: the upper half of a float. Arithmetic happens in float, so reading is exact and writing
// rounds to the nearest, ties to even.
struct bf16 {
    unsigned short bits;
    bf16() = default;
    __device__ __forceinline__ explicit bf16(float value) : bits((unsigned short)pack_bf16(value, 0.0f)) {}
    __device__ __forceinline__ operator float() const { return bits_as_float((u32)bits << 16); }
};
