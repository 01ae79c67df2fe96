// One tile of a matrix product c[m, n] = sum_k a[m, k] b[k, n] per block: the core of convolutions and `matmul`.
//
// Reals are fp32 in memory and in shared memory; the arithmetic is chosen when numbers are taken from there: fp32 (fused
// multiply-adds, for checking), tf32 or bf16 (tensor cores), always accumulated in fp32. Tiles of both operands pass
// through a ring of STAGES buffers that asynchronous copies fill while the block computes.
//
// An operand's tile lies in shared memory as it lies in global memory: along k (each row of m or n holds DEPTH
// consecutive k) or across (each k holds TILE consecutive rows). Pieces of four numbers are permuted within their row so
// that neither the copies nor the reads of tensor-core fragments meet in a bank:
//     along k:  piece p of row r lies at p ^ (4 (r & 1) + (r >> 1 & 3))
//     across:   piece p of k     lies at p ^ (2 (k >> 2 & 3))
// The order of k within a step of 16 is free as long as both operands agree: lane t of a group of four takes
// k = 4t .. 4t + 3, one 16-byte read where the tile lies along k.
#ifndef SPHC_GENERATED
constexpr int TILE_M = 128, TILE_N = 128;  // rows and columns of a block's tile
constexpr int WARPS_M = 2, WARPS_N = 4;    // how the block's warps share it
constexpr int ARITHMETIC = 2;              // 0 fp32, 1 tf32, 2 bf16
constexpr bool A_ALONG_K = true, B_ALONG_K = false;
constexpr int VECTOR_A = 4, VECTOR_B = 4;  // numbers per copy
#endif

constexpr int DEPTH = 32, STAGES = 3;
constexpr int THREADS = WARPS_M * WARPS_N * 32;
// Blocks that shall fit a multiprocessor: leaves a thread 128 registers. Copies of single numbers keep more places in
// mind, and tf32 twice the factors of bf16; both would spill.
constexpr int RESIDENT = VECTOR_A == 4 && VECTOR_B == 4 && ARITHMETIC != 1 ? 512 / THREADS : 1;
constexpr int STAGE_A = TILE_M * DEPTH, STAGE = STAGE_A + TILE_N * DEPTH;  // in floats
constexpr int HELD = TILE_M * TILE_N / THREADS;                           // sums that a thread holds
constexpr int WARP_M = TILE_M / WARPS_M, WARP_N = TILE_N / WARPS_N;
constexpr int PARTS_M = WARP_M / 16, PARTS_N = WARP_N / 8;

// fp32: threads as a grid of FMA_ROWS x 16; each takes every FMA_ROWS-th row and every 16th column.
constexpr int FMA_ROWS = THREADS / 16, FMA_M = TILE_M / FMA_ROWS, FMA_N = TILE_N / 16;

// Where element (row, k) of an operand's tile lies.
template <bool ALONG_K, int TILE> __device__ __forceinline__ int place(int row, int k) {
    if constexpr (ALONG_K)
        return row * DEPTH + (((k >> 2) ^ ((row & 1) << 2 | (row >> 1 & 3))) << 2) + (k & 3);
    else
        return k * TILE + (((row >> 2) ^ (k >> 1 & 6)) << 2) + (row & 3);
}

// Starts the copies of this thread's share of a tile. `address(i, row, k)` gives the place in global memory of the
// VECTOR numbers from (row, k) on, or null for zeros; `i` counts this thread's pieces and is known at compile time.
template <bool ALONG_K, int TILE, int VECTOR, class Address>
__device__ __forceinline__ void fill(float* tile, const float* readable, Address address) {
    constexpr int PIECES = (ALONG_K ? DEPTH : TILE) / VECTOR;  // per row (along k) or per k (across)
    constexpr int COUNT = TILE * DEPTH / VECTOR / THREADS;
    static_assert(THREADS % PIECES == 0 && TILE * DEPTH / VECTOR % THREADS == 0, "a tile is shared evenly");
    const int piece = threadIdx.x % PIECES * VECTOR, line = threadIdx.x / PIECES;
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
        const int other = line + i * (THREADS / PIECES);
        const int row = ALONG_K ? other : piece, k = ALONG_K ? piece : other;
        const float* from = address(i, row, k);
        copy_async<VECTOR * 4>(tile + place<ALONG_K, TILE>(row, k), from ? from : readable, from != nullptr);
    }
}

// How many pieces a thread copies, and the row of its i-th piece along k.
template <int TILE, int VECTOR> __device__ constexpr int pieces_of_thread() { return TILE * DEPTH / VECTOR / THREADS; }
template <int VECTOR> __device__ __forceinline__ int row_of_piece(int i) {
    constexpr int PIECES = DEPTH / VECTOR;
    return threadIdx.x / PIECES + i * (THREADS / PIECES);
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

// Adds the products of one stage.
__device__ __forceinline__ void accumulate(float (&sums)[HELD], const float* a, const float* b) {
    if constexpr (ARITHMETIC == 0) {
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
#pragma unroll
        for (int step = 0; step < DEPTH; step += 16) {
            const int k = step + lane % 4 * 4;
            u32 right[PARTS_N][4];
#pragma unroll
            for (int j = 0; j < PARTS_N; j++) {
                float v[4];
                take<B_ALONG_K, TILE_N>(v, b, column + j * 8, k);
                if constexpr (ARITHMETIC == 2)
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
                if constexpr (ARITHMETIC == 2) {
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

// Multiplies stages `first` to `last` (excluded) of k. `load_a(tile, stage)` and `load_b` start the copies of a stage.
template <class LoadA, class LoadB>
__device__ __forceinline__ void multiply(float (&sums)[HELD], int first, int last, LoadA load_a, LoadB load_b) {
    SHARED_MEMORY(memory);
    float* ring = (float*)memory;
#pragma unroll
    for (int i = 0; i < HELD; i++) sums[i] = 0.0f;
#pragma unroll
    for (int ahead = 0; ahead < STAGES - 1; ahead++) {
        if (first + ahead < last) {
            load_a(ring + ahead * STAGE, first + ahead);
            load_b(ring + ahead * STAGE + STAGE_A, first + ahead);
        }
        copy_commit();
    }
    int here = 0, free = STAGES - 1;
    for (int stage = first; stage < last; stage++) {
        copy_wait<STAGES - 2>();
        __syncthreads();  // this stage has arrived for all, and all are done with the one before: its buffer is free
        if (stage + STAGES - 1 < last) {
            load_a(ring + free * STAGE, stage + STAGES - 1);
            load_b(ring + free * STAGE + STAGE_A, stage + STAGES - 1);
        }
        copy_commit();
        accumulate(sums, ring + here * STAGE, ring + here * STAGE + STAGE_A);
        here = here + 1 == STAGES ? 0 : here + 1;
        free = free + 1 == STAGES ? 0 : free + 1;
    }
}

// Columns of the tile that a thread holds sums of.
constexpr int COLUMNS_HELD = ARITHMETIC == 0 ? FMA_N : PARTS_N * 2;

// Calls `store(row, column, held, sum)` for each sum that this thread holds: its place in the tile, and which of the
// thread's columns that is, known at compile time.
template <class Store> __device__ __forceinline__ void each_sum(const float (&sums)[HELD], Store store) {
    if constexpr (ARITHMETIC == 0) {
        const int row = threadIdx.x / 16, column = threadIdx.x % 16;
#pragma unroll
        for (int i = 0; i < FMA_M; i++)
#pragma unroll
            for (int j = 0; j < FMA_N; j++) store(row + i * FMA_ROWS, column + j * 16, j, sums[i * FMA_N + j]);
    } else {
        const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
        const int row = warp / WARPS_N * WARP_M + lane / 4, column = warp % WARPS_N * WARP_N + lane % 4 * 2;
#pragma unroll
        for (int i = 0; i < PARTS_M; i++)
#pragma unroll
            for (int h = 0; h < 2; h++)
#pragma unroll
                for (int j = 0; j < PARTS_N; j++)
#pragma unroll
                    for (int c = 0; c < 2; c++)
                        store(row + i * 16 + h * 8, column + j * 8 + c, j * 2 + c,
                              sums[(i * PARTS_N + j) * 4 + h * 2 + c]);
    }
}

// Adds up what the threads of a block kept for each column of the tile, COUNT numbers for each, always in the same order;
// calls `put(number, column, sum)` for each. Uses the memory of the ring.
template <int COUNT, int PITCH, class Put>
__device__ __forceinline__ void add_columns(const float (&kept)[COLUMNS_HELD][PITCH], Put put) {
    SHARED_MEMORY(memory);
    float* shared = (float*)memory;
    constexpr int LINES = ARITHMETIC == 0 ? FMA_ROWS : WARPS_M;  // what holds the same column
#pragma unroll
    for (int o = 0; o < COUNT; o++) {
        __syncthreads();  // all are done with what was there
        if constexpr (ARITHMETIC == 0) {
#pragma unroll
            for (int j = 0; j < FMA_N; j++) shared[threadIdx.x / 16 * TILE_N + threadIdx.x % 16 + j * 16] = kept[j][o];
        } else {
            const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
            for (int j = 0; j < COLUMNS_HELD; j++) {
                float sum = kept[j][o];
#pragma unroll
                for (int mask = 4; mask < 32; mask *= 2) sum += shuffle_xor(sum, mask);
                const int column = warp % WARPS_N * WARP_N + j / 2 * 8 + lane * 2 + j % 2;
                if (lane < 4) shared[warp / WARPS_N * TILE_N + column] = sum;
            }
        }
        __syncthreads();
        for (int i = threadIdx.x; i < TILE_N; i += THREADS) {
            float sum = shared[i];
            for (int line = 1; line < LINES; line++) sum += shared[line * TILE_N + i];
            put(o, i, sum);
        }
    }
}
