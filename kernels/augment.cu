// Steps of augmentation, each over the one below it: a pixel of the result asks for pixels below. Places are whole numbers,
// positions in 1/256 of a pixel, factors in 1/65536, and so are bytes and what else is no real; of reals each product and sum is
// rounded by itself. So every device makes the same numbers.
//
// A step reads its random numbers, from COLUMN on among those of the image, when it is made; H and W are the extents of what
// lies below it, ROWS and COLUMNS its own.

// One of n choices.
__device__ __forceinline__ int chosen(float u, int n) {
    const int at = (int)floor((double)u * n);
    return at < 0 ? 0 : at < n ? at : n - 1;
}

// What goes from step to step, and what holds sums of 65536 times as much.
template <class Element> struct Numbers { using Value = int; using Sum = int; };
template <> struct Numbers<u16> { using Value = int; using Sum = i64; };
template <> struct Numbers<i64> { using Value = i64; using Sum = i64; };
template <> struct Numbers<float> { using Value = float; using Sum = float; };
template <> struct Numbers<bf16> { using Value = float; using Sum = float; };
using value = Numbers<element>::Value;

struct Pixels {
    const element* image;
    __device__ Pixels(const element* image, const float*) : image(image) {}
    __device__ value at(int y, int x, int c) const { return (value)image[(y * ITEM_W + x) * ITEM_C + c]; }
};

// Which pixel shows at a position beyond the edge, -1 for none. BORDER 0: zeros; 1: the edge not repeated; 2: repeated.
template <int BORDER, int SIZE> __device__ __forceinline__ int shown(int at) {
    if (0 <= at && at < SIZE) return at;
    if constexpr (BORDER == 0) return -1;
    constexpr int PERIOD = BORDER == 1 ? (SIZE == 1 ? 1 : 2 * SIZE - 2) : 2 * SIZE;
    at %= PERIOD;
    if (at < 0) at += PERIOD;
    return at < SIZE ? at : (BORDER == 1 ? PERIOD : PERIOD - 1) - at;
}

// (1 - share / 256) * a + share / 256 * b of reals.
__device__ __forceinline__ float mean(int share, float a, float b) {
    return rounded_sum(rounded_product((256 - share) / 256.0f, a), rounded_product(share / 256.0f, b));
}

// The mean of four pixels, the second column's share being a / 256 and the second row's b / 256.
__device__ __forceinline__ float mean_of(int b, int a, const float (&p)[4]) {
    return mean(b, mean(a, p[0], p[1]), mean(a, p[2], p[3]));
}
template <class Sum> __device__ __forceinline__ Sum mean_of(int b, int a, const Sum (&p)[4]) {
    const Sum upper = (256 - a) * p[0] + a * p[1], lower = (256 - a) * p[2] + a * p[3];
    return ((256 - b) * upper + b * lower + (1 << 15)) >> 16;
}

// Linear between four pixels.
template <class Pixel> __device__ __forceinline__ value between(i64 y, i64 x, Pixel pixel) {
    const int top = (int)(y >> 8), left = (int)(x >> 8);
    const Numbers<element>::Sum pixels[4] = {
        pixel(top, left), pixel(top, left + 1), pixel(top + 1, left), pixel(top + 1, left + 1)};
    return (value)mean_of((int)(y & 255), (int)(x & 255), pixels);
}

template <class Below, int H, int W, int ROWS, int COLUMNS, int PAD, int BORDER, bool CENTRE, int COLUMN> struct Crop {
    Below below;
    int top, left;
    __device__ Crop(const element* image, const float* u) : below(image, u) {
        constexpr int DOWN = H + 2 * PAD - ROWS + 1, ACROSS = W + 2 * PAD - COLUMNS + 1;
        top = (CENTRE ? (DOWN - 1) / 2 : chosen(u[COLUMN], DOWN)) - PAD;
        left = (CENTRE ? (ACROSS - 1) / 2 : chosen(u[COLUMN + 1], ACROSS)) - PAD;
    }
    __device__ value at(int y, int x, int c) const {
        y = shown<BORDER, H>(y + top);
        x = shown<BORDER, W>(x + left);
        return y < 0 || x < 0 ? (value)0 : below.at(y, x, c);
    }
};

template <class Below, int W, int COLUMN> struct FlipHorizontal {
    Below below;
    bool mirrored;
    __device__ FlipHorizontal(const element* image, const float* u) : below(image, u), mirrored(chosen(u[COLUMN], 2) == 0) {}
    __device__ value at(int y, int x, int c) const { return below.at(y, mirrored ? W - 1 - x : x, c); }
};

template <class Below, int H, int COLUMN> struct FlipVertical {
    Below below;
    bool mirrored;
    __device__ FlipVertical(const element* image, const float* u) : below(image, u), mirrored(chosen(u[COLUMN], 2) == 0) {}
    __device__ value at(int y, int x, int c) const { return below.at(mirrored ? H - 1 - y : y, x, c); }
};

template <class Below, int H, int W, int SIZE, int VALUE, int COLUMN> struct Cutout {
    Below below;
    int top, left;
    __device__ Cutout(const element* image, const float* u)
        : below(image, u), top(chosen(u[COLUMN], H) - SIZE / 2), left(chosen(u[COLUMN + 1], W) - SIZE / 2) {}
    __device__ value at(int y, int x, int c) const {
        const bool hit = top <= y && y - top < SIZE && left <= x && x - left < SIZE;
        return hit ? (value)VALUE : below.at(y, x, c);
    }
};

// Table: cosine and sine of each angle in 1/65536.
template <class Below, int H, int W, class Table, int COLUMN> struct Rotate {
    Below below;
    i64 cosine, sine;
    __device__ Rotate(const element* image, const float* u) : below(image, u) {
        const int turn = chosen(u[COLUMN], 1024);
        cosine = Table::at(2 * turn), sine = Table::at(2 * turn + 1);
    }
    __device__ value at(int y, int x, int c) const {
        // Twice the distance from the middle; then 1/131072 of a pixel, and 1/256.
        const i64 dy = 2 * y - (H - 1), dx = 2 * x - (W - 1);
        const i64 from_y = (cosine * dy - sine * dx + (i64)(H - 1) * 65536) >> 9;
        const i64 from_x = (sine * dy + cosine * dx + (i64)(W - 1) * 65536) >> 9;
        return between(from_y, from_x, [&](int y, int x) -> value {
            return 0 <= y && y < H && 0 <= x && x < W ? below.at(y, x, c) : (value)0;
        });
    }
};

// Table: height and width of each part.
template <class Below, int H, int W, int ROWS, int COLUMNS, bool CENTRE, class Table, int COLUMN> struct ResizedCrop {
    Below below;
    int high, wide, top, left;
    __device__ ResizedCrop(const element* image, const float* u) : below(image, u) {
        const int part = CENTRE ? 0 : chosen(u[COLUMN], 1024);
        high = Table::at(2 * part), wide = Table::at(2 * part + 1);
        top = CENTRE ? (H - high) / 2 : chosen(u[COLUMN + 1], H - high + 1);
        left = CENTRE ? (W - wide) / 2 : chosen(u[COLUMN + 2], W - wide + 1);
    }
    static __device__ i64 along(int at, int part, int size) {
        const i64 place = (i64)(2 * at + 1) * part * 128 / size - 128, last = (i64)(part - 1) << 8;
        return place < 0 ? 0 : place < last ? place : last;
    }
    __device__ value at(int y, int x, int c) const {
        return between(along(y, high, ROWS), along(x, wide, COLUMNS), [&](int y, int x) -> value {
            return below.at((y < high ? y : high - 1) + top, (x < wide ? x : wide - 1) + left, c);
        });
    }
};

// How far each factor can move, in 1/65536.
template <class Below, int BRIGHTNESS, int CONTRAST, int SATURATION, int COLUMN> struct ColorJitter {
    Below below;
    int bright, contrasted, saturated;
    static __device__ int factor(float u, i64 reach) {
        const i64 drawn = chosen(u, 1 << 24);
        return 65536 + (int)((reach * (2 * drawn - (1 << 24))) >> 24);
    }
    static __device__ int around(int value, int middle, int factor) {
        const int moved = ((value - middle) * factor + (middle << 16) + (1 << 15)) >> 16;
        return moved < 0 ? 0 : moved < 255 ? moved : 255;
    }
    __device__ ColorJitter(const element* image, const float* u) : below(image, u) {
        bright = factor(u[COLUMN], BRIGHTNESS), contrasted = factor(u[COLUMN + 1], CONTRAST);
        saturated = factor(u[COLUMN + 2], SATURATION);
    }
    __device__ int toned(int y, int x, int c) const { return around(around((int)below.at(y, x, c), 0, bright), 128, contrasted); }
    __device__ value at(int y, int x, int c) const {
        if constexpr (ITEM_C == 3 && SATURATION != 0) {
            const int rgb[3] = {toned(y, x, 0), toned(y, x, 1), toned(y, x, 2)};
            return around(rgb[c], (299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000, saturated);
        } else {
            return toned(y, x, c);
        }
    }
};
