// Picks examples of a data set that lies on the device, by index; images through steps of augmentation.
//
// `uniform` holds DRAWS numbers in [0, 1) per example. An example has ITEM_H * ITEM_W * ITEM_C elements, its result
// ROWS * COLUMNS * ITEM_C.
#ifndef SPHC_GENERATED
constexpr int PICKS = 128, ITEM_H = 32, ITEM_W = 32, ITEM_C = 3;  // 1 where an example has fewer axes
constexpr int ROWS = 28, COLUMNS = 28, DRAWS = 3;
using element = unsigned char;
#define SPHC_GENERATED
#include "device.cu"
#include "augment.cu"
using Image = FlipHorizontal<Crop<Pixels, 32, 32, 28, 28, 4, 2, false, 1>, 28, 0>;
#endif

constexpr int GATHER_THREADS = 256;

extern "C" __global__ void __launch_bounds__(GATHER_THREADS)
gather(const element* source, const i64* index, const float* uniform, element* result) {
    const int i = blockIdx.x * GATHER_THREADS + threadIdx.x;
    if (i >= PICKS * ROWS * COLUMNS * ITEM_C) return;
    const int c = i % ITEM_C, x = i / ITEM_C % COLUMNS, y = i / ITEM_C / COLUMNS % ROWS, pick = i / ITEM_C / COLUMNS / ROWS;
    const Image image(source + index[pick] * (ITEM_H * ITEM_W * ITEM_C), uniform + pick * DRAWS);
    result[i] = (element)image.at(y, x, c);
}
