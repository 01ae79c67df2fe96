// Mean and variance of numbers in one pass, exact however far from 0 they lie. A thread adds up distances from a pivot,
// the first number it meets, and their squares. Threads, warps and blocks are then put together, always in the same
// order, by how far their means lie apart (Chan, Golub, LeVeque 1979). A mean is kept as two numbers, pivot and shift: in
// one, what tells the numbers apart would be rounded away.
#ifndef SPHC_GENERATED
#define SPHC_GENERATED
#include "device.cu"
#endif

struct Moments {
    float pivot;
    float shift;    // the sum of distances from the pivot; once settled, the mean's distance
    float squares;  // the sum of their squares; once settled, of the distances from the mean
};

// Takes a number in.
__device__ __forceinline__ void take(Moments& kept, bool first, float value) {
    // Around an infinite one all distances would be NaN.
    if (first) kept.pivot = value - value == 0.0f ? value : 0.0f;
    const float gap = value - kept.pivot;
    kept.shift += gap;
    kept.squares += gap * gap;
}

// After the last of `count` numbers.
__device__ __forceinline__ Moments settled(const Moments& kept, float count) {
    if (count == 0.0f) return {};
    const float shift = kept.shift / count;
    return {kept.pivot, shift, kept.squares - kept.shift * shift};
}

// Of `own` numbers and `others` more.
__device__ __forceinline__ Moments joined(const Moments& a, float own, const Moments& b, float others) {
    if (others == 0.0f) return a;
    if (own == 0.0f) return b;
    const float share = others / (own + others);
    const float shift = (b.pivot - a.pivot) + b.shift, apart = shift - a.shift;
    return {a.pivot, a.shift * (own / (own + others)) + shift * share, a.squares + b.squares + apart * apart * (own * share)};
}

__device__ __forceinline__ float mean_of(const Moments& all) { return all.pivot + all.shift; }

// Rounding may leave less than nothing; NaN stays NaN.
__device__ __forceinline__ float variance_of(const Moments& all, float count) {
    const float variance = all.squares / count;
    return variance < 0.0f ? 0.0f : variance;
}

// Numbers from `left` elements that a thread takes, which takes every `step`-th.
template <class Whole> __device__ __forceinline__ int taken(Whole left, int step, int most) {
    if (left <= 0) return 0;
    const Whole count = (left - 1) / step + 1;
    return count < (Whole)most ? (int)count : most;
}

// What a thread of a map keeps of reductions.
template <int SUMS, int MOMENTS> struct Kept {
    float sums[SUMS + 1];
    Moments moments[MOMENTS + 1];
};

constexpr int MOMENTS_THREADS = 256;

// Moments, and of how many numbers they are.
struct Counted {
    Moments moments;
    float count;
};

// Of what every SHARED_BY threads side by side have, in the first of them. Threads that still read what was in shared
// memory before must be waited for.
template <int SHARED_BY> __device__ __forceinline__ Counted join_parts(const Moments& mine, float count) {
    SHARED_MEMORY(memory);
    Counted* shared = (Counted*)memory;
    shared[threadIdx.x] = {mine, count};
    for (int half = SHARED_BY / 2; 0 < half; half /= 2) {
        __syncthreads();
        if (threadIdx.x % SHARED_BY < half) {
            const Counted a = shared[threadIdx.x], b = shared[threadIdx.x + half];
            shared[threadIdx.x] = {joined(a.moments, a.count, b.moments, b.count), a.count + b.count};
        }
    }
    return shared[threadIdx.x];
}

// The second stage of moments that several blocks share: pivots, then shifts, then squares, `partials` of each for every
// one of `width`; `counts` says of how many numbers a block's are. SLICES threads share one of `width`. Either result may
// be missing.
template <int SLICES>
__device__ __forceinline__ void combine_moments(const float* partial, const float* counts, float* mean, float* variance,
                                                int partials, i64 width) {
    SHARED_MEMORY(memory);
    Counted* shared = (Counted*)memory;
    constexpr int WIDTH = MOMENTS_THREADS / SLICES;
    const int slice = threadIdx.x / WIDTH;
    const i64 i = (i64)blockIdx.x * WIDTH + threadIdx.x % WIDTH;
    Moments all = {};
    float count = 0.0f;
    if (i < width)
        for (int j = slice; j < partials; j += SLICES) {
            const float* next = partial + j * width + i;
            all = joined(all, count, {next[0], next[partials * width], next[2 * partials * width]}, counts[j]);
            count += counts[j];
        }
    shared[threadIdx.x] = {all, count};
    __syncthreads();
    if (slice != 0 || width <= i) return;
    for (int s = 1; s < SLICES; s++) {
        const Counted other = shared[s * WIDTH + threadIdx.x];
        all = joined(all, count, other.moments, other.count);
        count += other.count;
    }
    if (mean) mean[i] = mean_of(all);
    if (variance) variance[i] = variance_of(all, count);
}
