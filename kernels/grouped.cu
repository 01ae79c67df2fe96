// Convolutions in groups, depthwise ones among them, and their gradients, number by number. Groups of a few channels have
// too little in common for tiles of a matrix product; neighbouring threads have neighbouring channels.
//
// In the gradient in the filter each thread of a column of LANES adds up every LANES-th pixel of a share, and blockIdx.z
// shares the pixels out; `combine` adds the shares in a fixed order.
#ifndef SPHC_GENERATED
#include "kinds.cu"
constexpr Conv KIND = Conv::Forward;
constexpr int IMAGES = 128, GROUPS = 128;
constexpr int INPUT_H = 32, INPUT_W = 32, INPUT_C = 128;     // x
constexpr int OUTPUT_H = 32, OUTPUT_W = 32, OUTPUT_C = 128;  // y
constexpr int KERNEL_H = 3, KERNEL_W = 3, STRIDE_H = 1, STRIDE_W = 1, BEFORE_H = 1, BEFORE_W = 1;
constexpr int DILATION_H = 1, DILATION_W = 1;
constexpr int SPLIT = 1;
using operand = float;  // in memory: what is read
using stored = float;   // and what is written: the result, or shares of it
#define SPHC_GENERATED
#include "device.cu"
#endif

constexpr int GROUPED_THREADS = 256, COLUMNS = 32, LANES = GROUPED_THREADS / COLUMNS;
constexpr int EACH_IN = INPUT_C / GROUPS, EACH_OUT = OUTPUT_C / GROUPS;

// The filter's number for a tap, a channel of the group's own, and a channel of the result.
__device__ __forceinline__ int filter_at(int tap, int own, int to) { return (tap * EACH_IN + own) * OUTPUT_C + to; }

__device__ __forceinline__ float response(const operand* x, const operand* filter, int n, int oy, int ox, int to) {
    const int first = to / EACH_OUT * EACH_IN;
    float sum = 0.0f;
    for (int tap = 0; tap < KERNEL_H * KERNEL_W; tap++) {
        const int y = oy * STRIDE_H - BEFORE_H + tap / KERNEL_W * DILATION_H;
        const int z = ox * STRIDE_W - BEFORE_W + tap % KERNEL_W * DILATION_W;
        if ((u32)y >= (u32)INPUT_H || (u32)z >= (u32)INPUT_W) continue;
        const operand* from = x + ((n * INPUT_H + y) * INPUT_W + z) * INPUT_C + first;
        for (int own = 0; own < EACH_IN; own++) sum += (float)from[own] * (float)filter[filter_at(tap, own, to)];
    }
    return sum;
}

__device__ __forceinline__ float gradient(const operand* dy, const operand* filter, int n, int y, int x, int channel) {
    const int first = channel / EACH_IN * EACH_OUT, own = channel % EACH_IN;
    float sum = 0.0f;
    for (int tap = 0; tap < KERNEL_H * KERNEL_W; tap++) {
        const int down = y + BEFORE_H - tap / KERNEL_W * DILATION_H, right = x + BEFORE_W - tap % KERNEL_W * DILATION_W;
        if (down < 0 || right < 0 || down % STRIDE_H != 0 || right % STRIDE_W != 0) continue;
        if (down / STRIDE_H >= OUTPUT_H || right / STRIDE_W >= OUTPUT_W) continue;
        const operand* from = dy + ((n * OUTPUT_H + down / STRIDE_H) * OUTPUT_W + right / STRIDE_W) * OUTPUT_C + first;
        for (int to = 0; to < EACH_OUT; to++) sum += (float)from[to] * (float)filter[filter_at(tap, own, first + to)];
    }
    return sum;
}

// y, or the gradient in x: a thread per number.
__device__ __forceinline__ void pixels(const operand* source, const operand* filter, stored* target) {
    constexpr int HEIGHT = KIND == Conv::Forward ? OUTPUT_H : INPUT_H, WIDTH = KIND == Conv::Forward ? OUTPUT_W : INPUT_W;
    constexpr int CHANNELS = KIND == Conv::Forward ? OUTPUT_C : INPUT_C;
    const int i = blockIdx.x * GROUPED_THREADS + threadIdx.x;
    if (i >= IMAGES * HEIGHT * WIDTH * CHANNELS) return;
    const int c = i % CHANNELS, x = i / CHANNELS % WIDTH, y = i / CHANNELS / WIDTH % HEIGHT, n = i / CHANNELS / WIDTH / HEIGHT;
    if constexpr (KIND == Conv::Forward)
        target[i] = (stored)response(source, filter, n, y, x, c);
    else
        target[i] = (stored)gradient(source, filter, n, y, x, c);
}

// The gradient in the filter: a block for COLUMNS channels of the result, of one tap and one of the group's channels.
__device__ __forceinline__ void filters(const operand* x, const operand* dy, stored* dw) {
    SHARED_MEMORY(memory);
    float* shared = (float*)memory;
    constexpr int BLOCKS_C = (OUTPUT_C + COLUMNS - 1) / COLUMNS, PIXELS = IMAGES * OUTPUT_H * OUTPUT_W;
    const int row = blockIdx.x / BLOCKS_C, tap = row / EACH_IN, own = row % EACH_IN;
    const int to = blockIdx.x % BLOCKS_C * COLUMNS + threadIdx.x % COLUMNS, lane = threadIdx.x / COLUMNS;
    const int share = blockIdx.z, first = (int)((i64)PIXELS * share / SPLIT), last = (int)((i64)PIXELS * (share + 1) / SPLIT);
    float sum = 0.0f;
    if (to < OUTPUT_C) {
        const int channel = to / EACH_OUT * EACH_IN + own;
        for (int pixel = first + lane; pixel < last; pixel += LANES) {
            const int n = pixel / (OUTPUT_H * OUTPUT_W), at = pixel % (OUTPUT_H * OUTPUT_W);
            const int y = at / OUTPUT_W * STRIDE_H - BEFORE_H + tap / KERNEL_W * DILATION_H;
            const int z = at % OUTPUT_W * STRIDE_W - BEFORE_W + tap % KERNEL_W * DILATION_W;
            if ((u32)y >= (u32)INPUT_H || (u32)z >= (u32)INPUT_W) continue;
            sum += (float)x[((n * INPUT_H + y) * INPUT_W + z) * INPUT_C + channel] * (float)dy[pixel * OUTPUT_C + to];
        }
    }
    shared[threadIdx.x] = sum;
    __syncthreads();
    if (lane != 0 || to >= OUTPUT_C) return;
    for (int other = 1; other < LANES; other++) sum += shared[other * COLUMNS + threadIdx.x];
    dw[(i64)share * KERNEL_H * KERNEL_W * EACH_IN * OUTPUT_C + row * OUTPUT_C + to] = (stored)sum;
}

extern "C" __global__ void __launch_bounds__(GROUPED_THREADS) grouped(const operand* first, const operand* second, stored* result) {
    if constexpr (KIND == Conv::FilterGrad)
        filters(first, second, result);
    else
        pixels(first, second, result);
}
