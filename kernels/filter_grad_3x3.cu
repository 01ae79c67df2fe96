// Gradient of a 3x3 convolution of stride 1 in its filter, over images in bf16, all nine taps in one block:
// dw[tap, ci, co] = sum_p x[p + tap, ci] dy[p, co].
//
// Where a block takes one tap (`filter_grad.cu`), nine blocks copy the same pixels of x and dy, and what limits them is
// the L2 cache: 128 ci x 128 co take 512 bytes a pixel and tap for 2^15 operations, 64 a byte. Here a block takes 32 ci x
// 128 co x 9 taps and copies a pixel of dy once, one of x 1.4 times (strips overlap by a pixel on every side): 346 bytes
// for 9 x 2^13 operations, 213 a byte.
//
// k runs over strips of 128 pixels: STRIP_N images by STRIP_H rows by STRIP_W columns, all powers of two, so that the
// steps of 16 pixels lie at distances known at compile time. What sticks out of the image is zero. blockIdx.z shares the
// strips out; each share writes its own sums, and `combine` adds them in a fixed order.
#ifndef SPHC_GENERATED
constexpr int IMAGES = 128;
constexpr int INPUT_H = 32, INPUT_W = 32, INPUT_C = 128;     // x
constexpr int OUTPUT_H = 32, OUTPUT_W = 32, OUTPUT_C = 128;  // dy
constexpr int BEFORE_H = 1, BEFORE_W = 1;
constexpr int STRIP_N = 1, STRIP_H = 8, STRIP_W = 16;
constexpr int SPLIT = 32;
using stored = float;  // the result, or shares of it
#define SPHC_GENERATED
#include "device.cu"
#include "ring.cu"
#endif

constexpr int CHANNELS = 32, FILTERS = 128;          // of a block
constexpr int PARTS = 2;                             // a warp takes 32 filters, two fragments, and 16 channels, two
constexpr int WARPS_F = 4, WARPS_C = 2, FILTER_GRAD_THREADS = WARPS_F * WARPS_C * 32;
constexpr int PIXELS = STRIP_N * STRIP_H * STRIP_W;  // of a strip
static_assert(PIXELS == 128 && STRIP_W % 8 == 0, "eight pixels side by side lie in all banks once");

// A strip in shared memory: dy, each pixel 256 bytes, its piece p of 16 bytes at p ^ (pixel & 7); then x with its margin,
// each pixel 80 bytes, of which 64 are used. Eight neighbours of either are in all banks once.
constexpr int MARGIN_H = STRIP_H + 2, MARGIN_W = STRIP_W + 2, LINES = STRIP_N * MARGIN_H * MARGIN_W;
constexpr int PITCH = CHANNELS + 8, STRIP = PIXELS * FILTERS + LINES * PITCH;  // in numbers

// Where a strip's pixel lies within its margin, seen from the first tap.
__device__ __forceinline__ constexpr int line_of(int pixel) {
    return (pixel / (STRIP_W * STRIP_H) * MARGIN_H + pixel / STRIP_W % STRIP_H) * MARGIN_W + pixel % STRIP_W;
}

extern "C" __global__ void __launch_bounds__(FILTER_GRAD_THREADS, 1) filter_grad(const bf16* x, const bf16* dy, stored* dw) {
    constexpr int STRIPS_H = (OUTPUT_H + STRIP_H - 1) / STRIP_H, STRIPS_W = (OUTPUT_W + STRIP_W - 1) / STRIP_W;
    constexpr int STRIPS = (IMAGES + STRIP_N - 1) / STRIP_N * STRIPS_H * STRIPS_W;
    const int filter0 = blockIdx.x * FILTERS, channel0 = blockIdx.y * CHANNELS, share = blockIdx.z;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int filter = warp / WARPS_C * 32, channel = warp % WARPS_C * 16;

    SHARED_MEMORY(memory);
    const Shared ring = shared_address(memory);
    const auto load = [&](int buffer, int, int strip) {
        const int image0 = strip / (STRIPS_H * STRIPS_W) * STRIP_N;
        const int y0 = strip / STRIPS_W % STRIPS_H * STRIP_H, x0 = strip % STRIPS_W * STRIP_W;
        Shared to = ring + buffer;
#pragma unroll
        for (int i = 0; i < PIXELS * FILTERS / 8 / FILTER_GRAD_THREADS; i++) {
            const int piece = threadIdx.x % (FILTERS / 8), pixel = threadIdx.x / (FILTERS / 8) + i * (FILTER_GRAD_THREADS / (FILTERS / 8));
            const int image = image0 + pixel / (STRIP_W * STRIP_H), at = filter0 + piece * 8;
            const int row = y0 + pixel / STRIP_W % STRIP_H, column = x0 + pixel % STRIP_W;
            const bool inside = image < IMAGES && row < OUTPUT_H && column < OUTPUT_W && at < OUTPUT_C;
            const bf16* from = dy + (inside ? ((image * OUTPUT_H + row) * OUTPUT_W + column) * OUTPUT_C + at : 0);
            copy_async<16, false>(to + (pixel * FILTERS + (piece ^ (pixel & 7)) * 8) * 2, from, inside);
        }
        to += PIXELS * FILTERS * 2;
        constexpr int PIECES = CHANNELS / 8, COUNT = (LINES * PIECES + FILTER_GRAD_THREADS - 1) / FILTER_GRAD_THREADS;
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            const int piece = threadIdx.x % PIECES, line = threadIdx.x / PIECES + i * (FILTER_GRAD_THREADS / PIECES);
            if (LINES <= line) continue;
            const int image = image0 + line / (MARGIN_W * MARGIN_H), at = channel0 + piece * 8;
            const int row = y0 + line / MARGIN_W % MARGIN_H - BEFORE_H, column = x0 + line % MARGIN_W - BEFORE_W;
            const bool inside = image < IMAGES && (u32)row < (u32)INPUT_H && (u32)column < (u32)INPUT_W && at < INPUT_C;
            const bf16* from = x + (inside ? ((image * INPUT_H + row) * INPUT_W + column) * INPUT_C + at : 0);
            copy_async<16, false>(to + (line * PITCH + piece * 8) * 2, from, inside);
        }
    };

    float sums[9][PARTS][PARTS][4];
#pragma unroll
    for (int i = 0; i < 9 * PARTS * PARTS * 4; i++) (&sums[0][0][0][0])[i] = 0.0f;

    // Rows that this lane reads for the fragments of the first step: of dy^T filters by pixels, of x pixels by channels.
    const int pixel_a = lane % 8 + lane / 16 * 8, piece_a = filter / 8 + lane / 8 % 2;
    const int from_b = PIXELS * FILTERS + line_of(lane % 16) * PITCH + channel + lane / 16 * 8;
    const auto use = [&](int buffer) {
        const Shared strip = ring + buffer;
#pragma unroll
        for (int step = 0; step < PIXELS / 16; step++) {
            u32 a[PARTS][4];
#pragma unroll
            for (int i = 0; i < PARTS; i++)
                load_matrices_transposed(a[i], strip + ((step * 16 + pixel_a) * FILTERS + (piece_a + i * 2 ^ lane % 8) * 8) * 2);
#pragma unroll
            for (int tap = 0; tap < 9; tap++) {
                u32 b[4];
                const int line = line_of(step * 16) + tap / 3 * MARGIN_W + tap % 3;
                load_matrices_transposed(b, strip + (from_b + line * PITCH) * 2);
#pragma unroll
                for (int i = 0; i < PARTS; i++)
#pragma unroll
                    for (int j = 0; j < PARTS; j++) {
                        const u32 both[2] = {b[j * 2], b[j * 2 + 1]};
                        multiply_bf16(sums[tap][i][j], a[i], both);
                    }
            }
        }
    };
    const int first = (int)((i64)STRIPS * share / SPLIT), last = (int)((i64)STRIPS * (share + 1) / SPLIT);
    each_stage<2, STRIP * (int)sizeof(bf16), 1, true>(first, last, load, use, [] {});

    dw += (i64)share * 9 * INPUT_C * OUTPUT_C;
#pragma unroll
    for (int tap = 0; tap < 9; tap++)
#pragma unroll
        for (int i = 0; i < PARTS; i++)
#pragma unroll
            for (int j = 0; j < PARTS; j++)
#pragma unroll
                for (int c = 0; c < 4; c++) {
                    const int co = filter0 + filter + i * 16 + lane / 4 + c / 2 * 8;
                    const int ci = channel0 + channel + j * 8 + lane % 4 * 2 + c % 2;
                    if (ci < INPUT_C && co < OUTPUT_C) dw[(tap * INPUT_C + ci) * OUTPUT_C + co] = (stored)sums[tap][i][j][c];
                }
}
