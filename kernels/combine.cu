// Second stage of every reduction that several blocks share: result[i] = sum (or maximum) over j of partial[j][i], always
// in the same order, so that bits repeat from run to run.
//
// SLICES threads share the partial results of one element, which pays where elements are few and partials many.
#ifndef SPHC_GENERATED
#define SPHC_GENERATED
#include "device.cu"
#endif

constexpr int COMBINE_THREADS = 256;

// Whether this block is the last of `blocks` to come here; then it sees what the others wrote before. All its threads come,
// and none needs what is in shared memory any more. Who is last is chance; what it does is the same whoever it is.
__device__ __forceinline__ bool is_last(u32* counter, u32 blocks) {
    SHARED_MEMORY(memory);
    __syncthreads();
    if (threadIdx.x == 0) {
        fence();
        *(u32*)memory = count_up(counter, blocks - 1);
        fence();
    }
    __syncthreads();
    const bool last = *(u32*)memory == blocks - 1;
    __syncthreads();
    return last;
}

template <int SLICES, bool MAXIMUM, class Result>
__device__ __forceinline__ void combine_partials(const float* partial, Result* result, int partials, i64 width) {
    SHARED_MEMORY(memory);
    float* shared = (float*)memory;
    constexpr int WIDTH = COMBINE_THREADS / SLICES;
    const int slice = threadIdx.x / WIDTH;
    const i64 i = (i64)blockIdx.x * WIDTH + threadIdx.x % WIDTH;
    float value = MAXIMUM ? bits_as_float(0xff800000u) : 0.0f;
    if (i < width)
        for (int j = slice; j < partials; j += SLICES) {
            const float next = partial[j * width + i];
            value = !MAXIMUM ? value + next : value < next || next != next ? next : value;
        }
    if constexpr (1 < SLICES) {
        shared[threadIdx.x] = value;
        __syncthreads();
        if (slice == 0)
            for (int s = 1; s < SLICES; s++) {
                const float next = shared[s * WIDTH + threadIdx.x];
                value = !MAXIMUM ? value + next : value < next || next != next ? next : value;
            }
    }
    if (slice == 0 && i < width) result[i] = (Result)value;
}
