// One tile of a matrix product c[m, n] = sum_k a[m, k] b[k, n] per block: the core of convolutions and `matmul`.
//
// Tiles of both operands pass through the ring of `ring.cu`.
// How a tile lies there (`place`) and how its products are added (`accumulate`) depends on the operands in memory:
// `tile_fp32.cu` or `tile_bf16.cu` says it. Sums are fp32 always.
//
// An operand's tile lies in shared memory as it lies in global memory: along k (each row of m or n holds DEPTH
// consecutive k) or across (each k holds TILE consecutive rows).
#ifndef SPHC_GENERATED
using operand = float;                     // of both operands in memory: float or bf16
constexpr int TILE_M = 128, TILE_N = 128;  // rows and columns of a block's tile
constexpr int WARPS_M = 2, WARPS_N = 4;    // how the block's warps share it
constexpr int ARITHMETIC = 2;              // 0 fp32, 1 tf32, 2 bf16
constexpr bool A_ALONG_K = true, B_ALONG_K = false;
constexpr int VECTOR_A = 4, VECTOR_B = 4;  // numbers per copy: 16 bytes, or one
constexpr int BLOCKS = 2;                  // that shall fit a multiprocessor
#endif

constexpr int DEPTH = 32, STAGES = 3;
constexpr int THREADS = WARPS_M * WARPS_N * 32;
// Copies of single numbers keep more places in mind, and tf32 twice the factors of bf16; both would spill in the
// registers that BLOCKS leave a thread.
constexpr int WHOLE = 16 / sizeof(operand);
constexpr int RESIDENT = VECTOR_A == WHOLE && VECTOR_B == WHOLE && ARITHMETIC != 1 ? BLOCKS : 1;
constexpr int STAGE_A = TILE_M * DEPTH, STAGE = STAGE_A + TILE_N * DEPTH;  // in numbers
constexpr int HELD = TILE_M * TILE_N / THREADS;                           // sums that a thread holds
constexpr int WARP_M = TILE_M / WARPS_M, WARP_N = TILE_N / WARPS_N;
constexpr int PARTS_M = WARP_M / 16, PARTS_N = WARP_N / 8;

// fp32: threads as a grid of FMA_ROWS x 16; each takes every FMA_ROWS-th row and every 16th column.
constexpr int FMA_ROWS = THREADS / 16, FMA_M = TILE_M / FMA_ROWS, FMA_N = TILE_N / 16;

// Where element (row, k) of an operand's tile lies; pieces of 16 bytes stay together.
template <bool ALONG_K, int TILE> __device__ __forceinline__ int place(int row, int k);

// Adds the products of one stage.
__device__ __forceinline__ void accumulate(float (&sums)[HELD], const operand* a, const operand* b);

// Starts the copies of this thread's share of a tile. `address(i, row, k)` gives the place in global memory of the
// VECTOR numbers from (row, k) on, or null for zeros; `i` counts this thread's pieces and is known at compile time. With
// `KEEP` the L1 cache holds what is read, for the stages that read it again.
template <bool ALONG_K, int TILE, int VECTOR, bool KEEP, class Address>
__device__ __forceinline__ void fill(operand* tile, const operand* readable, Address address) {
    constexpr int PIECES = (ALONG_K ? DEPTH : TILE) / VECTOR;  // per row (along k) or per k (across)
    constexpr int COUNT = TILE * DEPTH / VECTOR / THREADS;
    static_assert(THREADS % PIECES == 0 && TILE * DEPTH / VECTOR % THREADS == 0, "a tile is shared evenly");
    const int piece = threadIdx.x % PIECES * VECTOR, line = threadIdx.x / PIECES;
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
        const int other = line + i * (THREADS / PIECES);
        const int row = ALONG_K ? other : piece, k = ALONG_K ? piece : other;
        const operand* from = address(i, row, k);
        copy_async<VECTOR * sizeof(operand), KEEP>(tile + place<ALONG_K, TILE>(row, k), from ? from : readable, from != nullptr);
    }
}

// How many pieces a thread copies, and the row of its i-th piece along k.
template <int TILE, int VECTOR> __device__ constexpr int pieces_of_thread() { return TILE * DEPTH / VECTOR / THREADS; }
template <int VECTOR> __device__ __forceinline__ int row_of_piece(int i) {
    constexpr int PIECES = DEPTH / VECTOR;
    return threadIdx.x / PIECES + i * (THREADS / PIECES);
}

// Multiplies stages `first` to `last` (excluded) of k. `load_a(tile, stage)` and `load_b` start the copies of a stage.
template <class LoadA, class LoadB>
__device__ __forceinline__ void multiply(float (&sums)[HELD], int first, int last, LoadA load_a, LoadB load_b) {
#pragma unroll
    for (int i = 0; i < HELD; i++) sums[i] = 0.0f;
    each_stage<STAGES, STAGE * (int)sizeof(operand)>(
        first, last,
        [&](unsigned char* memory, int stage) {
            load_a((operand*)memory, stage);
            load_b((operand*)memory + STAGE_A, stage);
        },
        [&](const unsigned char* memory) { accumulate(sums, (const operand*)memory, (const operand*)memory + STAGE_A); });
}

// Columns of the tile that a thread holds sums of.
constexpr int COLUMNS_HELD = ARITHMETIC == 0 ? FMA_N : PARTS_N * 2;

// Sums side by side that a thread holds; the first column is a multiple of that.
constexpr int SIDE = ARITHMETIC == 0 ? 1 : 2;

// Calls `store(row, column, held, sums)` for every SIDE sums that this thread holds: the place of the first in the tile,
// and which of the thread's columns that is, known at compile time.
template <class Store> __device__ __forceinline__ void each_sum(const float (&sums)[HELD], Store store) {
    if constexpr (ARITHMETIC == 0) {
        const int row = threadIdx.x / 16, column = threadIdx.x % 16;
#pragma unroll
        for (int i = 0; i < FMA_M; i++)
#pragma unroll
            for (int j = 0; j < FMA_N; j++) store(row + i * FMA_ROWS, column + j * 16, j, &sums[i * FMA_N + j]);
    } else {
        const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
        const int row = warp / WARPS_N * WARP_M + lane / 4, column = warp % WARPS_N * WARP_N + lane % 4 * 2;
#pragma unroll
        for (int i = 0; i < PARTS_M; i++)
#pragma unroll
            for (int h = 0; h < 2; h++)
#pragma unroll
                for (int j = 0; j < PARTS_N; j++)
                    store(row + i * 16 + h * 8, column + j * 8, j * 2, &sums[(i * PARTS_N + j) * 4 + h * 2]);
    }
}

// Stores SIDE numbers in a row of COLUMNS, of which `left` are left.
template <int COLUMNS, class T> __device__ __forceinline__ void store_side(T* to, const float* values, int left) {
    if constexpr (SIDE == 2 && COLUMNS % 2 == 0) {
        store_two(to, values[0], values[1]);
    } else {
#pragma unroll
        for (int c = 0; c < SIDE; c++)
            if (c < left) to[c] = (T)values[c];
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

// The same of moments over the pixels that threads hold, of which each met `met`; calls `put(number, column, moments,
// count)`.
template <int COUNT, int PITCH, class Put>
__device__ __forceinline__ void join_columns(const Moments (&kept)[COLUMNS_HELD][PITCH], int met, Put put) {
    SHARED_MEMORY(memory);
    constexpr int LINES = ARITHMETIC == 0 ? FMA_ROWS : WARPS_M;  // what holds the same column
    Moments* shared = (Moments*)memory;
    float* counts = (float*)(shared + LINES * TILE_N);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    // Of a thread, of two, four and eight.
    float of[4] = {(float)met};
    if constexpr (ARITHMETIC != 0) {
#pragma unroll
        for (int s = 0; s < 3; s++) of[s + 1] = of[s] + shuffle_xor(of[s], 4 << s);
    }
#pragma unroll
    for (int o = 0; o < COUNT; o++) {
        __syncthreads();  // all are done with what was there
        if constexpr (ARITHMETIC == 0) {
            if (threadIdx.x % 16 == 0) counts[threadIdx.x / 16] = of[0];
#pragma unroll
            for (int j = 0; j < FMA_N; j++)
                shared[threadIdx.x / 16 * TILE_N + threadIdx.x % 16 + j * 16] = settled(kept[j][o], of[0]);
        } else {
            if (lane == 0 && warp % WARPS_N == 0) counts[warp / WARPS_N] = of[3];
#pragma unroll
            for (int j = 0; j < COLUMNS_HELD; j++) {
                Moments all = settled(kept[j][o], of[0]);
#pragma unroll
                for (int s = 0; s < 3; s++) {
                    const int mask = 4 << s;
                    const Moments other = {shuffle_xor(all.pivot, mask), shuffle_xor(all.shift, mask),
                                           shuffle_xor(all.squares, mask)};
                    all = joined(all, of[s], other, of[s + 1] - of[s]);
                }
                const int column = warp % WARPS_N * WARP_N + j / 2 * 8 + lane * 2 + j % 2;
                if (lane < 4) shared[warp / WARPS_N * TILE_N + column] = all;
            }
        }
        __syncthreads();
        for (int i = threadIdx.x; i < TILE_N; i += THREADS) {
            Moments all = shared[i];
            float count = counts[0];
            for (int line = 1; line < LINES; line++) {
                all = joined(all, count, shared[line * TILE_N + i], counts[line]);
                count += counts[line];
            }
            put(o, i, all, count);
        }
    }
}
