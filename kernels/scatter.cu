// Adds up what was picked, row by row: the block of a row goes through all picks in order, a thread to a column.
#ifndef SPHC_GENERATED
constexpr int PICKS = 8192, ITEM = 128;
#define SPHC_GENERATED
#include "device.cu"
#endif

constexpr int SCATTER_THREADS = 256;

extern "C" __global__ void __launch_bounds__(SCATTER_THREADS) scatter(const i64* index, const float* dy, float* result) {
    SHARED_MEMORY(memory);
    int* mine = (int*)memory;  // which of the next picks are of this row
    const int row = blockIdx.x;
    for (int first = 0; first < ITEM; first += SCATTER_THREADS) {
        const int column = first + threadIdx.x;
        float sum = 0.0f;
        for (int from = 0; from < PICKS; from += SCATTER_THREADS) {
            const int pick = from + threadIdx.x;
            __syncthreads();
            mine[threadIdx.x] = pick < PICKS && index[pick] == row;
            __syncthreads();
            const int count = PICKS - from < SCATTER_THREADS ? PICKS - from : SCATTER_THREADS;
            for (int at = 0; at < count; at++)
                if (mine[at] && column < ITEM) sum += dy[(from + at) * ITEM + column];
        }
        if (column < ITEM) result[row * ITEM + column] = sum;
    }
}
