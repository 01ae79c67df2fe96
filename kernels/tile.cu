// One tile of a matrix product c[m, n] = sum_k a[m, k] b[k, n] per block: the core of convolutions and `matmul`.
//
// Tiles of both operands pass through the ring of `ring.cu`.
// How a tile lies there (`place`) and how its products are added (`Factors`, `accumulate`) depends on the operands in memory:
// `tile_fp32.cu` or `tile_bf16.cu` says it. Sums are fp32 always.
//
// An operand's tile lies in shared memory as it lies in global memory: along k (each row of m or n holds DEPTH
// consecutive k) or across (each k holds TILE consecutive rows).
#ifndef SPHC_GENERATED
#include "kinds.cu"
using operand = float;                     // of both operands in memory: float or bf16
constexpr int TILE_M = 128, TILE_N = 128;  // rows and columns of a block's tile
constexpr int WARPS_M = 2, WARPS_N = 4;    // how the block's warps share it
constexpr Arithmetic ARITHMETIC = Arithmetic::Bf16;
constexpr bool A_ALONG_K = true, B_ALONG_K = false;
constexpr int VECTOR_A = 4, VECTOR_B = 4;  // numbers per copy: 16 bytes, or one
constexpr int BLOCKS = 2;                  // that shall fit a multiprocessor
#endif

constexpr int DEPTH = 32, STAGES = 3;
constexpr int THREADS = WARPS_M * WARPS_N * 32;
// Copies of single numbers keep more places in mind, and tf32 twice the factors of bf16; both would spill in the
// registers that BLOCKS leave a thread.
constexpr int WHOLE = 16 / sizeof(operand);
constexpr int RESIDENT = VECTOR_A == WHOLE && VECTOR_B == WHOLE && ARITHMETIC != Arithmetic::Tf32 ? BLOCKS : 1;
constexpr int STAGE_A = TILE_M * DEPTH, STAGE = STAGE_A + TILE_N * DEPTH;  // in numbers
constexpr int HELD = TILE_M * TILE_N / THREADS;                           // sums that a thread holds
constexpr int WARP_M = TILE_M / WARPS_M, WARP_N = TILE_N / WARPS_N;
constexpr int PARTS_M = WARP_M / 16, PARTS_N = WARP_N / 8;

// fp32: threads as a grid of FMA_ROWS x 16; each takes every FMA_ROWS-th row and every 16th column.
constexpr int FMA_ROWS = THREADS / 16, FMA_M = TILE_M / FMA_ROWS, FMA_N = TILE_N / 16;

// Where element (row, k) of an operand's tile lies; pieces of 16 bytes stay together. From one line (a row along k, a k
// across) to the line TURN further on it is always as far.
template <bool ALONG_K, int TILE> __device__ __forceinline__ int place(int row, int k);
template <bool ALONG_K> constexpr int TURN = sizeof(operand) == 2 || ALONG_K ? 8 : 16;

// Adds the products of one stage, which lies `at` bytes into the ring: what does not depend on that is in `factors`.
struct Factors;
__device__ __forceinline__ void accumulate(float (&sums)[HELD], const Factors& factors, int at);

// A thread's share of the copies of a tile: COUNT pieces of VECTOR numbers, STEP lines apart.
template <bool ALONG_K, int TILE, int VECTOR> struct Pieces {
    static constexpr int OF_LINE = (ALONG_K ? DEPTH : TILE) / VECTOR;  // pieces of a line
    static constexpr int COUNT = TILE * DEPTH / VECTOR / THREADS, STEP = THREADS / OF_LINE;
    static_assert(THREADS % OF_LINE == 0 && TILE * DEPTH / VECTOR % THREADS == 0, "a tile is shared evenly");
    Shared tile;  // the tile's place in the first buffer of the ring

    // The row and k of a piece's first number.
    static __device__ __forceinline__ int row(int i) {
        return ALONG_K ? threadIdx.x / OF_LINE + i * STEP : threadIdx.x % OF_LINE * VECTOR;
    }
    static __device__ __forceinline__ int k(int i) {
        return ALONG_K ? threadIdx.x % OF_LINE * VECTOR : threadIdx.x / OF_LINE + i * STEP;
    }
    // Starts the copy of a piece into the buffer that lies `at` bytes into the ring; zeros where it is not `valid`. With
    // `KEEP` the L1 cache holds what is read, for the stages that read it again.
    template <bool KEEP> __device__ __forceinline__ void copy(int i, int at, const operand* from, bool valid) const {
        constexpr int BYTES = sizeof(operand), LINE = (ALONG_K ? DEPTH : TILE) * BYTES;
        constexpr bool TURNS = STEP % TURN<ALONG_K> == 0;
        const Shared line = tile + place<ALONG_K, TILE>(row(TURNS ? 0 : i), k(TURNS ? 0 : i)) * BYTES;
        copy_async<VECTOR * BYTES, KEEP>(line + (at + (TURNS ? i * STEP * LINE : 0)), from, valid);
    }
};
using PiecesA = Pieces<A_ALONG_K, TILE_M, VECTOR_A>;
using PiecesB = Pieces<B_ALONG_K, TILE_N, VECTOR_B>;

// Multiplies stages `first` to `last` (excluded) of k. `load(a, b, at, ahead, stage)` starts the copies of a stage; the rest
// is that of `each_stage`.
template <int PERIOD, bool WHOLE, class OfTile = Factors, class Load, class Turn>
__device__ __forceinline__ void multiply(float (&sums)[HELD], int first, int last, Load load, Turn turn) {
    SHARED_MEMORY(memory);
    const PiecesA a = {shared_address(memory)};
    const PiecesB b = {shared_address(memory) + STAGE_A * (int)sizeof(operand)};
    const OfTile factors(memory);
#pragma unroll
    for (int i = 0; i < HELD; i++) sums[i] = 0.0f;
    each_stage<STAGES, STAGE * (int)sizeof(operand), PERIOD, WHOLE>(
        first, last, [&](int at, int ahead, int stage) { load(a, b, at, ahead, stage); },
        [&](int at) { accumulate(sums, factors, at); }, turn);
}

// The same where a place follows from the stage alone: `from_a(row, k, stage)` and `from_b` say where a piece lies in global
// memory, and whether there is one.
struct Source {
    const operand* at;
    bool valid;
};
template <class FromA, class FromB>
__device__ __forceinline__ void multiply(float (&sums)[HELD], int first, int last, FromA from_a, FromB from_b) {
    multiply<1, true>(
        sums, first, last,
        [&](const PiecesA& a, const PiecesB& b, int at, int, int stage) {
#pragma unroll
            for (int i = 0; i < PiecesA::COUNT; i++) {
                const Source it = from_a(a.row(i), a.k(i), stage);
                a.template copy<false>(i, at, it.at, it.valid);
            }
#pragma unroll
            for (int i = 0; i < PiecesB::COUNT; i++) {
                const Source it = from_b(b.row(i), b.k(i), stage);
                b.template copy<false>(i, at, it.at, it.valid);
            }
        },
        [] {});
}

// Columns of the tile that a thread holds sums of.
constexpr int COLUMNS_HELD = ARITHMETIC == Arithmetic::Fp32 ? FMA_N : PARTS_N * 2;

// Sums side by side that a thread holds; the first column is a multiple of that.
constexpr int SIDE = ARITHMETIC == Arithmetic::Fp32 ? 1 : 2;

// A thread's sums are those of ROWS_HELD rows and GROUPS groups of SIDE columns: the place of a row and of a group's first
// column in the tile, and where their sums lie among those held.
constexpr int ROWS_HELD = ARITHMETIC == Arithmetic::Fp32 ? FMA_M : PARTS_M * 2, GROUPS = COLUMNS_HELD / SIDE;
__device__ __forceinline__ int row_held(int i) {
    if constexpr (ARITHMETIC == Arithmetic::Fp32) return threadIdx.x / 16 + i * FMA_ROWS;
    return threadIdx.x / 32 / WARPS_N * WARP_M + threadIdx.x % 32 / 4 + i * 8;
}
__device__ __forceinline__ int column_held(int group) {
    if constexpr (ARITHMETIC == Arithmetic::Fp32) return threadIdx.x % 16 + group * 16;
    return threadIdx.x / 32 % WARPS_N * WARP_N + threadIdx.x % 4 * 2 + group * 8;
}
__device__ __forceinline__ constexpr int held(int i, int group) {
    return ARITHMETIC == Arithmetic::Fp32 ? i * FMA_N + group : (i / 2 * PARTS_N + group) * 4 + i % 2 * 2;
}

// Calls `store(row, column, sums)` for every SIDE sums that this thread holds.
template <class Store> __device__ __forceinline__ void each_sum(const float (&sums)[HELD], Store store) {
#pragma unroll
    for (int i = 0; i < ROWS_HELD; i++)
#pragma unroll
        for (int group = 0; group < GROUPS; group++) store(row_held(i), column_held(group), &sums[held(i, group)]);
}

// SIDE numbers of a row as they lie in memory: loaded as one word where TOGETHER says that pairs are aligned. Of `left` that
// are there the last stands for those that are not.
template <class T, bool TOGETHER> struct Side {
    T numbers[SIDE];
    __device__ __forceinline__ void load(const T* from, int left) {
#pragma unroll
        for (int c = 0; c < SIDE; c++) numbers[c] = from[c < left ? c : 0];
    }
    __device__ __forceinline__ float at(int c) const { return (float)numbers[c]; }
};
template <class T> struct Side<T, true> {
    Vector<T, 2> both;
    __device__ __forceinline__ void load(const T* from, int) { both.load(from); }
    __device__ __forceinline__ float at(int c) const { return both.at(c); }
};

// Stores SIDE numbers in a row of COLUMNS, of which `left` are left.
template <int COLUMNS, class T> __device__ __forceinline__ void store_side(T* to, const float* values, int left) {
    if constexpr (SIDE == 2 && COLUMNS % 2 == 0) {
        put_vector<2>(to, [&](int c) { return values[c]; });
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
    constexpr int LINES = ARITHMETIC == Arithmetic::Fp32 ? FMA_ROWS : WARPS_M;  // what holds the same column
#pragma unroll
    for (int o = 0; o < COUNT; o++) {
        __syncthreads();  // all are done with what was there
        if constexpr (ARITHMETIC == Arithmetic::Fp32) {
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

// The same of moments over the pixels that threads hold, of which each met `met`, ALL_MET says whether those are all; calls
// `put(number, column, moments, count)`.
template <int COUNT, bool ALL_MET, int PITCH, class Put>
__device__ __forceinline__ void join_columns(const Moments (&kept)[COLUMNS_HELD][PITCH], int met, Put put) {
    SHARED_MEMORY(memory);
    constexpr int LINES = ARITHMETIC == Arithmetic::Fp32 ? FMA_ROWS : WARPS_M;  // what holds the same column
    Moments* shared = (Moments*)memory;
    float* counts = (float*)(shared + LINES * TILE_N);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    // Of a thread, of two, four and eight.
    float of[4] = {ALL_MET ? (float)ROWS_HELD : (float)met};
    if constexpr (ARITHMETIC != Arithmetic::Fp32) {
#pragma unroll
        for (int s = 0; s < 3; s++) of[s + 1] = of[s] + (ALL_MET ? of[s] : shuffle_xor(of[s], 4 << s));
    }
    const auto of_line = [&](int line) { return ALL_MET ? of[ARITHMETIC == Arithmetic::Fp32 ? 0 : 3] : counts[line]; };
#pragma unroll
    for (int o = 0; o < COUNT; o++) {
        __syncthreads();  // all are done with what was there
        if constexpr (ARITHMETIC == Arithmetic::Fp32) {
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
            float count = of_line(0);
#pragma unroll
            for (int line = 1; line < LINES; line++) {
                all = joined(all, count, shared[line * TILE_N + i], of_line(line));
                count += of_line(line);
            }
            put(o, i, all, count);
        }
    }
}
