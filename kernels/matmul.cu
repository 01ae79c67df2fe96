// Matrix product c[m, n] = a b, row-major, either operand stored transposed, BATCH of them one after the other; k shared
// out over blockIdx.z as in `filter_grad`.
#ifndef SPHC_GENERATED
constexpr int BATCH = 1, M = 128, N = 128, K = 1152, SPLIT = 4;
constexpr bool TRANSPOSE_A = true, TRANSPOSE_B = false;
constexpr int VECTOR_A = 4, VECTOR_B = 4;
constexpr int TILE_M = 64, TILE_N = 64, WARPS_M = 2, WARPS_N = 2, BLOCKS = 4, ARITHMETIC = 0;
constexpr bool A_ALONG_K = !TRANSPOSE_A, B_ALONG_K = TRANSPOSE_B;
using operand = float;
#define SPHC_GENERATED
#include "device.cu"
#include "ring.cu"
#include "tile.cu"
#include "tile_fp32.cu"
#endif

extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT) matmul(const operand* a, const operand* b, float* c) {
    constexpr int TILES_M = (M + TILE_M - 1) / TILE_M;
    const int item = blockIdx.x / TILES_M, row0 = blockIdx.x % TILES_M * TILE_M;
    const int column0 = blockIdx.y * TILE_N, share = blockIdx.z;
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

    c += ((i64)share * BATCH + item) * M * N;
    each_sum(sums, [&](int row, int column, const float* sum) {
        row += row0, column += column0;
        if (row < M && column < N) store_side<N>(c + (i64)row * N + column, sum, N - column);
    });
}
