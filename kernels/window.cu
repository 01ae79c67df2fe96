// Sliding windows over each channel of NHWC images, and their adjoints: a thread per number written, or of maxima per SIDE
// channels, where a word of 16 bytes holds as many.
//
// In the adjoint of a sum every position collects the gradients of the windows that hold it. A maximum is that of the positions
// inside the image; in its adjoint a window's gradient goes to its first maximum in row-major order, which each position finds out
// for itself, so that nothing is added out of order. Where windows cover each position once (TILED), a thread takes a window.
#ifndef SPHC_GENERATED
#include "kinds.cu"
constexpr Window KIND = Window::Max;
constexpr int IMAGES = 128, INPUT_H = 32, INPUT_W = 32, OUTPUT_H = 16, OUTPUT_W = 16, CHANNELS = 128;
constexpr int KERNEL_H = 2, KERNEL_W = 2, STRIDE_H = 2, STRIDE_W = 2, BEFORE_H = 0, BEFORE_W = 0;
constexpr int DILATION_H = 1, DILATION_W = 1;
constexpr int SIDE = 4;
constexpr bool TILED = true;
using operand = float;  // in memory: what is read
using stored = float;   // and what is written
#define SPHC_GENERATED
#include "device.cu"
#include "vector.cu"
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

constexpr bool FORWARD = KIND == Window::Sum || KIND == Window::Max;
constexpr int HEIGHT = FORWARD ? OUTPUT_H : INPUT_H, WIDTH = FORWARD ? OUTPUT_W : INPUT_W;  // of what is written
constexpr int EACH = HEIGHT * WIDTH * CHANNELS;                                             // numbers of an image

// Number `i` of the result. `first` is x, or dy in the adjoint of a sum; `second` is dy in that of a maximum, else unused.
__device__ __forceinline__ float window_at(const operand* first, const operand* second, int i) {
    const int c = i % CHANNELS, x = i / CHANNELS % WIDTH, y = i / CHANNELS / WIDTH % HEIGHT, n = i / CHANNELS / WIDTH / HEIGHT;
    float value = 0.0f;
    if constexpr (KIND == Window::Sum) {
        each_position(y, x, [&](int py, int px) { value += (float)first[input_at(n, py, px, c)]; });
    } else if constexpr (KIND == Window::SumGrad) {
        each_window(y, x, [&](int oy, int ox) { value += (float)first[output_at(n, oy, ox, c)]; });
    } else {
        each_window(y, x, [&](int oy, int ox) {
            if (first_maximum(first, n, oy, ox, c) == y * INPUT_W + x) value += (float)second[output_at(n, oy, ox, c)];
        });
    }
    return value;
}

// Whether `value` takes the place of the largest so far; NaN is the largest of all.
__device__ __forceinline__ bool is_larger(float largest, float value) {
    return largest < value || (value != value && largest == largest);
}

// The maxima of SIDE channels of window `i` of all.
__device__ __forceinline__ void maxima(const operand* x, stored* result, int i) {
    const int c = i % (CHANNELS / SIDE) * SIDE, at = i / (CHANNELS / SIDE), n = at / (OUTPUT_H * OUTPUT_W);
    float largest[SIDE];
    bool none = true;
    for (int side = 0; side < SIDE; side++) largest[side] = bits_as_float(0xff800000u);
    each_position(at / OUTPUT_W % OUTPUT_H, at % OUTPUT_W, [&](int py, int px) {
        Vector<operand, SIDE> values;
        values.load(x + input_at(n, py, px, c));
#pragma unroll
        for (int side = 0; side < SIDE; side++)
            if (none || is_larger(largest[side], values.at(side))) largest[side] = values.at(side);
        none = false;
    });
    put_vector<SIDE>(result + at * CHANNELS + c, [&](int side) { return largest[side]; });
}

// The gradients of all positions of such a window.
__device__ __forceinline__ void gradients(const operand* x, const operand* dy, stored* result, int i) {
    const int c = i % (CHANNELS / SIDE) * SIDE, at = i / (CHANNELS / SIDE);
    const int start = input_at(at / (OUTPUT_H * OUTPUT_W), at / OUTPUT_W % OUTPUT_H * KERNEL_H, at % OUTPUT_W * KERNEL_W, c);
    constexpr int COUNT = TILED ? KERNEL_H * KERNEL_W : 1;
    const auto place = [&](int position) { return start + (position / KERNEL_W * INPUT_W + position % KERNEL_W) * CHANNELS; };
    Vector<operand, SIDE> values[COUNT], slope;
#pragma unroll
    for (int position = 0; position < COUNT; position++) values[position].load(x + place(position));
    slope.load(dy + at * CHANNELS + c);
    int best[SIDE];
#pragma unroll
    for (int side = 0; side < SIDE; side++) {
        float largest = values[0].at(side);
        best[side] = 0;
#pragma unroll
        for (int position = 1; position < COUNT; position++)
            if (is_larger(largest, values[position].at(side))) largest = values[position].at(side), best[side] = position;
    }
#pragma unroll
    for (int position = 0; position < COUNT; position++)
        put_vector<SIDE>(result + place(position), [&](int side) { return best[side] == position ? 0.0f + slope.at(side) : 0.0f; });
}

__device__ __forceinline__ void windows(const operand* first, const operand* second, stored* result) {
    const int i = blockIdx.x * WINDOW_THREADS + threadIdx.x;
    if constexpr (KIND == Window::Max || (KIND == Window::MaxGrad && TILED)) {
        if (IMAGES * OUTPUT_H * OUTPUT_W * (CHANNELS / SIDE) <= i) return;
        if constexpr (KIND == Window::Max)
            maxima(first, result, i);
        else
            gradients(first, second, result, i);
    } else {
        if (i < IMAGES * EACH) result[i] = (stored)window_at(first, second, i);
    }
}
