// Classification losses over logits [EXAMPLES, CLASSES]: a warp per example.
//
// With q = softmax(logits), y = (1 - SMOOTHING) onehot + SMOOTHING / CLASSES, f = FLOOR:
// KIND 0: -sum_c y_c log(q_c + f). KIND 1: its gradient in the logits, times g:
//     g q_j (sum_c q_c y_c / (q_c + f) - y_j / (q_j + f)).
// KIND 2: 1 where the largest logit, the first of equals, is the label's.
#ifndef SPHC_GENERATED
constexpr int KIND = 0, EXAMPLES = 128, CLASSES = 10;
constexpr float SMOOTHING = 0.01f, FLOOR = 1e-4f;
#define SPHC_GENERATED
#include "device.cu"
#endif

constexpr int LOSS_THREADS = 256;

__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
    for (int mask = 16; 0 < mask; mask /= 2) value += shuffle_xor(value, mask);
    return value;
}

__device__ __forceinline__ float warp_maximum(float value) {
#pragma unroll
    for (int mask = 16; 0 < mask; mask /= 2) value = fmaxf(value, shuffle_xor(value, mask));
    return value;
}

__device__ __forceinline__ float target_of(int c, i64 label) {
    return c == label ? 1.0f - SMOOTHING + SMOOTHING / CLASSES : SMOOTHING / CLASSES;
}

extern "C" __global__ void __launch_bounds__(LOSS_THREADS)
loss(const float* logits, const i64* labels, const float* g, float* result) {
    const int example = blockIdx.x * (LOSS_THREADS / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (example >= EXAMPLES) return;  // a whole warp
    const float* row = logits + example * CLASSES;
    const i64 label = labels[example];

    float largest = bits_as_float(0xff800000u);
    for (int c = lane; c < CLASSES; c += 32) largest = fmaxf(largest, row[c]);
    largest = warp_maximum(largest);

    if constexpr (KIND == 2) {
        int best = CLASSES;
        for (int c = lane; c < CLASSES; c += 32)
            if (row[c] == largest && c < best) best = c;
#pragma unroll
        for (int mask = 16; 0 < mask; mask /= 2) {
            const int other = shuffle_xor(best, mask);
            best = other < best ? other : best;
        }
        if (lane == 0) result[example] = best == label ? 1.0f : 0.0f;
    } else {
        float total = 0.0f;
        for (int c = lane; c < CLASSES; c += 32) total += expf(row[c] - largest);
        total = warp_sum(total);
        float sum = 0.0f;
        for (int c = lane; c < CLASSES; c += 32) {
            const float q = expf(row[c] - largest) / total, y = target_of(c, label);
            sum += KIND == 0 ? -y * logf(q + FLOOR) : q * (y / (q + FLOOR));
        }
        sum = warp_sum(sum);
        if constexpr (KIND == 0) {
            if (lane == 0) result[example] = sum;
        } else {
            for (int c = lane; c < CLASSES; c += 32) {
                const float q = expf(row[c] - largest) / total;
                result[example * CLASSES + c] = g[example] * q * (sum - target_of(c, label) / (q + FLOOR));
            }
        }
    }
}
