// Random numbers (philox.cu), which lie in memory. A shuffle tells which examples batch `step` holds; every epoch visits
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
#include "philox.cu"
#endif

constexpr int RANDOM_THREADS = 128;

__device__ __forceinline__ u64 shuffled(u64 seed, u64 position) {
    constexpr u64 MASK = (1ull << HALF_BITS) - 1;
    const u64 epoch = position / EXAMPLES;
    u64 at = position % EXAMPLES;
    do {
        u64 left = at >> HALF_BITS, right = at & MASK;
        for (u64 round = 0; round < 4; round++) {
            const u64 next = left ^ (words(seed, STREAM, epoch, right | round << 40).w[0] & MASK);
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
        ((float*)result)[i] = uniform(seed, STREAM, step, FIRST + i);
    } else if constexpr (KIND == Random::Shuffle) {
        ((i64*)result)[i] = (i64)shuffled(seed, step * SIZE + FIRST + i);
    } else {
        ((i64*)result)[i] = (i64)((step + FIRST + i) % EXAMPLES);
    }
}
