// The scalar functions of expressions (`ir::expr`), for float and double. What is singular is made safe here exactly as
// the interpreter does it: arguments of arcs clamped, NaN passed on, so that a broken number shows.
#ifndef SPHC_GENERATED
#define SPHC_GENERATED
#include "device.cu"
#endif

constexpr float SLOPE_FLOOR = 1e-6f;

#define SCALAR template <class T> __device__ __forceinline__ T

SCALAR at_least(T a, T low) { return a < low ? low : a; }
SCALAR clamped(T a) { return a < T(-1) ? T(-1) : T(1) < a ? T(1) : a; }
SCALAR sph_sign(T a) { return a < T(0) ? T(-1) : T(0) < a ? T(1) : a; }
SCALAR sph_min(T a, T b) { return a < b || a != a ? a : b; }
SCALAR sph_max(T a, T b) { return b < a || a != a ? a : b; }
SCALAR sph_select(T condition, T a, T b) { return condition != T(0) ? a : b; }

__device__ __forceinline__ float sph_abs(float a) { return fabsf(a); }
__device__ __forceinline__ float sph_sqrt(float a) { return sqrtf(a); }
__device__ __forceinline__ float sph_rsqrt(float a) { return rsqrtf(a); }
__device__ __forceinline__ float sph_exp(float a) { return expf(a); }
__device__ __forceinline__ float sph_expm1(float a) { return expm1f(a); }
__device__ __forceinline__ float sph_log(float a) { return logf(a); }
__device__ __forceinline__ float sph_log1p(float a) { return log1pf(a); }
__device__ __forceinline__ float sph_sin(float a) { return sinf(a); }
__device__ __forceinline__ float sph_cos(float a) { return cosf(a); }
__device__ __forceinline__ float sph_tanh(float a) { return tanhf(a); }
__device__ __forceinline__ float sph_logistic(float a) {
    const float e = expf(-fabsf(a));  // never infinite
    return (a < 0.0f ? e : 1.0f) / (1.0f + e);
}
__device__ __forceinline__ float sph_erf(float a) { return erff(a); }
__device__ __forceinline__ float sph_asin(float a) { return asinf(clamped(a)); }
__device__ __forceinline__ float sph_acos(float a) { return acosf(clamped(a)); }
__device__ __forceinline__ float sph_asin_slope(float a) { return rsqrtf(at_least((1.0f - a) * (1.0f + a), SLOPE_FLOOR)); }
__device__ __forceinline__ float sph_atan(float a) { return atanf(a); }
__device__ __forceinline__ float sph_floor(float a) { return floorf(a); }
__device__ __forceinline__ float sph_pow(float a, float b) { return powf(a, b); }

__device__ __forceinline__ double sph_abs(double a) { return fabs(a); }
__device__ __forceinline__ double sph_sqrt(double a) { return sqrt(a); }
__device__ __forceinline__ double sph_rsqrt(double a) { return 1.0 / sqrt(a); }
__device__ __forceinline__ double sph_exp(double a) { return exp(a); }
__device__ __forceinline__ double sph_expm1(double a) { return expm1(a); }
__device__ __forceinline__ double sph_log(double a) { return log(a); }
__device__ __forceinline__ double sph_log1p(double a) { return log1p(a); }
__device__ __forceinline__ double sph_sin(double a) { return sin(a); }
__device__ __forceinline__ double sph_cos(double a) { return cos(a); }
__device__ __forceinline__ double sph_tanh(double a) { return tanh(a); }
__device__ __forceinline__ double sph_logistic(double a) {
    const double e = exp(-fabs(a));
    return (a < 0.0 ? e : 1.0) / (1.0 + e);
}
__device__ __forceinline__ double sph_erf(double a) { return erf(a); }
__device__ __forceinline__ double sph_asin(double a) { return asin(clamped(a)); }
__device__ __forceinline__ double sph_acos(double a) { return acos(clamped(a)); }
__device__ __forceinline__ double sph_asin_slope(double a) { return 1.0 / sqrt(at_least((1.0 - a) * (1.0 + a), 1e-12)); }
__device__ __forceinline__ double sph_atan(double a) { return atan(a); }
__device__ __forceinline__ double sph_floor(double a) { return floor(a); }
// Whole powers are products, so that what a double can hold is exact, and others go by a logarithm. `pow` would be a function
// that is called, with a stack.
__device__ __forceinline__ double sph_pow(double a, double b) {
    const double size = fabs(b), base = fabs(a);
    if (size == 0.0 || a == 1.0) return 1.0;
    if (size < 2147483648.0 && floor(size) == size) {
        double power = 1.0, square = a;
        for (u32 left = (u32)size; left != 0; left /= 2, square *= square)
            if (left % 2 == 1) power *= square;
        return b < 0.0 ? 1.0 / power : power;
    }
    if (base == 1.0 && size - size != 0.0) return size == size ? 1.0 : size;
    const double power = exp(b * log(base));
    if (0.0 <= a || base - base != 0.0) return power;
    if (floor(b) != b) return bits_as_float(0x7fc00000u);
    return floor(b / 2.0) * 2.0 == b ? power : -power;
}
