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

// Where this lane finds its row of what its warp reads of a tile: two fragments side by side at a time, rows
// 16 part .. 16 part + 15, k .. k + 15. Of the four 8x8 matrices that a warp reads at once, the second is 8 rows further
// (`ROWS_FIRST`, as the left factor wants it) or 8 k, the third the other. What is a whole turn of pieces further on lies a
// constant further on.
template <bool ALONG_K, int TILE, bool ROWS_FIRST> struct Fragments {
    static constexpr int COUNT = ALONG_K ? DEPTH / 16 : 4;
    Shared from[COUNT];
    __device__ __forceinline__ Fragments(Shared tile, int row) {
        const int lane = threadIdx.x % 32, second = lane >> 3 & 1, third = lane >> 4;
        const int rows = (ROWS_FIRST ? second : third) * 8, ks = (ROWS_FIRST ? third : second) * 8;
#pragma unroll
        for (int i = 0; i < COUNT; i++)
            from[i] = tile + 2 * (ALONG_K ? place<true, TILE>(row + rows + lane % 8, i * 16 + ks)
                                          : place<false, TILE>(row + i * 16 + rows, ks + lane % 8));
    }
    __device__ __forceinline__ void load(u32 (&to)[4], int at, int part, int k) const {
        if constexpr (ALONG_K)
            load_matrices(to, from[k / 16] + (at + part * 16 * DEPTH * 2));
        else
            load_matrices_transposed(to, from[part % 4] + (at + part / 4 * 64 * 2 + k * TILE * 2));
    }
};

struct Factors {
    Fragments<A_ALONG_K, TILE_M, true> left;
    Fragments<B_ALONG_K, TILE_N, false> right;
    __device__ __forceinline__ Factors(const unsigned char* ring)
        : left(shared_address(ring), threadIdx.x / 32 / WARPS_N * WARP_M),
          right(shared_address(ring) + STAGE_A * 2, threadIdx.x / 32 % WARPS_N * WARP_N) {}
};

__device__ __forceinline__ void accumulate(float (&sums)[HELD], const Factors& factors, int at) {
    static_assert(ARITHMETIC == Arithmetic::Bf16 && PARTS_N % 2 == 0, "factors are bf16, and columns are read 16 at a time");
#pragma unroll
    for (int k = 0; k < DEPTH; k += 16) {
        u32 right[PARTS_N / 2][4];
#pragma unroll
        for (int j = 0; j < PARTS_N / 2; j++) factors.right.load(right[j], at, j, k);
#pragma unroll
        for (int i = 0; i < PARTS_M; i++) {
            u32 left[4];
            factors.left.load(left, at, i, k);
#pragma unroll
            for (int j = 0; j < PARTS_N; j++) {
                const u32 both[2] = {right[j / 2][j % 2 * 2], right[j / 2][j % 2 * 2 + 1]};
                multiply_bf16(&sums[(i * PARTS_N + j) * 4], left, both);
            }
        }
    }
}
