// Tiles of bf16 numbers, as they lie in memory: tensor cores take them without a rounding.
//
// A line (a row along k, a k across) holds pieces of eight numbers. `ldmatrix` reads eight lines of one piece at a time,
// copies write eight neighbouring pieces; a line's pieces are permuted so that neither meet in a bank. 128 bytes are all
// banks once:
//     lines of 8 n pieces:      piece p of line l lies at p ^ (l & 7)
//     lines of 4 (odd) pieces:  piece p of line l lies at p ^ (l >> 1 & 3), as two neighbouring lines differ by 64 bytes

template <bool ALONG_K, int TILE> __device__ __forceinline__ int place(int row, int k) {
    constexpr int PIECES = (ALONG_K ? DEPTH : TILE) / 8;
    static_assert(PIECES % 4 == 0, "pieces are permuted in groups of four or eight");
    const int line = ALONG_K ? row : k, at = ALONG_K ? k : row;
    const int turn = PIECES % 8 == 0 ? line & 7 : line >> 1 & 3;
    return (line * PIECES + (at >> 3 ^ turn)) * 8 + (at & 7);
}

// Two fragments side by side: rows row .. row + 15, k .. k + 15 of a tile. Of the four 8x8 matrices that a warp reads at
// once, the second is 8 rows further (`ROWS_FIRST`, as the left factor wants it) or 8 k, the third the other.
template <bool ALONG_K, int TILE, bool ROWS_FIRST>
__device__ __forceinline__ void fragments(u32 (&to)[4], const bf16* tile, int row, int k) {
    const int lane = threadIdx.x % 32, second = lane >> 3 & 1, third = lane >> 4;
    const int rows = (ROWS_FIRST ? second : third) * 8, ks = (ROWS_FIRST ? third : second) * 8;
    if constexpr (ALONG_K)
        load_matrices(to, tile + place<true, TILE>(row + rows + lane % 8, k + ks));
    else
        load_matrices_transposed(to, tile + place<false, TILE>(row + rows, k + ks + lane % 8));
}

__device__ __forceinline__ void accumulate(float (&sums)[HELD], const operand* a, const operand* b) {
    static_assert(ARITHMETIC == 2 && PARTS_N % 2 == 0, "factors are bf16, and columns are read 16 at a time");
    const int warp = threadIdx.x / 32, row = warp / WARPS_N * WARP_M, column = warp % WARPS_N * WARP_N;
#pragma unroll
    for (int k = 0; k < DEPTH; k += 16) {
        u32 right[PARTS_N / 2][4];
#pragma unroll
        for (int j = 0; j < PARTS_N / 2; j++) fragments<B_ALONG_K, TILE_N, false>(right[j], b, column + j * 16, k);
#pragma unroll
        for (int i = 0; i < PARTS_M; i++) {
            u32 left[4];
            fragments<A_ALONG_K, TILE_M, true>(left, a, row + i * 16, k);
#pragma unroll
            for (int j = 0; j < PARTS_N; j++) {
                const u32 both[2] = {right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]};
                multiply_bf16(&sums[(i * PARTS_N + j) * 4], left, both);
            }
        }
    }
}
