// Sliding windows over each channel of NHWC images, and their adjoints: a thread per number written.
//
// KIND 0: sum of each window. 1: its adjoint; every position collects the gradients of the windows that hold it.
// KIND 2: maximum over the positions inside the image. 3: its adjoint; a window's gradient goes to its first maximum in
// row-major order, which each position finds out for itself, so that nothing is added out of order.
#ifndef SPHC_GENERATED
constexpr int KIND = 2;
constexpr int IMAGES = 128, INPUT_H = 32, INPUT_W = 32, OUTPUT_H = 16, OUTPUT_W = 16, CHANNELS = 128;
constexpr int KERNEL_H = 2, KERNEL_W = 2, STRIDE_H = 2, STRIDE_W = 2, BEFORE_H = 0, BEFORE_W = 0;
constexpr int DILATION_H = 1, DILATION_W = 1;
using operand = float;  // in memory: what is read
using stored = float;   // and what is written
#define SPHC_GENERATED
#include "device.cu"
#endif

constexpr int WINDOW_THREADS = 256;

__device__ __forceinline__ int input_at(int n, int y, int x, int c) { return ((n * INPUT_H + y) * INPUT_W + x) * CHANNELS + c; }
__device__ __forceinline__ int output_at(int n, int y, int x, int c) { return ((n * OUTPUT_H + y) * OUTPUT_W + x) * CHANNELS + c; }

// Calls `visit(y, x)` for the positions of window (oy, ox) that lie inside the image.
template <class Visit> __device__ __forceinline__ void each_position(int oy, int ox, Visit visit) {
    for (int ky = 0; ky < KERNEL_H; ky++)
        for (int kx = 0; kx < KERNEL_W; kx++) {
            const int y = oy * STRIDE_H - BEFORE_H + ky * DILATION_H, x = ox * STRIDE_W - BEFORE_W + kx * DILATION_W;
            if ((u32)y < (u32)INPUT_H && (u32)x < (u32)INPUT_W) visit(y, x);
        }
}

// Calls `visit(oy, ox)` for the windows that hold position (y, x), in row-major order.
template <class Visit> __device__ __forceinline__ void each_window(int y, int x, Visit visit) {
    for (int ky = KERNEL_H - 1; 0 <= ky; ky--)
        for (int kx = KERNEL_W - 1; 0 <= kx; kx--) {
            const int ty = y + BEFORE_H - ky * DILATION_H, tx = x + BEFORE_W - kx * DILATION_W;
            if (ty < 0 || tx < 0 || ty % STRIDE_H != 0 || tx % STRIDE_W != 0) continue;
            if (ty / STRIDE_H < OUTPUT_H && tx / STRIDE_W < OUTPUT_W) visit(ty / STRIDE_H, tx / STRIDE_W);
        }
}

// Where window (oy, ox) has its first maximum, as y * INPUT_W + x.
__device__ __forceinline__ int first_maximum(const operand* x, int n, int oy, int ox, int c) {
    int best = -1;
    float largest = 0.0f;
    each_position(oy, ox, [&](int py, int px) {
        const float value = x[input_at(n, py, px, c)];
        // NaN is the largest of all.
        if (best < 0 || largest < value || (value != value && largest == largest)) best = py * INPUT_W + px, largest = value;
    });
    return best;
}

// `first` is x, or for KIND 1 dy; `second` is dy for KIND 3, else unused.
__device__ __forceinline__ void windows(const operand* first, const operand* second, stored* result) {
    constexpr bool FORWARD = KIND == 0 || KIND == 2;
    constexpr int HEIGHT = FORWARD ? OUTPUT_H : INPUT_H, WIDTH = FORWARD ? OUTPUT_W : INPUT_W;
    const int i = blockIdx.x * WINDOW_THREADS + threadIdx.x;
    if (i >= IMAGES * HEIGHT * WIDTH * CHANNELS) return;
    const int c = i % CHANNELS, x = i / CHANNELS % WIDTH, y = i / CHANNELS / WIDTH % HEIGHT, n = i / CHANNELS / WIDTH / HEIGHT;
    float value = 0.0f;
    if constexpr (KIND == 0) {
        each_position(y, x, [&](int py, int px) { value += (float)first[input_at(n, py, px, c)]; });
    } else if constexpr (KIND == 1) {
        each_window(y, x, [&](int oy, int ox) { value += (float)first[output_at(n, oy, ox, c)]; });
    } else if constexpr (KIND == 2) {
        const int best = first_maximum(first, n, y, x, c);
        value = best < 0 ? bits_as_float(0xff800000u) : (float)first[input_at(n, best / INPUT_W, best % INPUT_W, c)];
    } else {
        each_window(y, x, [&](int oy, int ox) {
            if (first_maximum(first, n, oy, ox, c) == y * INPUT_W + x) value += (float)second[output_at(n, oy, ox, c)];
        });
    }
    result[i] = (stored)value;
}

extern "C" __global__ void __launch_bounds__(WINDOW_THREADS) window(const operand* first, const operand* second, stored* result) {
    windows(first, second, result);
}
