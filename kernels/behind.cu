// Sums over windows behind a map that makes their pixels, in the same launch: no block waits for another, the last of an image
// takes that image.
#ifndef SPHC_GENERATED
#define SPHC_GENERATED
#include "combine.cu"
#include "window.cu"
#endif

// The map wrote `first`, a number of each pixel, each block BLOCK_PIXELS of them. Takes the windows of those images
// that are complete with this block. Blocks hold whole images, or images whole blocks, which count themselves.
template <int BLOCK_PIXELS>
__device__ __forceinline__ void windows_behind(const operand* first, stored* result, u32* counters, int block) {
    constexpr int PIXELS = FORWARD ? INPUT_H * INPUT_W : OUTPUT_H * OUTPUT_W;
    constexpr int BLOCKS = (PIXELS + BLOCK_PIXELS - 1) / BLOCK_PIXELS, WHOLE = (BLOCK_PIXELS + PIXELS - 1) / PIXELS;
    static_assert(CHANNELS == 1 && BLOCKS * BLOCK_PIXELS == WHOLE * PIXELS, "blocks and images fit");
    const int image = block / BLOCKS * WHOLE;
    if constexpr (1 < BLOCKS) {
        if (!is_last(counters + image, BLOCKS)) return;
    } else {
        __syncthreads();
    }
    for (int i = threadIdx.x; i < WHOLE * EACH; i += WINDOW_THREADS)
        if (image * EACH + i < IMAGES * EACH) result[image * EACH + i] = (stored)window_at(first, nullptr, image * EACH + i);
}
