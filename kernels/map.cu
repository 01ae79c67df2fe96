// One pass over an iteration space: reads operands, evaluates scalar expressions, stores or reduces each result.
//
// The space is seen as ROWS x COLUMNS (outer and inner axes). The generator writes what belongs to the model:
//     Arguments                        the operands' and results' pointers
//     row_values(at, row)              reads and evaluates what is the same along a row; column_values, along a column
//     ElementOperands::load(...)       reads the rest of VECTOR neighbours
//     element(...)                     evaluates one of them, takes part in this thread's reductions
//     put_whole(at, row, column, ...)  stores whole results of VECTOR neighbours
//     row_maximum(o), put_row(...)     of results reduced over columns: one number a row
//     column_maximum(o), put_column()  of results reduced over rows: one number a column
//     all_maximum(o), put_all()        of results reduced over both
//     put_row_moments(...), ...        of means and variances, likewise
// Reductions over columns end within a warp. Those over rows end within a block, and the blocks' are put together in order
// by `combine` and `combine_moments`. `block` counts the blocks of this map: several maps may share a grid.
#ifndef SPHC_GENERATED
using whole = int;                                 // counts elements: int, or i64 for huge spaces
constexpr whole ROWS = 131072;
constexpr int COLUMNS = 128;
constexpr int VECTOR = 4;                          // columns side by side that a thread takes at once
constexpr int LANES = 32;                          // threads side by side on a row
constexpr int PER_THREAD = 1;                      // vectors of a thread, LANES apart
constexpr int ROWS_AT_ONCE = 4;                    // of a thread
constexpr int BLOCK_ROWS = 256;                    // rows of a block
constexpr int ROW_RESULTS = 1, COLUMN_RESULTS = 1, ALL_RESULTS = 0;  // sums and maxima
constexpr int ROW_MOMENTS = 0, COLUMN_MOMENTS = 1, ALL_MOMENTS = 0;  // means, variances, and both of the same numbers
constexpr int ROW_BLOCKS = 512;                    // blocks that share out rows; with one there is no second stage
constexpr int COLUMN_VALUES = 0;                   // values that are the same along a column
struct Arguments { const float* in0; float *out0, *out1, *out2, *columns, *all; };
#define SPHC_GENERATED
#include "device.cu"
#include "vector.cu"
#include "moments.cu"
using RowKept = Kept<ROW_RESULTS, ROW_MOMENTS>;
using ColumnKept = Kept<COLUMN_RESULTS, COLUMN_MOMENTS>;
using AllKept = Kept<ALL_RESULTS, ALL_MOMENTS>;
struct RowValues {};
struct ColumnValues {};
struct ColumnOperands {
    __device__ __forceinline__ void load(const Arguments& at, int column) {}
};
struct ElementOperands {
    Vector<float, VECTOR> in0;
    __device__ __forceinline__ void load(const Arguments& at, whole row, int column) {
        in0.load(at.in0 + row * COLUMNS + column);
    }
};
struct Values { float out0; };
__device__ __forceinline__ RowValues row_values(const Arguments& at, whole row) { return {}; }
__device__ __forceinline__ ColumnValues column_values(const Arguments& at, const ColumnOperands& in, int c) { return {}; }
__device__ __forceinline__ Values element(const RowValues& row, const ColumnValues& column, const ElementOperands& in, int c,
                                          RowKept& rows, ColumnKept& columns, AllKept& all, bool top, bool left) {
    const float x = in.in0.at(c);
    rows.sums[0] += x, columns.sums[0] += x * x;
    take(columns.moments[0], top, x);
    return {x};
}
__device__ __forceinline__ void put_whole(const Arguments& at, whole row, int column, const Values* values) {
    put_vector<VECTOR>(at.out0 + row * COLUMNS + column, [&](int c) { return values[c].out0; });
}
__device__ __forceinline__ bool row_maximum(int) { return false; }
__device__ __forceinline__ bool column_maximum(int) { return false; }
__device__ __forceinline__ bool all_maximum(int) { return false; }
__device__ __forceinline__ void put_row(const Arguments& at, int, whole row, float value) { at.out1[row] = value; }
__device__ __forceinline__ void put_column(const Arguments& at, int, whole column, float value) { at.columns[column] = value; }
__device__ __forceinline__ void put_all(const Arguments& at, int, whole block, float value) { at.all[block] = value; }
__device__ __forceinline__ void put_row_moments(const Arguments& at, int, whole row, const Moments& value, float count) {}
__device__ __forceinline__ void put_column_moments(const Arguments& at, int, whole column, const Moments& value, float count) {}
__device__ __forceinline__ void put_all_moments(const Arguments& at, int, whole block, const Moments& value, float count) {}
#endif

constexpr int MAP_THREADS = 256;

// A maximum passes NaN on.
__device__ __forceinline__ float combined(bool maximum, float a, float b) {
    return !maximum ? a + b : a < b || b != b ? b : a;
}
__device__ __forceinline__ float neutral(bool maximum) { return maximum ? bits_as_float(0xff800000u) : 0.0f; }

// Without reductions, and where neighbours cannot be taken together: an element of a thread.
__device__ __forceinline__ void map_element(const Arguments& at, whole i) {
    if (i < ROWS * (whole)COLUMNS) {
        const whole row = i / COLUMNS;
        const int column = (int)(i % COLUMNS);
        RowKept rows;
        ColumnKept columns;
        AllKept all;
        ElementOperands in;
        in.load(at, row, column);
        ColumnOperands of_column;
        of_column.load(at, column);
        const ColumnValues fixed = column_values(at, of_column, 0);
        const Values made[1] = {element(row_values(at, row), fixed, in, 0, rows, columns, all, true, true)};
        put_whole(at, row, column, made);
    }
}

// Blocks share out rows and, where a row is long, columns. A thread takes VECTOR neighbours of ROWS_AT_ONCE rows at a time:
// it loads all of them, computes, and then stores, as a load may not pass a store.
__device__ __forceinline__ void map_rows(const Arguments& at, int block) {
    SHARED_MEMORY(memory);
    float* shared = (float*)memory;
    Moments* shared_moments = (Moments*)memory;
    constexpr int LINES = MAP_THREADS / LANES, WIDTH = LANES * PER_THREAD * VECTOR;  // rows at once; columns of a block
    const int lane = threadIdx.x % LANES, line = threadIdx.x / LANES;
    const int row_block = block % ROW_BLOCKS, column0 = block / ROW_BLOCKS * WIDTH;
    const whole row0 = (whole)row_block * BLOCK_ROWS;

    // How many rows a line takes, and columns a lane; which is the first of a lane's j-th vector.
    const auto rows_of = [&](int line) { return taken(ROWS - row0 - line, LINES, BLOCK_ROWS / LINES); };
    const auto columns_of = [&](int lane) { return VECTOR * taken((COLUMNS - column0) / VECTOR - lane, LANES, PER_THREAD); };
    const auto column_of = [&](int j) { return (lane + j * LANES) * VECTOR; };

    // Without reductions over rows nothing is kept per column, and a row may be longer than registers hold.
    constexpr int KEPT = COLUMN_RESULTS + COLUMN_MOMENTS ? PER_THREAD : 1;
    ColumnKept columns[KEPT][VECTOR];
    AllKept all;
#pragma unroll
    for (int j = 0; j < KEPT; j++)
#pragma unroll
        for (int c = 0; c < VECTOR; c++) {
#pragma unroll
            for (int o = 0; o < COLUMN_RESULTS; o++) columns[j][c].sums[o] = neutral(column_maximum(o));
#pragma unroll
            for (int o = 0; o < COLUMN_MOMENTS; o++) columns[j][c].moments[o] = {};
        }
#pragma unroll
    for (int o = 0; o < ALL_RESULTS; o++) all.sums[o] = neutral(all_maximum(o));
#pragma unroll
    for (int o = 0; o < ALL_MOMENTS; o++) all.moments[o] = {};

    // What belongs to a column is the same in all rows: kept where a thread has few columns.
    constexpr bool FIXED = PER_THREAD == 1 && COLUMN_VALUES * VECTOR <= 48;
    ColumnValues fixed[VECTOR];
    const auto fix = [&](int column) {
        ColumnOperands of_columns;
        of_columns.load(at, column);
#pragma unroll
        for (int c = 0; c < VECTOR; c++) fixed[c] = column_values(at, of_columns, c);
    };
    // Nothing is read in vain: a result may lie where an operand lies.
    if (FIXED && (ROWS % BLOCK_ROWS == 0 || row0 + line < ROWS) && (COLUMNS % WIDTH == 0 || column0 + column_of(0) < COLUMNS))
        fix(column0 + column_of(0));

#pragma unroll 1
    for (int step = 0; step < BLOCK_ROWS; step += LINES * ROWS_AT_ONCE) {
        RowKept rows[ROWS_AT_ONCE];
        RowValues of_row[ROWS_AT_ONCE];
        const auto row_at = [&](int i) { return row0 + step + i * LINES + line; };
        const auto there = [&](int i) { return ROWS % BLOCK_ROWS == 0 || row_at(i) < ROWS; };
#pragma unroll
        for (int i = 0; i < ROWS_AT_ONCE; i++) {
#pragma unroll
            for (int o = 0; o < ROW_RESULTS; o++) rows[i].sums[o] = neutral(row_maximum(o));
#pragma unroll
            for (int o = 0; o < ROW_MOMENTS; o++) rows[i].moments[o] = {};
            if (there(i)) of_row[i] = row_values(at, row_at(i));
        }
#pragma unroll(KEPT)
        for (int j = 0; j < PER_THREAD; j++) {
            const int column = column0 + column_of(j);
            if ((COLUMNS % WIDTH != 0 && COLUMNS <= column) || !there(0)) continue;
            if (!FIXED) fix(column);
            ElementOperands in[ROWS_AT_ONCE];
            Values made[ROWS_AT_ONCE][VECTOR];
#pragma unroll
            for (int i = 0; i < ROWS_AT_ONCE; i++)
                if (there(i)) in[i].load(at, row_at(i), column);
#pragma unroll
            for (int i = 0; i < ROWS_AT_ONCE; i++)
#pragma unroll
                for (int c = 0; c < VECTOR; c++)
                    if (there(i))
                        made[i][c] = element(of_row[i], fixed[c], in[i], c, rows[i], columns[KEPT == 1 ? 0 : j][c], all,
                                             step == 0 && i == 0, j == 0 && c == 0);
#pragma unroll
            for (int i = 0; i < ROWS_AT_ONCE; i++)
                if (there(i)) put_whole(at, row_at(i), column, made[i]);
        }
#pragma unroll
        for (int i = 0; i < ROWS_AT_ONCE; i++) {
#pragma unroll
            for (int o = 0; o < ROW_RESULTS; o++) {
                float sum = rows[i].sums[o];
#pragma unroll
                for (int mask = LANES / 2; 0 < mask; mask /= 2)
                    sum = combined(row_maximum(o), sum, shuffle_xor(sum, mask));
                if (lane == 0 && there(i)) put_row(at, o, row_at(i), sum);
            }
#pragma unroll
            for (int o = 0; o < ROW_MOMENTS; o++) {
                float count = columns_of(lane);
                Moments one = settled(rows[i].moments[o], count);
#pragma unroll
                for (int mask = LANES / 2; 0 < mask; mask /= 2) {
                    const Moments other = {shuffle_xor(one.pivot, mask), shuffle_xor(one.shift, mask),
                                           shuffle_xor(one.squares, mask)};
                    const float others = shuffle_xor(count, mask);
                    one = joined(one, count, other, others);
                    count += others;
                }
                if (lane == 0 && there(i)) put_row_moments(at, o, row_at(i), one, count);
            }
        }
    }

#pragma unroll
    for (int o = 0; o < COLUMN_RESULTS; o++) {
        __syncthreads();  // readers of the result before are done
#pragma unroll
        for (int j = 0; j < KEPT; j++)
#pragma unroll
            for (int c = 0; c < VECTOR; c++) shared[line * WIDTH + column_of(j) + c] = columns[j][c].sums[o];
        __syncthreads();
        for (int i = threadIdx.x; i < WIDTH; i += MAP_THREADS) {
            float value = shared[i];
            for (int l = 1; l < LINES; l++) value = combined(column_maximum(o), value, shared[l * WIDTH + i]);
            if (column0 + i < COLUMNS) put_column(at, o, (whole)row_block * COLUMNS + column0 + i, value);
        }
    }
#pragma unroll
    for (int o = 0; o < COLUMN_MOMENTS; o++) {
        __syncthreads();
#pragma unroll
        for (int j = 0; j < KEPT; j++)
#pragma unroll
            for (int c = 0; c < VECTOR; c++)
                shared_moments[line * WIDTH + column_of(j) + c] = settled(columns[j][c].moments[o], rows_of(line));
        __syncthreads();
        for (int i = threadIdx.x; i < WIDTH; i += MAP_THREADS) {
            Moments one = shared_moments[i];
            float count = rows_of(0);
            for (int l = 1; l < LINES; l++) {
                one = joined(one, count, shared_moments[l * WIDTH + i], rows_of(l));
                count += rows_of(l);
            }
            if (column0 + i < COLUMNS)
                put_column_moments(at, o, (whole)row_block * COLUMNS + column0 + i, one, count);
        }
    }
#pragma unroll
    for (int o = 0; o < ALL_RESULTS; o++) {
        __syncthreads();
        shared[threadIdx.x] = all.sums[o];
        for (int half = MAP_THREADS / 2; 0 < half; half /= 2) {
            __syncthreads();
            if (threadIdx.x < half)
                shared[threadIdx.x] = combined(all_maximum(o), shared[threadIdx.x], shared[threadIdx.x + half]);
        }
        if (threadIdx.x == 0) put_all(at, o, block, shared[0]);
    }
#pragma unroll
    for (int o = 0; o < ALL_MOMENTS; o++) {
        __syncthreads();
        const float count = (float)rows_of(line) * columns_of(lane);
        const auto [one, of] = join_parts<MAP_THREADS>(settled(all.moments[o], count), count);
        if (threadIdx.x == 0) put_all_moments(at, o, block, one, of);
    }
}

// A result reduced over axes that are neither the outer nor the inner ones: SHARED_BY threads per number.
// `value(kept, reduced)` evaluates one element by its places among kept and reduced axes; `put(kept, value)` stores.
template <int SHARED_BY, bool MAXIMUM, class Value, class Put>
__device__ __forceinline__ void map_axes(int block, whole kept, whole reduced, Value value, Put put) {
    SHARED_MEMORY(memory);
    float* shared = (float*)memory;
    constexpr int NUMBERS = MAP_THREADS / SHARED_BY;
    const int part = threadIdx.x % SHARED_BY;
    const whole number = (whole)block * NUMBERS + threadIdx.x / SHARED_BY;
    float sum = neutral(MAXIMUM);
    if (number < kept)
        for (whole i = part; i < reduced; i += SHARED_BY) sum = combined(MAXIMUM, sum, value(number, i));
    shared[threadIdx.x] = sum;
    for (int half = SHARED_BY / 2; 0 < half; half /= 2) {
        __syncthreads();
        if (part < half) shared[threadIdx.x] = combined(MAXIMUM, shared[threadIdx.x], shared[threadIdx.x + half]);
    }
    if (part == 0 && number < kept) put(number, shared[threadIdx.x]);
}

// The same of a mean or a variance: `put(kept, moments, count)`.
template <int SHARED_BY, class Value, class Put>
__device__ __forceinline__ void map_axes_moments(int block, whole kept, whole reduced, Value value, Put put) {
    constexpr int NUMBERS = MAP_THREADS / SHARED_BY;
    const int part = threadIdx.x % SHARED_BY;
    const whole number = (whole)block * NUMBERS + threadIdx.x / SHARED_BY;
    Moments mine = {};
    float count = 0.0f;
    if (number < kept)
        for (whole i = part; i < reduced; i += SHARED_BY, count += 1.0f) take(mine, i == part, value(number, i));
    const auto [one, of] = join_parts<SHARED_BY>(settled(mine, count), count);
    if (part == 0 && number < kept) put(number, one, of);
}
