// Convolution, and its gradient in the input, as implicit matrix products over NHWC images.
//
//     forward:     y[p, co]  = sum_{tap, ci} x[source(p, tap), ci] w[tap, ci, co]
//     input grad:  dx[p, ci] = sum_{tap, co} dy[source(p, tap), co] w[tap, ci, co]
//
// Rows are target pixels, columns target channels, k runs over (tap, source channel). With stride s the input gradient
// falls into s_h s_w classes of pixels by position modulo the stride; each class is a convolution of stride 1 with the
// taps that meet it, so no product with an inserted zero is ever formed. Where channels fill whole stages, the taps of a
// stage's channels follow each other, so that the pixels they share are still in the L1 cache. blockIdx.z is class * SPLIT +
// share of k; with SPLIT > 1 each share writes its own sums, which `combine` adds in a fixed order.
//
// What becomes of a sum is the model's business: `finish` evaluates an expression in registers and takes part in sums and
// moments over pixels, of which each block leaves one row of columns; `put_side` stores the rest. What else the expression
// takes (norms, statistics, the layer's input) is loaded ahead of it: once a row or a column where it is the same along it.
#ifndef SPHC_GENERATED
#include "kinds.cu"
constexpr bool INPUT_GRAD = false;
constexpr int IMAGES = 128;
constexpr int SOURCE_H = 32, SOURCE_W = 32, SOURCE_C = 128;  // what is read: x, or dy
constexpr int TARGET_H = 32, TARGET_W = 32, TARGET_C = 128;  // what is written: y, or dx
constexpr int KERNEL_H = 3, KERNEL_W = 3, STRIDE_H = 1, STRIDE_W = 1, BEFORE_H = 1, BEFORE_W = 1;
constexpr int DILATION_H = 1, DILATION_W = 1;  // in an input gradient, 1 where a stride is not
constexpr int SPLIT = 1;
using operand = float;                     // what is read: float or bf16
constexpr int VECTOR_A = 4, VECTOR_B = 4;  // numbers per copy: 4 where channels are a multiple of 4, else 1; 8 of bf16
constexpr int TILE_M = 128, TILE_N = 128, WARPS_M = 2, WARPS_N = 4, BLOCKS = 2;
constexpr Arithmetic ARITHMETIC = Arithmetic::Bf16;
constexpr bool A_ALONG_K = true, B_ALONG_K = INPUT_GRAD;
constexpr int COLUMN_SUMS = 0, COLUMN_MOMENTS = 0;  // over pixels
constexpr int ROW_VALUES = 0, PIXEL_WORDS = 0;
struct Results { float* out0; };
struct Values { float out0; };
struct RowValues {};
struct ColumnValues {};
struct ColumnOperands {
    __device__ __forceinline__ void load(const Results& to, int column, int left) {}
};
struct PixelOperands {
    __device__ __forceinline__ void load(const Results& to, int pixel, int column, int left) {}
};
__device__ __forceinline__ RowValues row_values(const Results& to, int pixel) { return {}; }
__device__ __forceinline__ ColumnValues column_values(const Results& to, const ColumnOperands& in, int c) { return {}; }
__device__ __forceinline__ Values finish(const RowValues& row, const ColumnValues& column, const PixelOperands& in, int c,
                                         float sum, float* columns, Moments* moments, bool first) {
    return {sum};
}
__device__ __forceinline__ void put_side(const Results& to, int at, const Values* values, int left) {}
__device__ __forceinline__ void put_column(const Results& to, int o, int at, float value) {}
__device__ __forceinline__ void put_column_moments(const Results& to, int o, int at, const Moments& value, float count) {}
#define SPHC_GENERATED
#include "device.cu"
#include "moments.cu"
#include "ring.cu"
#include "tile.cu"
#include "tile_fp32.cu"
#endif

constexpr int CLASSES = INPUT_GRAD ? STRIDE_H * STRIDE_W : 1;
// Target pixels of a class along each axis; the last may lie outside of the image.
constexpr int ROWS_H = INPUT_GRAD ? (TARGET_H + STRIDE_H - 1) / STRIDE_H : TARGET_H;
constexpr int ROWS_W = INPUT_GRAD ? (TARGET_W + STRIDE_W - 1) / STRIDE_W : TARGET_W;
constexpr int ROWS = IMAGES * ROWS_H * ROWS_W;
constexpr bool TAPS_INSIDE = SOURCE_C % DEPTH == 0;

// The taps of every class are known, and so is the stage that a share starts with: then stages are taken one PERIOD at a
// time, a multiple of the taps and, where there are few, of the ring's buffers.
constexpr int TAPS = KERNEL_H * KERNEL_W, PERIOD = TAPS <= 4 && TAPS != 3 ? TAPS * STAGES : TAPS;
constexpr bool UNROLLED = TAPS_INSIDE && PERIOD <= 16 && (!INPUT_GRAD || STRIDE_H * STRIDE_W == 1) &&
                          (TAPS == 1 || SOURCE_C / DEPTH % SPLIT == 0);
// No window sticks out of the image.
constexpr bool WITHIN = !INPUT_GRAD && BEFORE_H == 0 && (ROWS_H - 1) * STRIDE_H + (KERNEL_H - 1) * DILATION_H < SOURCE_H &&
                        BEFORE_W == 0 && (ROWS_W - 1) * STRIDE_W + (KERNEL_W - 1) * DILATION_W < SOURCE_W;

// Whether tiles cover nothing but pixels and channels that are there.
constexpr bool ALL_ROWS = ROWS % TILE_M == 0 && (!INPUT_GRAD || (TARGET_H % STRIDE_H == 0 && TARGET_W % STRIDE_W == 0));
constexpr bool ALL_COLUMNS = TARGET_C % TILE_N == 0;

// Values of rows are kept where they are few. Operands that are loaded at once take 16 registers at most, of which a
// row's take PIXEL_WORDS.
constexpr bool KEPT_ROWS = ROW_VALUES <= 3;
__device__ constexpr int rows_at_once() {
    int rows = ROWS_HELD;
    while (1 < rows && 16 < rows * PIXEL_WORDS) rows /= 2;
    return rows;
}
constexpr int AT_ONCE = rows_at_once();

// One axis of a class: target = target0 + i * step, source = base + i * move + j * way * dilation, tap = tap0 + j * tap_step.
struct Axis {
    int target0, base, tap0, taps;
};

template <int STRIDE, int BEFORE, int KERNEL> __device__ __forceinline__ Axis axis_of(int phase) {
    if constexpr (INPUT_GRAD) {
        const int tap0 = (phase + BEFORE) % STRIDE;
        return {phase, (phase + BEFORE - tap0) / STRIDE, tap0, (KERNEL - tap0 + STRIDE - 1) / STRIDE};
    } else {
        return {0, -BEFORE, 0, KERNEL};
    }
}

__device__ __forceinline__ void convolve(const operand* source, const operand* filter, const Results& to) {
    const int phase = blockIdx.z / SPLIT, share = blockIdx.z % SPLIT;
    const Axis h = axis_of<STRIDE_H, BEFORE_H, KERNEL_H>(phase / STRIDE_W);
    const Axis w = axis_of<STRIDE_W, BEFORE_W, KERNEL_W>(phase % STRIDE_W);
    constexpr int MOVE_H = INPUT_GRAD ? 1 : STRIDE_H, MOVE_W = INPUT_GRAD ? 1 : STRIDE_W, WAY = INPUT_GRAD ? -1 : 1;
    constexpr int STEP_H = INPUT_GRAD ? STRIDE_H : 1, STEP_W = INPUT_GRAD ? STRIDE_W : 1;

    const int row0 = blockIdx.x * TILE_M, column0 = blockIdx.y * TILE_N;
    const int taps = h.taps * w.taps, extent = taps * SOURCE_C;

    // The pixels whose rows this thread copies: where their windows start, as an element, and as row and column in 16 bits
    // each.
    int start[PiecesA::COUNT], corner[PiecesA::COUNT];
#pragma unroll
    for (int i = 0; i < PiecesA::COUNT; i++) {
        const int row = row0 + PiecesA::row(i), n = row / (ROWS_H * ROWS_W), at = row % (ROWS_H * ROWS_W);
        const int top = at / ROWS_W * MOVE_H + h.base, left = at % ROWS_W * MOVE_W + w.base;
        start[i] = ((n * SOURCE_H + top) * SOURCE_W + left) * SOURCE_C;
        corner[i] = (row < ROWS ? top : -0x4000) * 0x10000 | (left & 0xffff);  // -0x4000: far outside, read as zeros
    }
    // Whether a tap, so far down and right of the start of the window, meets the image.
    const auto inside = [&](int i, int down, int right) {
        return (u32)((corner[i] >> 16) + down) < (u32)SOURCE_H && (u32)((short)corner[i] + right) < (u32)SOURCE_W;
    };
    constexpr int DOWN = WAY * DILATION_H, RIGHT = WAY * DILATION_W;

    float sums[HELD];
    const int stages = (extent + DEPTH - 1) / DEPTH;
    const int first = (int)((i64)stages * share / SPLIT), last = (int)((i64)stages * (share + 1) / SPLIT);
    if constexpr (UNROLLED) {
        // All that changes with the tap is known at compile time, but for whether it meets the image: a bit each. Where pixels
        // of source and target correspond, the rows of a thread lie at known distances.
        constexpr bool EVEN = MOVE_H * MOVE_W == 1 && SOURCE_H == ROWS_H && SOURCE_W == ROWS_W;
        const operand* from_a[EVEN ? 1 : PiecesA::COUNT];
        u32 taps_inside[PiecesA::COUNT];
#pragma unroll
        for (int i = 0; i < PiecesA::COUNT; i++) {
            if (i == 0 || !EVEN) from_a[i] = source + start[i] + (first / TAPS * DEPTH + PiecesA::k(i));
            u32 in_row = 0;
#pragma unroll
            for (int x = 0; x < KERNEL_W; x++) in_row |= (u32)((u32)((short)corner[i] + x * RIGHT) < (u32)SOURCE_W) << x;
            taps_inside[i] = 0;
#pragma unroll
            for (int y = 0; y < KERNEL_H; y++)
                if ((u32)((corner[i] >> 16) + y * DOWN) < (u32)SOURCE_H) taps_inside[i] |= in_row << y * KERNEL_W;
        }
        // The filter lies as [tap, source, target] or, for the input gradient, as [tap, target, source].
        constexpr int OF_CHANNEL = INPUT_GRAD ? 1 : TARGET_C, OF_COLUMN = INPUT_GRAD ? SOURCE_C : 1;
        const operand* from_b =
            filter + ((first / TAPS * DEPTH + PiecesB::k(0)) * OF_CHANNEL + (column0 + PiecesB::row(0)) * OF_COLUMN);
        constexpr int OF_PIECE = PiecesB::STEP * (B_ALONG_K ? OF_COLUMN : OF_CHANNEL);
        multiply<PERIOD, SOURCE_C / DEPTH % (SPLIT * PERIOD / TAPS) == 0>(
            sums, first, last,
            [&](const PiecesA& a, const PiecesB& b, int at, int ahead, int) {
                const int tap = ahead % TAPS, channel = ahead / TAPS * DEPTH;
                const int beyond = (tap / KERNEL_W * DOWN * SOURCE_W + tap % KERNEL_W * RIGHT) * SOURCE_C + channel;
#pragma unroll
                for (int i = 0; i < PiecesA::COUNT; i++)
                    a.template copy<true>(i, at, from_a[EVEN ? 0 : i] + (beyond + (EVEN ? i * PiecesA::STEP * SOURCE_C : 0)),
                                          WITHIN ? ROWS % TILE_M == 0 || taps_inside[i] != 0 : taps_inside[i] >> tap & 1);
#pragma unroll
                for (int i = 0; i < PiecesB::COUNT; i++)
                    b.template copy<false>(i, at, from_b + (tap * SOURCE_C * TARGET_C + channel * OF_CHANNEL + i * OF_PIECE),
                                           ALL_COLUMNS || column0 + PiecesB::row(i) < TARGET_C);
            },
            [&] {
#pragma unroll
                for (int i = 0; i < (EVEN ? 1 : PiecesA::COUNT); i++) from_a[i] += PERIOD / TAPS * DEPTH;
                from_b += PERIOD / TAPS * DEPTH * OF_CHANNEL;
                // Or else all tests of all taps would be made ahead of the loop and kept.
#pragma unroll
                for (int i = 0; i < PiecesA::COUNT; i++) taps_inside[i] = unforeseen(taps_inside[i]);
            });
    } else if constexpr (TAPS_INSIDE) {
        // The tap of the next stage, and its first source channel. A class without a tap has no stage.
        const int every = taps ? taps : 1, wide = w.taps ? w.taps : 1;
        int y = first % every / wide, x = first % every % wide, channel = first / every * DEPTH;
        multiply<1, true>(
            sums, first, last,
            [&](const PiecesA& a, const PiecesB& b, int at, int, int) {
                const int down = y * DOWN, right = x * RIGHT, beyond = (down * SOURCE_W + right) * SOURCE_C + channel;
                const int tap = INPUT_GRAD ? (h.tap0 + y * STEP_H) * KERNEL_W + w.tap0 + x * STEP_W : y * KERNEL_W + x;
#pragma unroll
                for (int i = 0; i < PiecesA::COUNT; i++)
                    a.template copy<true>(i, at, source + start[i] + (beyond + PiecesA::k(i)), inside(i, down, right));
#pragma unroll
                for (int i = 0; i < PiecesB::COUNT; i++) {
                    const int to = column0 + PiecesB::row(i), k = channel + PiecesB::k(i);
                    const int element =
                        INPUT_GRAD ? (tap * TARGET_C + to) * SOURCE_C + k : (tap * SOURCE_C + k) * TARGET_C + to;
                    b.template copy<false>(i, at, filter + element, ALL_COLUMNS || to < TARGET_C);
                }
                x++;
                if (x == w.taps) x = 0, y++;
                if (y == h.taps) y = 0, channel += DEPTH;
            },
            [] {});
    } else {
        multiply<1, true>(
            sums, first, last,
            [&](const PiecesA& a, const PiecesB& b, int at, int, int stage) {
#pragma unroll
                for (int i = 0; i < PiecesA::COUNT; i++) {
                    const int k = stage * DEPTH + PiecesA::k(i), tap = k / SOURCE_C, channel = k % SOURCE_C;
                    const int down = tap / w.taps * DOWN, right = tap % w.taps * RIGHT;
                    const operand* from = source + start[i] + ((down * SOURCE_W + right) * SOURCE_C + channel);
                    a.template copy<false>(i, at, from, tap < taps && inside(i, down, right));
                }
#pragma unroll
                for (int i = 0; i < PiecesB::COUNT; i++) {
                    const int k = stage * DEPTH + PiecesB::k(i), j = k / SOURCE_C, channel = k % SOURCE_C;
                    const int to = column0 + PiecesB::row(i);
                    const int tap = (h.tap0 + j / w.taps * STEP_H) * KERNEL_W + w.tap0 + j % w.taps * STEP_W;
                    const int element = INPUT_GRAD ? (tap * TARGET_C + to) * SOURCE_C + channel : k * TARGET_C + to;
                    b.template copy<false>(i, at, filter + element, j < taps && to < TARGET_C);
                }
            },
            [] {});
    }

    // The pixels that this thread holds sums of; none where a row lies outside.
    int pixels[ROWS_HELD], met = 0, first_met = 0;
    RowValues rows[ROWS_HELD];
#pragma unroll
    for (int i = ROWS_HELD - 1; 0 <= i; i--) {
        const int row = row0 + row_held(i), n = row / (ROWS_H * ROWS_W), at = row % (ROWS_H * ROWS_W);
        const int y = h.target0 + at / ROWS_W * STEP_H, x = w.target0 + at % ROWS_W * STEP_W;
        const bool inside = ALL_ROWS || (row < ROWS && y < TARGET_H && x < TARGET_W);
        pixels[i] = STEP_H * STEP_W == 1 ? row : (n * TARGET_H + y) * TARGET_W + x;
        if (!inside) pixels[i] = -1;
        if (inside) met++, first_met = i;
    }
    const auto there = [&](int i) { return ALL_ROWS || 0 <= pixels[i]; };
    if constexpr (KEPT_ROWS)
#pragma unroll
        for (int i = 0; i < ROWS_HELD; i++)
            if (there(i)) rows[i] = row_values(to, pixels[i]);

    float columns[COLUMNS_HELD][COLUMN_SUMS + 1];
    Moments moments[COLUMNS_HELD][COLUMN_MOMENTS + 1];
#pragma unroll
    for (int j = 0; j < COLUMNS_HELD; j++) {
#pragma unroll
        for (int o = 0; o < COLUMN_SUMS; o++) columns[j][o] = 0.0f;
#pragma unroll
        for (int o = 0; o < COLUMN_MOMENTS; o++) moments[j][o] = {};
    }
    // Everything is loaded before anything that depends on it is stored: a load may not pass a store, and with few blocks
    // on a multiprocessor nothing hides one load after the other.
#pragma unroll
    for (int group = 0; group < GROUPS; group++) {
        // Tested also where all columns are there: across a branch the assembler moves nothing, which would spill.
        const int column = column0 + column_held(group), left = TARGET_C - column;
        if (left <= 0) continue;
        ColumnOperands of_columns;
        of_columns.load(to, column, left);
        ColumnValues fixed[SIDE];
#pragma unroll
        for (int c = 0; c < SIDE; c++) fixed[c] = column_values(to, of_columns, c);
#pragma unroll
        for (int i0 = 0; i0 < ROWS_HELD; i0 += AT_ONCE) {
            PixelOperands operands[AT_ONCE];
            Values values[AT_ONCE][SIDE];
#pragma unroll
            for (int i = 0; i < AT_ONCE; i++)
                if (there(i0 + i)) {
                    if constexpr (!KEPT_ROWS) rows[i0 + i] = row_values(to, pixels[i0 + i]);
                    operands[i].load(to, pixels[i0 + i], column, left);
                }
#pragma unroll
            for (int i = 0; i < AT_ONCE; i++)
#pragma unroll
                for (int c = 0; c < SIDE; c++)
                    if (there(i0 + i) && (TARGET_C % SIDE == 0 || c < left))
                        values[i][c] = finish(rows[i0 + i], fixed[c], operands[i], c, sums[held(i0 + i, group) + c],
                                              columns[group * SIDE + c], moments[group * SIDE + c], first_met == i0 + i);
#pragma unroll
            for (int i = 0; i < AT_ONCE; i++)
                if (there(i0 + i)) put_side(to, pixels[i0 + i] * TARGET_C + column, values[i], left);
        }
    }
    const int block = blockIdx.z * gridDim.x + blockIdx.x;
    if constexpr (0 < COLUMN_SUMS)
        add_columns<COLUMN_SUMS>(columns, [&](int o, int column, float sum) {
            if (column0 + column < TARGET_C) put_column(to, o, block * TARGET_C + column0 + column, sum);
        });
    if constexpr (0 < COLUMN_MOMENTS)
        join_columns<COLUMN_MOMENTS, ALL_ROWS>(moments, met, [&](int o, int column, const Moments& all, float count) {
            if (column0 + column < TARGET_C) put_column_moments(to, o, block * TARGET_C + column0 + column, all, count);
        });
}

// Strides cost registers, and so do sums over pixels beside the factors that fp32 holds.
constexpr bool CONV_CROWDED =
    sizeof(operand) == 4 &&
    (STRIDE_H != 1 || STRIDE_W != 1 || (ARITHMETIC == Arithmetic::Fp32 && 0 < COLUMN_SUMS + COLUMN_MOMENTS));
constexpr int CONV_RESIDENT = CONV_CROWDED ? 1 : RESIDENT;
