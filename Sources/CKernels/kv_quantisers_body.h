// Quantisers in plain C: the specification, and what compilers make vectors of; included by the file of each instruction set, which
// writes the hot ones for itself.

// Rounds 0 <= x < 2^22 to nearest even.
static inline float nearest(float x) { return x + CK_ROUND - CK_ROUND; }

// The greater of x and 0, 0 where x is NaN; the lesser of x and a limit.
static inline float at_least_0(float x) { return x > 0 ? x : 0; }
static inline float at_most(float x, float most) { return x < most ? x : most; }

// ---- Uniform ------------------------------------------------------------------------------------------------------------------

static inline uint8_t symbol_of(float x, float factor, float bias, float top) {
    return (uint8_t)(int32_t)nearest(at_most(at_least_0(fmaf(x, factor, bias)), top));
}

static __attribute__((unused)) void quantise_rows(const float *plane, size_t stride, size_t rows, size_t columns, const float *factor,
                                                  const float *bias, unsigned top, uint8_t *symbols) {
    for (size_t r = 0; r < rows; r++) {
        const float f = factor[r], b = bias[r], most = (float)top;
        for (size_t c = 0; c < columns; c++) symbols[r * columns + c] = symbol_of(plane[r * stride + c], f, b, most);
    }
}

static __attribute__((unused)) void quantise_columns(const float *plane, size_t stride, size_t rows, size_t columns, const float *factor,
                                                     const float *bias, unsigned top, uint8_t *symbols) {
    const float most = (float)top;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) symbols[r * columns + c] = symbol_of(plane[r * stride + c], factor[c], bias[c], most);
}

static __attribute__((unused)) void dequantise_rows(const uint8_t *symbols, size_t rows, size_t columns, const float *step,
                                                    const float *offset, float *plane, size_t stride) {
    for (size_t r = 0; r < rows; r++) {
        const float s = step[r], o = offset[r];
        for (size_t c = 0; c < columns; c++) plane[r * stride + c] = fmaf((float)symbols[r * columns + c], s, o);
    }
}

static __attribute__((unused)) void dequantise_columns(const uint8_t *symbols, size_t rows, size_t columns, const float *step,
                                                       const float *offset, float *plane, size_t stride) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) plane[r * stride + c] = fmaf((float)symbols[r * columns + c], step[c], offset[c]);
}

// ---- Dead zone ----------------------------------------------------------------------------------------------------------------

static inline int32_t dead_zone_q(float x, float factor, float rounding) {
    const float product = fabsf(x) * factor;
    const int32_t q = (int32_t)at_most(at_least_0(product + rounding), KV_WIDEST);
    return signbit(x) ? -q : q;
}

static inline uint8_t dead_zone_symbol(int32_t q) { return (uint8_t)((uint32_t)(q + KV_NEAR) < KV_FAR ? q + KV_NEAR : KV_FAR); }

static __attribute__((unused)) size_t deadzone(const float *plane, size_t stride, size_t rows, size_t columns, const float *factor,
                                               float rounding, uint8_t *symbols, int16_t *wide) {
    size_t count = 0;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) {
            const int32_t q = dead_zone_q(plane[r * stride + c], factor[r], rounding);
            const uint8_t symbol = dead_zone_symbol(q);
            symbols[r * columns + c] = symbol;
            if (symbol == KV_FAR) wide[count++] = (int16_t)q;
        }
    return count;
}

static inline float dead_zone_value(int32_t q, float step, float pull) {
    if (q == 0) return 0;
    const float magnitude = (float)(q < 0 ? -q : q) - pull;
    return (q < 0 ? -magnitude : magnitude) * step;
}

static __attribute__((unused)) bool undeadzone(const uint8_t *symbols, size_t rows, size_t columns, const float *step, float pull,
                                               const int16_t *wide, size_t count, float *plane, size_t stride) {
    size_t taken = 0;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) {
            const uint8_t symbol = symbols[r * columns + c];
            if (symbol > KV_FAR || (symbol == KV_FAR && taken == count)) return false;
            plane[r * stride + c] = dead_zone_value(symbol == KV_FAR ? wide[taken++] : symbol - KV_NEAR, step[r], pull);
        }
    return taken == count;
}

// ---- Codebooks ----------------------------------------------------------------------------------------------------------------

static __attribute__((unused)) void codebook(const float *plane, size_t stride, size_t rows, size_t columns, const float *factor,
                                             const float *thresholds, size_t count, uint8_t *symbols) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) {
            const float x = plane[r * stride + c] * factor[r];
            unsigned below = 0;
            for (size_t i = 0; i < count; i++) below += thresholds[i] < x;
            symbols[r * columns + c] = (uint8_t)below;
        }
}

static __attribute__((unused)) void look_up(const uint8_t *symbols, size_t rows, size_t columns, const float *levels, const float *step,
                                            float *plane, size_t stride) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) plane[r * stride + c] = levels[symbols[r * columns + c]] * step[r];
}

// ---- FP8 ----------------------------------------------------------------------------------------------------------------------

#define FP8_NORMAL 0x1p-6f      // the least normal number
#define FP8_UNIT 0x1p14f        // the f32 whose last bit is worth the least FP8, 2^-9

static inline uint8_t fp8_of(float x) {
    uint32_t bits, small, unit;
    memcpy(&bits, &x, 4);
    const uint32_t sign = bits >> 24 & 0x80;
    const float magnitude = at_most(fabsf(x), 448), shifted = magnitude + FP8_UNIT, scale = FP8_UNIT;
    memcpy(&bits, &magnitude, 4);
    memcpy(&small, &shifted, 4);
    memcpy(&unit, &scale, 4);
    // Eight exponents less than f32 has for the same bits: (127 - 7) << 3.
    const uint32_t normal = ((bits + 0x7ffff + (bits >> 20 & 1)) >> 20) - 960, code = magnitude < FP8_NORMAL ? small - unit : normal;
    return (uint8_t)(x != x ? 0x7f : sign | code);
}

static inline float fp8_value(uint8_t code) {
    const uint32_t magnitude = code & 0x7f, sign = (uint32_t)(code & 0x80) << 24;
    const float small = (float)(int32_t)magnitude * 0x1p-9f;
    uint32_t bits;
    memcpy(&bits, &small, 4);
    bits = magnitude < 8 ? bits : magnitude == 0x7f ? 0x7fc00000 : (magnitude << 20) + (120u << 23);
    bits |= sign;
    float x;
    memcpy(&x, &bits, 4);
    return x;
}

static __attribute__((unused)) void to_fp8(const float *plane, size_t stride, size_t rows, size_t columns, const float *row,
                                           const float *column, uint8_t *symbols) {
    for (size_t r = 0; r < rows; r++) {
        const float factor = row[r];
        for (size_t c = 0; c < columns; c++) symbols[r * columns + c] = fp8_of(plane[r * stride + c] * factor * column[c]);
    }
}

static __attribute__((unused)) void from_fp8(const uint8_t *symbols, size_t rows, size_t columns, const float *row, const float *column,
                                             float *plane, size_t stride) {
    for (size_t r = 0; r < rows; r++) {
        const float factor = row[r];
        for (size_t c = 0; c < columns; c++) plane[r * stride + c] = fp8_value(symbols[r * columns + c]) * factor * column[c];
    }
}

// ---- Prediction ---------------------------------------------------------------------------------------------------------------

#define PREDICTED_COLUMNS 64    // whose values are kept at a time

static inline float rounded_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    bits = x != x ? bits | 0x400000 : bits + 0x7fff + (bits >> 16 & 1);
    bits &= 0xffff0000;
    memcpy(&x, &bits, 4);
    return x;
}

// The first symbol KV_EXACT of a row from a column on, else its end. Most rows have few.
static inline size_t next_exact(const uint8_t *symbols, size_t from, size_t columns) {
    for (; from + 8 <= columns; from += 8) {
        uint64_t word;
        memcpy(&word, symbols + from, 8);
        word = ~word;
        if ((word - 0x0101010101010101) & ~word & 0x8080808080808080) break;    // some byte is 0
    }
    while (from < columns && symbols[from] != KV_EXACT) from++;
    return from;
}

static inline float predicted(int32_t q, float twice, float before) { return rounded_bf16(fmaf((float)q, twice, before)); }

// The symbol of x; `value` becomes what the decoder has before and after it.
static inline uint8_t predict_symbol(float x, float bound, float twice, float *value) {
    const float steps = (x - *value) / twice, magnitude = nearest(at_most(at_least_0(fabsf(steps)), KV_STEPS + 1));
    const int32_t whole = (int32_t)magnitude, q = signbit(steps) ? -whole : whole;
    const float there = predicted(q, twice, *value);
    // A division by 0 of 0 has given NaN, hence q = 0, which is exact if x is.
    const bool near = (whole <= KV_STEPS) & (fabsf(there - x) <= bound);
    *value = near ? there : rounded_bf16(x);
    return (uint8_t)(near ? q + KV_STEPS : KV_EXACT);
}

static __attribute__((unused)) size_t predict(const float *plane, size_t stride, size_t rows, size_t columns, float bound, uint8_t *symbols,
                                              uint16_t *exact) {
    const float twice = 2 * bound;
    for (size_t first = 0; first < columns; first += PREDICTED_COLUMNS) {
        const size_t some = columns - first < PREDICTED_COLUMNS ? columns - first : PREDICTED_COLUMNS;
        float value[PREDICTED_COLUMNS] = {0};
        for (size_t r = 0; r < rows; r++)
            for (size_t j = 0; j < some; j++)
                symbols[r * columns + first + j] = predict_symbol(plane[r * stride + first + j], bound, twice, value + j);
    }
    size_t count = 0;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = next_exact(symbols + r * columns, 0, columns); c < columns; c = next_exact(symbols + r * columns, c + 1, columns))
            exact[count++] = ck_float_bf16(plane[r * stride + c]);
    return count;
}

static __attribute__((unused)) bool unpredict(const uint8_t *symbols, size_t rows, size_t columns, float bound, const uint16_t *exact,
                                              size_t count, float *plane, size_t stride) {
    size_t taken = 0;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = next_exact(symbols + r * columns, 0, columns); c < columns; c = next_exact(symbols + r * columns, c + 1, columns)) {
            if (taken == count) return false;
            plane[r * stride + c] = ck_bf16_float(exact[taken++]);
        }
    if (taken != count) return false;
    const float twice = 2 * bound;
    for (size_t first = 0; first < columns; first += PREDICTED_COLUMNS) {
        const size_t some = columns - first < PREDICTED_COLUMNS ? columns - first : PREDICTED_COLUMNS;
        float value[PREDICTED_COLUMNS] = {0};
        for (size_t r = 0; r < rows; r++)
            for (size_t j = 0; j < some; j++) {
                const uint8_t symbol = symbols[r * columns + first + j];
                float *x = plane + r * stride + first + j;
                const float there = predicted((int32_t)symbol - KV_STEPS, twice, value[j]);
                value[j] = symbol == KV_EXACT ? *x : there;
                *x = value[j];
            }
    }
    return true;
}
