// What the constants of generated text may be.

// How factors of a product are multiplied; sums are fp32 always.
enum class Arithmetic { Fp32, Tf32, Bf16 };

// A convolution, and its gradients in the input and in the filter.
enum class Conv { Forward, InputGrad, FilterGrad };

// Sums and maxima of windows, and their adjoints.
enum class Window { Sum, SumGrad, Max, MaxGrad };

// Cross entropy, its gradient in the logits, and whether the largest logit is the label's.
enum class Loss { CrossEntropy, CrossEntropyGrad, Correct };

// Numbers in [0, 1), a batch of shuffled examples, and one of examples in their order.
enum class Random { Uniform, Shuffle, Sequence };
