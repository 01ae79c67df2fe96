// Convolution, and its gradient in the input, as implicit matrix products over NHWC images.
//
//     forward:     y[p, co]  = sum_{tap, ci} x[source(p, tap), ci] w[tap, ci, co]
//     input grad:  dx[p, ci] = sum_{tap, co} dy[source(p, tap), co] w[tap, ci, co]
//
// Rows are target pixels, columns target channels, k runs over (tap, source channel). With stride s the input gradient
// falls into s_h s_w classes of pixels by position modulo the stride; each class is a convolution of stride 1 with the
// taps that meet it, so no product with an inserted zero is ever formed. Where channels fill whole stages, the taps of a
// stage's channels follow each other, so that the pixels they share are still in the L1 cache. blockIdx.z = class * SPLIT + share of k; with
// SPLIT > 1 each share writes its own sums, which `combine` adds in a fixed order.
//
// What becomes of a sum is the model's business: `finish` reads what else an expression takes (norms, statistics, the
// layer's input), evaluates that in registers, and takes part in sums and moments over pixels, of which each block leaves
// one row of columns; `put_side` stores the rest.
#ifndef SPHC_GENERATED
constexpr bool INPUT_GRAD = false;
constexpr int IMAGES = 128;
constexpr int SOURCE_H = 32, SOURCE_W = 32, SOURCE_C = 128;  // what is read: x, or dy
constexpr int TARGET_H = 32, TARGET_W = 32, TARGET_C = 128;  // what is written: y, or dx
constexpr int KERNEL_H = 3, KERNEL_W = 3, STRIDE_H = 1, STRIDE_W = 1, BEFORE_H = 1, BEFORE_W = 1;
constexpr int DILATION_H = 1, DILATION_W = 1;  // in an input gradient, 1 where a stride is not
constexpr int SPLIT = 1;
using operand = float;                     // what is read: float or bf16
constexpr int VECTOR_A = 4, VECTOR_B = 4;  // numbers per copy: 4 where channels are a multiple of 4, else 1; 8 of bf16
constexpr int TILE_M = 128, TILE_N = 128, WARPS_M = 2, WARPS_N = 4, BLOCKS = 2, ARITHMETIC = 2;
constexpr bool A_ALONG_K = true, B_ALONG_K = INPUT_GRAD;
constexpr int COLUMN_SUMS = 0, COLUMN_MOMENTS = 0;  // over pixels
struct Results { float* out0; };
struct Values { float out0; };
__device__ __forceinline__ Values finish(const Results& to, int pixel, int column, float sum, float* columns, Moments* moments, bool first) {
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

    // Tap and source channel of a stage's k; past the last tap there is nothing.
    struct At {
        int tap, channel;
    };
    const auto at = [&](int stage, int k) -> At {
        if constexpr (TAPS_INSIDE) return {stage % taps, stage / taps * DEPTH + k};
        return {(stage * DEPTH + k) / SOURCE_C, (stage * DEPTH + k) % SOURCE_C};
    };

    // The pixels whose rows this thread copies: where their windows start.
    constexpr int PIECES = pieces_of_thread<TILE_M, VECTOR_A>();
    int start[PIECES], corner[PIECES];  // element, and row and column in 16 bits each: registers are short
#pragma unroll
    for (int i = 0; i < PIECES; i++) {
        const int row = row0 + row_of_piece<VECTOR_A>(i), n = row / (ROWS_H * ROWS_W), at = row % (ROWS_H * ROWS_W);
        const int top = at / ROWS_W * MOVE_H + h.base, left = at % ROWS_W * MOVE_W + w.base;
        start[i] = ((n * SOURCE_H + top) * SOURCE_W + left) * SOURCE_C;
        corner[i] = (row < ROWS ? top : -0x4000) * 0x10000 | (left & 0xffff);  // -0x4000: far outside, read as zeros
    }

    float sums[HELD];
    const int stages = (extent + DEPTH - 1) / DEPTH;
    const int first = (int)((i64)stages * share / SPLIT), last = (int)((i64)stages * (share + 1) / SPLIT);
    multiply(
        sums, first, last,
        [&](operand* tile, int stage) {
            fill<true, TILE_M, VECTOR_A, TAPS_INSIDE>(tile, source, [&](int i, int, int k) -> const operand* {
                const auto [tap, channel] = at(stage, k);
                const int down = tap / w.taps * WAY * DILATION_H, right = tap % w.taps * WAY * DILATION_W;
                const u32 y = (corner[i] >> 16) + down, x = (short)corner[i] + right;
                const bool inside = tap < taps && y < (u32)SOURCE_H && x < (u32)SOURCE_W;
                return inside ? source + start[i] + ((down * SOURCE_W + right) * SOURCE_C + channel) : nullptr;
            });
        },
        [&](operand* tile, int stage) {
            fill<B_ALONG_K, TILE_N, VECTOR_B, false>(tile, filter, [&](int, int column, int k) -> const operand* {
                const auto [j, channel] = at(stage, k);
                const int to = column0 + column;
                if (j >= taps || to >= TARGET_C) return nullptr;
                if constexpr (!INPUT_GRAD) return filter + (j * SOURCE_C + channel) * TARGET_C + to;
                const int tap = (h.tap0 + j / w.taps * STEP_H) * KERNEL_W + w.tap0 + j % w.taps * STEP_W;
                return filter + (tap * TARGET_C + to) * SOURCE_C + channel;
            });
        });

    float columns[COLUMNS_HELD][COLUMN_SUMS + 1];
    Moments moments[COLUMNS_HELD][COLUMN_MOMENTS + 1];
    int met = 0;  // pixels that this thread holds
#pragma unroll
    for (int j = 0; j < COLUMNS_HELD; j++) {
#pragma unroll
        for (int o = 0; o < COLUMN_SUMS; o++) columns[j][o] = 0.0f;
#pragma unroll
        for (int o = 0; o < COLUMN_MOMENTS; o++) moments[j][o] = {};
    }
    each_sum(sums, [&](int row, int column, int held, const float* sum) {
        row += row0, column += column0;
        const int n = row / (ROWS_H * ROWS_W), at = row % (ROWS_H * ROWS_W);
        const int y = h.target0 + at / ROWS_W * STEP_H, x = w.target0 + at % ROWS_W * STEP_W;
        if (ROWS <= row || TARGET_H <= y || TARGET_W <= x) return;
        if (held == 0) met++;
        if (TARGET_C <= column) return;
        const int pixel = (n * TARGET_H + y) * TARGET_W + x;
        Values values[SIDE];
#pragma unroll
        for (int c = 0; c < SIDE; c++)
            if (column + c < TARGET_C)
                values[c] = finish(to, pixel, column + c, sum[c], columns[held + c], moments[held + c], met == 1);
        put_side(to, pixel * TARGET_C + column, values, TARGET_C - column);
    });
    const int block = blockIdx.z * gridDim.x + blockIdx.x;
    if constexpr (0 < COLUMN_SUMS)
        add_columns<COLUMN_SUMS>(columns, [&](int o, int column, float sum) {
            if (column0 + column < TARGET_C) put_column(to, o, block * TARGET_C + column0 + column, sum);
        });
    if constexpr (0 < COLUMN_MOMENTS)
        join_columns<COLUMN_MOMENTS>(moments, met, [&](int o, int column, const Moments& all, float count) {
            if (column0 + column < TARGET_C) put_column_moments(to, o, block * TARGET_C + column0 + column, all, count);
        });
}

// Strides cost registers, and so do sums over pixels beside the factors that fp32 holds.
constexpr bool CONV_CROWDED =
    sizeof(operand) == 4 && (STRIDE_H != 1 || STRIDE_W != 1 || (ARITHMETIC == 0 && 0 < COLUMN_SUMS + COLUMN_MOMENTS));
constexpr int CONV_RESIDENT = CONV_CROWDED ? 1 : RESIDENT;
