// Classification losses over logits [EXAMPLES, CLASSES]: a warp per example. Several kinds may share a launch, one after the
// other, each in a namespace.
//
// With q = softmax(logits), y = (1 - SMOOTHING) onehot + SMOOTHING / CLASSES, f = FLOORED ? e^LOG_FLOOR : 0:
// the cross entropy is -sum_c y_c log(q_c + f), its gradient in the logits, times g,
//     g q_j (sum_c q_c y_c / (q_c + f) - y_j / (q_j + f)).
// Correct is 1 where the largest logit, the first of equals, is the label's; NaN is nobody's.
//
// With m the largest logit and r the sum of e^(logit - m) over the other classes, -log q = m - logit + log1p(r) is exact
// for any logits, and as 1 - q of the largest is r / (1 + r), so is the gradient.
#ifndef SPHC_GENERATED
#include "kinds.cu"
constexpr Loss KIND = Loss::CrossEntropy;
constexpr int EXAMPLES = 128, CLASSES = 10;
constexpr float SMOOTHING = 0.01f, LOG_FLOOR = -9.2103404f;
constexpr bool FLOORED = true;
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
    for (int mask = 16; 0 < mask; mask /= 2) {
        const float other = shuffle_xor(value, mask);
        value = other < value || value != value ? value : other;  // NaN stays
    }
    return value;
}

__device__ __forceinline__ int warp_minimum(int value) {
#pragma unroll
    for (int mask = 16; 0 < mask; mask /= 2) {
        const int other = shuffle_xor(value, mask);
        value = other < value ? other : value;
    }
    return value;
}

__device__ __forceinline__ float target_of(int c, i64 label) {
    return c == label ? 1.0f - SMOOTHING + SMOOTHING / CLASSES : SMOOTHING / CLASSES;
}

// log(q + f), given log q.
__device__ __forceinline__ float floored(float log_q) {
    return FLOORED ? fmaxf(log_q, LOG_FLOOR) + log1pf(expf(-fabsf(log_q - LOG_FLOOR))) : log_q;
}

// q / (q + f), given log q: neither a small q nor a small f makes it 0 / 0.
__device__ __forceinline__ float share_of(float log_q) { return FLOORED ? 1.0f / (1.0f + expf(LOG_FLOOR - log_q)) : 1.0f; }

__device__ __forceinline__ void losses(const float* logits, const i64* labels, const float* g, float* result) {
    const int example = blockIdx.x * (LOSS_THREADS / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (example >= EXAMPLES) return;  // a whole warp
    const float* row = logits + example * CLASSES;
    const i64 label = labels[example];

    float largest = bits_as_float(0xff800000u);
    for (int c = lane; c < CLASSES; c += 32) largest = row[c] < largest || largest != largest ? largest : row[c];
    largest = warp_maximum(largest);
    int best = CLASSES;  // stays so when a logit is NaN
    for (int c = lane; c < CLASSES; c += 32)
        if (row[c] == largest && c < best) best = c;
    best = warp_minimum(best);

    if constexpr (KIND == Loss::Correct) {
        // Labels beyond the classes are nobody's, too.
        if (lane == 0) result[example] = best < CLASSES && best == label ? 1.0f : 0.0f;
    } else {
        float rest = 0.0f;
        for (int c = lane; c < CLASSES; c += 32)
            if (c != best) rest += expf(row[c] - largest);
        rest = warp_sum(rest) + (largest - largest);  // NaN where the largest is infinite
        const float log_total = log1pf(rest);
        float sum = 0.0f;
        if constexpr (KIND == Loss::CrossEntropy) {
            for (int c = lane; c < CLASSES; c += 32) {
                const float y = target_of(c, label);
                if (y != 0.0f) sum -= y * floored(row[c] - largest - log_total);
            }
            sum = warp_sum(sum);
            if (lane == 0) result[example] = sum;
        } else {
            // What a class weighs in the loss.
            const auto weight = [&](int c) { return target_of(c, label) * share_of(row[c] - largest - log_total); };
            for (int c = lane; c < CLASSES; c += 32)
                if (c != best) sum += weight(c);
            sum = warp_sum(sum);
            const float of_best = best < CLASSES ? weight(best) : largest;
            for (int c = lane; c < CLASSES; c += 32) {
                const float q = expf(row[c] - largest) / (1.0f + rest), own = weight(c);
                const float lacks = c == best ? rest / (1.0f + rest) : 1.0f - q;
                const float others = c == best ? sum : sum - own + of_best;
                result[example * CLASSES + c] = g[example] * (q * others - own * lacks);
            }
        }
    }
}
