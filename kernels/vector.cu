// Neighbours in memory, loaded and stored in as few words as their types allow: WIDTH of them, at a multiple of WIDTH.
#ifndef SPHC_GENERATED
#define SPHC_GENERATED
#include "device.cu"
#endif

// Of any type: one by one.
template <class T, int WIDTH> struct Vector {
    T numbers[WIDTH];
    __device__ __forceinline__ void load(const T* from) {
#pragma unroll
        for (int c = 0; c < WIDTH; c++) numbers[c] = from[c];
    }
    __device__ __forceinline__ float at(int c) const { return (float)numbers[c]; }
};
template <> struct Vector<float, 2> {
    float2 both;
    __device__ __forceinline__ void load(const float* from) { both = *(const float2*)from; }
    __device__ __forceinline__ float at(int c) const { return c == 0 ? both.x : both.y; }
};
template <> struct Vector<float, 4> {
    float4 four;
    __device__ __forceinline__ void load(const float* from) { four = *(const float4*)from; }
    __device__ __forceinline__ float at(int c) const { return c == 0 ? four.x : c == 1 ? four.y : c == 2 ? four.z : four.w; }
};
template <> struct Vector<float, 8> {
    Vector<float, 4> low, high;
    __device__ __forceinline__ void load(const float* from) { low.load(from), high.load(from + 4); }
    __device__ __forceinline__ float at(int c) const { return c < 4 ? low.at(c) : high.at(c - 4); }
};
template <> struct Vector<bf16, 2> {
    u32 both;
    __device__ __forceinline__ void load(const bf16* from) { both = *(const u32*)from; }
    __device__ __forceinline__ float at(int c) const { return bits_as_float(c == 0 ? both << 16 : both & 0xffff0000u); }
};
template <> struct Vector<bf16, 4> {
    Vector<bf16, 2> low, high;
    __device__ __forceinline__ void load(const bf16* from) {
        const uint2 words = *(const uint2*)from;
        low.both = words.x, high.both = words.y;
    }
    __device__ __forceinline__ float at(int c) const { return c < 2 ? low.at(c) : high.at(c - 2); }
};
template <> struct Vector<bf16, 8> {
    Vector<bf16, 4> low, high;
    __device__ __forceinline__ void load(const bf16* from) {
        const uint4 words = *(const uint4*)from;
        low.low.both = words.x, low.high.both = words.y, high.low.both = words.z, high.high.both = words.w;
    }
    __device__ __forceinline__ float at(int c) const { return c < 4 ? low.at(c) : high.at(c - 4); }
};

// Stores `value(c)` for each.
template <int WIDTH, class T, class Value> __device__ __forceinline__ void put_vector(T* to, Value value) {
#pragma unroll
    for (int c = 0; c < WIDTH; c++) to[c] = (T)value(c);
}
template <int WIDTH, class Value> __device__ __forceinline__ void put_vector(float* to, Value value) {
    if constexpr (WIDTH % 4 == 0) {
#pragma unroll
        for (int c = 0; c < WIDTH; c += 4) *(float4*)(to + c) = {value(c), value(c + 1), value(c + 2), value(c + 3)};
    } else if constexpr (WIDTH == 2) {
        *(float2*)to = {value(0), value(1)};
    } else {
#pragma unroll
        for (int c = 0; c < WIDTH; c++) to[c] = value(c);
    }
}
template <int WIDTH, class Value> __device__ __forceinline__ void put_vector(bf16* to, Value value) {
    if constexpr (WIDTH == 8) {
        *(uint4*)to = {pack_bf16(value(0), value(1)), pack_bf16(value(2), value(3)), pack_bf16(value(4), value(5)),
                       pack_bf16(value(6), value(7))};
    } else if constexpr (WIDTH == 4) {
        *(uint2*)to = {pack_bf16(value(0), value(1)), pack_bf16(value(2), value(3))};
    } else if constexpr (WIDTH == 2) {
        *(u32*)to = pack_bf16(value(0), value(1));
    } else {
#pragma unroll
        for (int c = 0; c < WIDTH; c++) to[c] = (bf16)value(c);
    }
}
