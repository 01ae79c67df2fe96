// Numbers made by a counter: Philox4x32-10 keyed by seed and stream (Salmon et al., SC 2011), the same bits as `ir::random` on every
// backend.
//
// Uniform ones lie in [0, 1) and are multiples of 2^-24. What an expression draws lies nowhere: `Drawn` is to it what a vector is that
// others load.
#ifndef SPHC_GENERATED
#define SPHC_GENERATED
#include "device.cu"
#endif

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

__device__ __forceinline__ Words words(u64 seed, u64 stream, u64 step, u64 block) {
    const u64 key = seed ^ (stream << 32 | stream >> 32);
    return philox((u32)block, (u32)(block >> 32) ^ (u32)stream, (u32)step, (u32)(step >> 32), (u32)key, (u32)(key >> 32));
}

__device__ __forceinline__ float uniform_of(u32 word) { return (float)(word >> 8) * (1.0f / 16777216.0f); }

// Number `at` of a step. Which of four words it is, is chosen without an array that is indexed: that would lie in memory.
__device__ __forceinline__ float uniform(u64 seed, u64 stream, u64 step, u64 at) {
    const Words four = words(seed, stream, step, at / 4);
    return uniform_of(at % 4 == 0 ? four.w[0] : at % 4 == 1 ? four.w[1] : at % 4 == 2 ? four.w[2] : four.w[3]);
}

// WIDTH numbers of a step, one after the other; ALIGNED where the first stands at a multiple of WIDTH, which is 2, 4 or 8.
template <int WIDTH, bool ALIGNED> struct Drawn {
    float numbers[WIDTH];
    __device__ __forceinline__ void draw(u64 seed, u64 stream, u64 step, u64 first) {
        if constexpr (ALIGNED && WIDTH % 4 == 0) {
#pragma unroll
            for (int i = 0; i < WIDTH / 4; i++) {
                const Words four = words(seed, stream, step, first / 4 + i);
#pragma unroll
                for (int c = 0; c < 4; c++) numbers[i * 4 + c] = uniform_of(four.w[c]);
            }
        } else if constexpr (ALIGNED && WIDTH == 2) {
            const Words four = words(seed, stream, step, first / 4);
            const bool low = first % 4 == 0;
            numbers[0] = uniform_of(low ? four.w[0] : four.w[2]), numbers[1] = uniform_of(low ? four.w[1] : four.w[3]);
        } else {
#pragma unroll
            for (int c = 0; c < WIDTH; c++) numbers[c] = uniform(seed, stream, step, first + c);
        }
    }
    __device__ __forceinline__ float at(int c) const { return numbers[c]; }
};
