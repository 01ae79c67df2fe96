// Matrix product c[m, n] = a b, row-major, either operand stored transposed, BATCH of them one after the other. `block` counts
// the blocks of this product, of which several may share a grid: SPLIT times all tiles, each for a share of k. Shares of a sum
// lie one after the other and are added in that order: by the last block of a tile if ADDS, else by `combine`.
#ifndef SPHC_GENERATED
#include "kinds.cu"
constexpr int BATCH = 1, M = 128, N = 128, K = 1152, SPLIT = 4;
constexpr bool TRANSPOSE_A = true, TRANSPOSE_B = false, ADDS = true;
constexpr int VECTOR_A = 4, VECTOR_B = 4;
constexpr int TILE_M = 64, TILE_N = 64, WARPS_M = 2, WARPS_N = 2, BLOCKS = 4;
constexpr Arithmetic ARITHMETIC = Arithmetic::Fp32;
constexpr bool A_ALONG_K = !TRANSPOSE_A, B_ALONG_K = TRANSPOSE_B;
using operand = float;
#define SPHC_GENERATED
#include "device.cu"
#include "vector.cu"
#include "moments.cu"
#include "combine.cu"
#include "ring.cu"
#include "tile.cu"
#include "tile_fp32.cu"
#endif

// Adds up the shares of a tile.
__device__ __forceinline__ void add_shares(const float* shares, float* c, int row0, int column0) {
    constexpr int WIDTH = N % 4 == 0 ? 4 : 1, ALONG = TILE_N / WIDTH;
    for (int i = threadIdx.x; i < TILE_M * ALONG; i += THREADS) {
        const int row = row0 + i / ALONG, column = column0 + i % ALONG * WIDTH;
        if (M <= row || N <= column) continue;
        Vector<float, WIDTH> all[SPLIT];
#pragma unroll
        for (int j = 0; j < SPLIT; j++) all[j].load(shares + (i64)j * BATCH * M * N + (i64)row * N + column);
        put_vector<WIDTH>(c + (i64)row * N + column, [&](int at) {
            float sum = 0.0f;
#pragma unroll
            for (int j = 0; j < SPLIT; j++) sum += all[j].at(at);
            return sum;
        });
    }
}

__device__ __forceinline__ void product(const operand* a, const operand* b, float* c, float* shares, u32* arrived, int block) {
    constexpr int TILES_M = (M + TILE_M - 1) / TILE_M, TILES_N = (N + TILE_N - 1) / TILE_N, TILES = BATCH * TILES_M * TILES_N;
    const int tile = block % TILES, share = block / TILES;
    const int item = tile / (TILES_M * TILES_N), row0 = tile / TILES_N % TILES_M * TILE_M, column0 = tile % TILES_N * TILE_N;
    a += (i64)item * M * K, b += (i64)item * K * N;

    float sums[HELD];
    constexpr int STAGES_K = (K + DEPTH - 1) / DEPTH;
    const int first = STAGES_K * share / SPLIT, last = STAGES_K * (share + 1) / SPLIT;
    multiply(
        sums, first, last,
        [&](int row, int k, int stage) -> Source {
            const int m = row0 + row, at = stage * DEPTH + k;
            return {TRANSPOSE_A ? a + (i64)at * M + m : a + (i64)m * K + at, m < M && at < K};
        },
        [&](int column, int k, int stage) -> Source {
            const int n = column0 + column, at = stage * DEPTH + k;
            return {TRANSPOSE_B ? b + (i64)n * K + at : b + (i64)at * N + n, n < N && at < K};
        });

    c += (i64)item * M * N, shares += (i64)item * M * N;
    float* to = SPLIT == 1 ? c : shares + (i64)share * BATCH * M * N;
    each_sum(sums, [&](int row, int column, const float* sum) {
        row += row0, column += column0;
        if (row < M && column < N) store_side<N>(to + (i64)row * N + column, sum, N - column);
    });
    if constexpr (ADDS)
        if (is_last(arrived + tile, SPLIT)) add_shares(shares, c, row0, column0);
}
