// Numbers made by a counter: Philox4x32-10 keyed by seed and stream, the same bits as `ir::random` on every backend.
//
// Uniform ones lie in [0, 1) and are multiples of 2^-24. A shuffle tells which examples batch `step` holds; every epoch visits
// each example once, in an order of its own (a Feistel network walked until it lands inside). A sequence is start, start + 1, ...
// FIRST is the position of the first number: a tensor may be a later part of a batch.
#ifndef SPHC_GENERATED
#include "kinds.cu"
constexpr Random KIND = Random::Uniform;
constexpr int SIZE = 384;
constexpr unsigned long long STREAM = 1, EXAMPLES = 50000, FIRST = 0;
constexpr int HALF_BITS = 8;  // half of the Feistel network's width
#define SPHC_GENERATED
#include "device.cu"
#endif

constexpr int RANDOM_THREADS = 128;

struct Words {
    u32 w[4];
};

__device__ __forceinline__ Words philox(u32 c0, u32 c1, u32 c2, u32 c3, u32 k0, u32 k1) {
#pragma unroll
    for (int round = 0; round < 10; round++) {
        const u64 a = (u64)0xD2511F53u * c0, b = (u64)0xCD9E8D57u * c2;
        c0 = (u32)(b >> 32) ^ c1 ^ k0, c1 = (u32)b;
        c2 = (u32)(a >> 32) ^ c3 ^ k1, c3 = (u32)a;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    return {{c0, c1, c2, c3}};
}

__device__ __forceinline__ Words words(u64 seed, u64 step, u64 block) {
    const u64 key = seed ^ (STREAM << 32 | STREAM >> 32);
    return philox((u32)block, (u32)(block >> 32) ^ (u32)STREAM, (u32)step, (u32)(step >> 32), (u32)key, (u32)(key >> 32));
}

__device__ __forceinline__ u64 shuffled(u64 seed, u64 position) {
    constexpr u64 MASK = (1ull << HALF_BITS) - 1;
    const u64 epoch = position / EXAMPLES;
    u64 at = position % EXAMPLES;
    do {
        u64 left = at >> HALF_BITS, right = at & MASK;
        for (u64 round = 0; round < 4; round++) {
            const u64 next = left ^ (words(seed, epoch, right | round << 40).w[0] & MASK);
            left = right, right = next;
        }
        at = left << HALF_BITS | right;
    } while (at >= EXAMPLES);
    return at;
}

// `result` is float for uniform numbers, else i64.
extern "C" __global__ void __launch_bounds__(RANDOM_THREADS) random_numbers(const i64* counter, u64 seed, void* result) {
    const int i = blockIdx.x * RANDOM_THREADS + threadIdx.x;
    if (i >= SIZE) return;
    const u64 step = (u64)*counter;
    if constexpr (KIND == Random::Uniform) {
        const u64 at = FIRST + i;
        const Words four = words(seed, step, at / 4);
        const u32 word = at % 4 == 0 ? four.w[0] : at % 4 == 1 ? four.w[1] : at % 4 == 2 ? four.w[2] : four.w[3];
        ((float*)result)[i] = (float)(word >> 8) * (1.0f / 16777216.0f);
    } else if constexpr (KIND == Random::Shuffle) {
        ((i64*)result)[i] = (i64)shuffled(seed, step * SIZE + FIRST + i);
    } else {
        ((i64*)result)[i] = (i64)((step + FIRST + i) % EXAMPLES);
    }
}
