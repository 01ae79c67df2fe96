// Picks examples of a data set that lies on the device, by index, cropped and mirrored at random.
//
// The crop is taken out of the image padded by CROP on all sides (mirrored, the edge pixel included), then mirrored:
// pixel (y, x) of the result is (y + oy, x' + ox) of the padded image, x' = W - 1 - x if mirrored. `uniform` holds three
// numbers in [0, 1) per example: mirror, row and column of the crop.
#ifndef SPHC_GENERATED
constexpr int PICKS = 128, ITEM_H = 32, ITEM_W = 32, ITEM_C = 3;  // 1 where an example has fewer axes
constexpr bool FLIP = true;
constexpr int CROP = 4;
using element = unsigned char;
#define SPHC_GENERATED
#include "device.cu"
#endif

constexpr int GATHER_THREADS = 256;

template <int SIZE> __device__ __forceinline__ int reflected(int at) {
    at %= 2 * SIZE;
    if (at < 0) at += 2 * SIZE;
    return at < SIZE ? at : 2 * SIZE - 1 - at;
}

// In double: u times 2 CROP + 1 must not round up to the next integer.
__device__ __forceinline__ int offset_of(float u) { return (int)floor((double)u * (2 * CROP + 1)); }

extern "C" __global__ void __launch_bounds__(GATHER_THREADS)
gather(const element* source, const i64* index, const float* uniform, element* result) {
    const int i = blockIdx.x * GATHER_THREADS + threadIdx.x;
    if (i >= PICKS * ITEM_H * ITEM_W * ITEM_C) return;
    const int c = i % ITEM_C, x = i / ITEM_C % ITEM_W, y = i / ITEM_C / ITEM_W % ITEM_H, pick = i / ITEM_C / ITEM_W / ITEM_H;
    int from_y = y, from_x = x;
    if constexpr (FLIP) {
        if (uniform[pick * 3] < 0.5f) from_x = ITEM_W - 1 - x;
    }
    if constexpr (0 < CROP) {
        from_y = reflected<ITEM_H>(from_y + offset_of(uniform[pick * 3 + 1]) - CROP);
        from_x = reflected<ITEM_W>(from_x + offset_of(uniform[pick * 3 + 2]) - CROP);
    }
    result[i] = source[((index[pick] * ITEM_H + from_y) * ITEM_W + from_x) * ITEM_C + c];
}
