// Tiles of fp32 numbers. The arithmetic is chosen when numbers are taken from shared memory: fp32 (fused multiply-adds,
// for checking), tf32 or bf16 (tensor cores).
//
// Pieces of four numbers are permuted within their row so that neither the copies nor the reads of tensor-core fragments
// meet in a bank:
//     along k:  piece p of row r lies at p ^ (4 (r & 1) + (r >> 1 & 3))
//     across:   piece p of k     lies at p ^ (2 (k >> 2 & 3))
// The order of k within a step of 16 is free as long as both operands agree: lane t of a group of four takes
// k = 4t .. 4t + 3, one 16-byte read where the tile lies along k.

template <bool ALONG_K, int TILE> __device__ __forceinline__ int place(int row, int k) {
    if constexpr (ALONG_K)
        return row * DEPTH + (((k >> 2) ^ ((row & 1) << 2 | (row >> 1 & 3))) << 2) + (k & 3);
    else
        return k * TILE + (((row >> 2) ^ (k >> 1 & 6)) << 2) + (row & 3);
}

// Four numbers of a row: k .. k + 3.
template <bool ALONG_K, int TILE> __device__ __forceinline__ void take(float (&to)[4], const float* tile, int row, int k) {
    if constexpr (ALONG_K) {
        const float4 four = *(const float4*)(tile + place<ALONG_K, TILE>(row, k));
        to[0] = four.x, to[1] = four.y, to[2] = four.z, to[3] = four.w;
    } else {
#pragma unroll
        for (int i = 0; i < 4; i++) to[i] = tile[place<ALONG_K, TILE>(row, k + i)];
    }
}

// The ring; numbers are read one by one or by fours, for which a pointer does.
struct Factors {
    const unsigned char* ring;
    __device__ __forceinline__ Factors(const unsigned char* ring) : ring(ring) {}
};

__device__ __forceinline__ void accumulate(float (&sums)[HELD], const Factors& factors, int at) {
    const float *a = (const float*)(factors.ring + at), *b = a + STAGE_A;
    if constexpr (ARITHMETIC == Arithmetic::Fp32) {
        const int row = threadIdx.x / 16, column = threadIdx.x % 16;
#pragma unroll 4
        for (int k = 0; k < DEPTH; k++) {
            float left[FMA_M], right[FMA_N];
#pragma unroll
            for (int i = 0; i < FMA_M; i++) left[i] = a[place<A_ALONG_K, TILE_M>(row + i * FMA_ROWS, k)];
#pragma unroll
            for (int j = 0; j < FMA_N; j++) right[j] = b[place<B_ALONG_K, TILE_N>(column + j * 16, k)];
#pragma unroll
            for (int i = 0; i < FMA_M; i++)
#pragma unroll
                for (int j = 0; j < FMA_N; j++) sums[i * FMA_N + j] = fmaf(left[i], right[j], sums[i * FMA_N + j]);
        }
    } else {
        const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
        const int row = warp / WARPS_N * WARP_M + lane / 4, column = warp % WARPS_N * WARP_N + lane / 4;
        // One step at a time: the factors of two would want more registers than there are.
#pragma unroll 1
        for (int step = 0; step < DEPTH; step += 16) {
            const int k = step + lane % 4 * 4;
            u32 right[PARTS_N][4];
#pragma unroll
            for (int j = 0; j < PARTS_N; j++) {
                float v[4];
                take<B_ALONG_K, TILE_N>(v, b, column + j * 8, k);
                if constexpr (ARITHMETIC == Arithmetic::Bf16)
                    right[j][0] = pack_bf16(v[0], v[1]), right[j][1] = pack_bf16(v[2], v[3]);
                else
#pragma unroll
                    for (int i = 0; i < 4; i++) right[j][i] = round_tf32(v[i]);
            }
#pragma unroll
            for (int i = 0; i < PARTS_M; i++) {
                float upper[4], lower[4];
                take<A_ALONG_K, TILE_M>(upper, a, row + i * 16, k);
                take<A_ALONG_K, TILE_M>(lower, a, row + i * 16 + 8, k);
                if constexpr (ARITHMETIC == Arithmetic::Bf16) {
                    const u32 left[4] = {pack_bf16(upper[0], upper[1]), pack_bf16(lower[0], lower[1]),
                                         pack_bf16(upper[2], upper[3]), pack_bf16(lower[2], lower[3])};
#pragma unroll
                    for (int j = 0; j < PARTS_N; j++) {
                        const u32 both[2] = {right[j][0], right[j][1]};
                        multiply_bf16(&sums[(i * PARTS_N + j) * 4], left, both);
                    }
                } else {
#pragma unroll
                    for (int half = 0; half < 4; half += 2) {
                        const u32 left[4] = {round_tf32(upper[half]), round_tf32(lower[half]),
                                             round_tf32(upper[half + 1]), round_tf32(lower[half + 1])};
#pragma unroll
                        for (int j = 0; j < PARTS_N; j++) {
                            const u32 both[2] = {right[j][half], right[j][half + 1]};
                            multiply_tf32(&sums[(i * PARTS_N + j) * 4], left, both);
                        }
                    }
                }
            }
        }
    }
}
