// Gradient of a convolution in its filter: dw[tap, ci, co] = sum_p x[source(p, tap), ci] dy[p, co].
//
// Rows are (tap, ci) of the filter, columns co, and k runs over all output pixels, which is long: blockIdx.z shares it
// out, each share writes its own sums, and `combine` adds them in a fixed order.
#ifndef SPHC_GENERATED
#include "kinds.cu"
constexpr int IMAGES = 128;
constexpr int INPUT_H = 32, INPUT_W = 32, INPUT_C = 128;     // x
constexpr int OUTPUT_H = 32, OUTPUT_W = 32, OUTPUT_C = 128;  // dy
constexpr int KERNEL_H = 3, KERNEL_W = 3, STRIDE_H = 1, STRIDE_W = 1, BEFORE_H = 1, BEFORE_W = 1;
constexpr int DILATION_H = 1, DILATION_W = 1;
constexpr int SPLIT = 16;
constexpr int VECTOR_A = 4, VECTOR_B = 4;
constexpr int TILE_M = 128, TILE_N = 128, WARPS_M = 2, WARPS_N = 4, BLOCKS = 2;
constexpr Arithmetic ARITHMETIC = Arithmetic::Bf16;
constexpr bool A_ALONG_K = false, B_ALONG_K = false;
using operand = float;
using stored = float;  // the result, or shares of it
#define SPHC_GENERATED
#include "device.cu"
#include "ring.cu"
#include "tile.cu"
#include "tile_fp32.cu"
#endif

extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
filter_grad(const operand* x, const operand* dy, stored* dw) {
    constexpr int ROWS = KERNEL_H * KERNEL_W * INPUT_C, PIXELS = IMAGES * OUTPUT_H * OUTPUT_W;
    const int row0 = blockIdx.x * TILE_M, column0 = blockIdx.y * TILE_N, share = blockIdx.z;

    float sums[HELD];
    constexpr int STAGES_K = (PIXELS + DEPTH - 1) / DEPTH;
    const int first = (int)((i64)STAGES_K * share / SPLIT), last = (int)((i64)STAGES_K * (share + 1) / SPLIT);
    multiply(
        sums, first, last,
        [&](int row, int k, int stage) -> Source {
            const int at = row0 + row, tap = at / INPUT_C, channel = at % INPUT_C, pixel = stage * DEPTH + k;
            const int n = pixel / (OUTPUT_H * OUTPUT_W), in_image = pixel % (OUTPUT_H * OUTPUT_W);
            const int y = in_image / OUTPUT_W * STRIDE_H - BEFORE_H + tap / KERNEL_W * DILATION_H;
            const int z = in_image % OUTPUT_W * STRIDE_W - BEFORE_W + tap % KERNEL_W * DILATION_W;
            const bool inside = at < ROWS && pixel < PIXELS && (u32)y < (u32)INPUT_H && (u32)z < (u32)INPUT_W;
            return {x + ((n * INPUT_H + y) * INPUT_W + z) * INPUT_C + channel, inside};
        },
        [&](int column, int k, int stage) -> Source {
            const int pixel = stage * DEPTH + k, to = column0 + column;
            return {dy + pixel * OUTPUT_C + to, pixel < PIXELS && to < OUTPUT_C};
        });

    dw += (i64)share * ROWS * OUTPUT_C;
    each_sum(sums, [&](int row, int column, const float* sum) {
        row += row0, column += column0;
        if (row < ROWS && column < OUTPUT_C)
            store_side<OUTPUT_C>(dw + row * OUTPUT_C + column, sum, OUTPUT_C - column);
    });
}
