// Planes and panels with AVX2. A panel is a matrix of words, each two bf16: of keys [dimension / 2][64 tokens], of values [32 token pairs]
// [dimension]. A plane has the pairs either apart, in neighbouring rows (`split`), or side by side in a row (`turn`).
#include "kv.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)

#include "kv_avx2.h"

INLINE uint32_t word_at(const uint16_t *p) {
    uint32_t word;
    memcpy(&word, p, 4);
    return word;
}
INLINE float float_of(uint32_t bits) {
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

// Words [pairs][`across` apart] of which `count` in a row -> out[2 * pairs][stride].
INLINE void split_load(const uint16_t *panel, size_t across, size_t pairs, size_t count, float *out, size_t stride) {
    for (size_t a = 0; a < pairs; a++, panel += 2 * across, out += 2 * stride) {
        size_t b = 0;
        for (; b + 8 <= count; b += 8) {
            const __m256i x = load_32(panel + 2 * b);
            _mm256_storeu_ps(out + b, first_of(x));
            _mm256_storeu_ps(out + stride + b, second_of(x));
        }
        for (; b < count; b++) {
            const uint32_t word = word_at(panel + 2 * b);
            out[b] = float_of(word << 16);
            out[stride + b] = float_of(word & 0xffff0000);
        }
    }
}

INLINE void split_store(const float *in, size_t stride, size_t across, size_t pairs, size_t count, uint16_t *panel) {
    for (size_t a = 0; a < pairs; a++, panel += 2 * across, in += 2 * stride) {
        size_t b = 0;
        for (; b + 8 <= count; b += 8) store_32(panel + 2 * b, pairs_of(_mm256_loadu_ps(in + b), _mm256_loadu_ps(in + stride + b)));
        for (; b < count; b++) {
            panel[2 * b] = ck_float_bf16(in[b]);
            panel[2 * b + 1] = ck_float_bf16(in[stride + b]);
        }
    }
}

// Four floats of row i and four of row i + 4.
INLINE void store_halves(float *out, size_t stride, __m256 x) {
    _mm_storeu_ps(out, _mm256_castps256_ps128(x));
    _mm_storeu_ps(out + 4 * stride, _mm256_extractf128_ps(x, 1));
}

// Words [pairs][across] -> out[count][stride], of which 2 * pairs in a row.
INLINE void turn_load(const uint16_t *panel, size_t across, size_t pairs, size_t count, float *out, size_t stride) {
    const size_t whole_pairs = pairs / 8 * 8, whole = count / 8 * 8;
    for (size_t b = 0; b < whole; b += 8)
        for (size_t a = 0; a < whole_pairs; a += 8) {
            __m256i x[8];
            UNROLL for (size_t i = 0; i < 8; i++) x[i] = load_32(panel + 2 * ((a + i) * across + b));
            transpose_halves(x);
            float *to = out + b * stride + 2 * a;
            UNROLL for (size_t i = 0; i < 4; i++, to += stride)
                UNROLL for (size_t half = 0; half < 2; half++) {
                    const __m256 even = first_of(x[i + 4 * half]), odd = second_of(x[i + 4 * half]);
                    store_halves(to + 8 * half, stride, _mm256_unpacklo_ps(even, odd));
                    store_halves(to + 8 * half + 4, stride, _mm256_unpackhi_ps(even, odd));
                }
        }
    for (size_t b = 0; b < count; b++)
        for (size_t a = b < whole ? whole_pairs : 0; a < pairs; a++) {
            const uint32_t word = word_at(panel + 2 * (a * across + b));
            out[b * stride + 2 * a] = float_of(word << 16);
            out[b * stride + 2 * a + 1] = float_of(word & 0xffff0000);
        }
}

INLINE void turn_store(const float *in, size_t stride, size_t across, size_t pairs, size_t count, uint16_t *panel) {
    const size_t whole_pairs = pairs / 8 * 8, whole = count / 8 * 8;
    for (size_t a = 0; a < whole_pairs; a += 8)
        for (size_t b = 0; b < whole; b += 8) {
            __m256i x[8];
            UNROLL for (size_t i = 0; i < 8; i++) {
                const float *from = in + (b + i) * stride + 2 * a;
                const __m256 low = _mm256_loadu_ps(from), high = _mm256_loadu_ps(from + 8);
                // Pairs 0, 1, 4, 5 and 2, 3, 6, 7.
                x[i] = pairs_of(_mm256_shuffle_ps(low, high, 0x88), _mm256_shuffle_ps(low, high, 0xdd));
            }
            transpose_words(x);
            static const uint8_t pair[8] = {0, 1, 4, 5, 2, 3, 6, 7};
            UNROLL for (size_t i = 0; i < 8; i++) store_32(panel + 2 * ((a + pair[i]) * across + b), x[i]);
        }
    for (size_t b = 0; b < count; b++)
        for (size_t a = b < whole ? whole_pairs : 0; a < pairs; a++) {
            uint16_t *to = panel + 2 * (a * across + b);
            to[0] = ck_float_bf16(in[b * stride + 2 * a]);
            to[1] = ck_float_bf16(in[b * stride + 2 * a + 1]);
        }
}

// Tokens of a page whose pairs are whole, and the single ones before and behind them, of values.
typedef struct Tokens {
    size_t before, pairs, behind;
} Tokens;
INLINE Tokens tokens_of(size_t first, size_t tokens) {
    const size_t before = tokens && first % 2;
    return (Tokens){before, (tokens - before) / 2, (tokens - before) % 2};
}

static void load(ck_side side, const uint16_t *panel, size_t first, size_t tokens, size_t dimension, bool transposed, float *plane,
                 size_t stride) {
    if (side == CK_KEYS) {
        if (transposed) split_load(panel + 2 * first, CK_PANEL, dimension / 2, tokens, plane, stride);
        else turn_load(panel + 2 * first, CK_PANEL, dimension / 2, tokens, plane, stride);
        return;
    }
    const Tokens t = tokens_of(first, tokens);
    const size_t step = transposed ? 1 : stride;
    const uint16_t *from = panel + (first + t.before) * dimension;
    float *to = plane + t.before * step;
    if (transposed) turn_load(from, dimension, t.pairs, dimension, to, stride);
    else split_load(from, dimension, t.pairs, dimension, to, stride);
    ck_kv_planes_scalar.load(side, panel, first, t.before, dimension, transposed, plane, stride);
    const size_t end = tokens - t.behind;
    ck_kv_planes_scalar.load(side, panel, first + end, t.behind, dimension, transposed, plane + end * step, stride);
}

static void store(ck_side side, const float *plane, size_t stride, bool transposed, size_t first, size_t tokens, size_t dimension,
                  uint16_t *panel) {
    if (side == CK_KEYS) {
        if (transposed) split_store(plane, stride, CK_PANEL, dimension / 2, tokens, panel + 2 * first);
        else turn_store(plane, stride, CK_PANEL, dimension / 2, tokens, panel + 2 * first);
        return;
    }
    const Tokens t = tokens_of(first, tokens);
    const size_t step = transposed ? 1 : stride;
    const float *from = plane + t.before * step;
    uint16_t *to = panel + (first + t.before) * dimension;
    if (transposed) turn_store(from, stride, dimension, t.pairs, dimension, to);
    else split_store(from, stride, dimension, t.pairs, dimension, to);
    ck_kv_planes_scalar.store(side, plane, stride, transposed, first, t.before, dimension, panel);
    const size_t end = tokens - t.behind;
    ck_kv_planes_scalar.store(side, plane + end * step, stride, transposed, first + end, t.behind, dimension, panel);
}

// ---- As they are --------------------------------------------------------------------------------------------------------------

// Words in[rows][in_stride] -> out[columns][out_stride]; strides in bytes.
INLINE void turn_words(const void *in, size_t in_stride, size_t rows, size_t columns, void *out, size_t out_stride) {
    const char *from = in;
    char *to = out;
    const size_t whole_rows = rows / 8 * 8, whole = columns / 8 * 8;
    for (size_t c = 0; c < whole; c += 8)
        for (size_t r = 0; r < whole_rows; r += 8) {
            __m256i x[8];
            UNROLL for (size_t i = 0; i < 8; i++) x[i] = load_32(from + (r + i) * in_stride + 4 * c);
            transpose_words(x);
            UNROLL for (size_t i = 0; i < 8; i++) store_32(to + (c + i) * out_stride + 4 * r, x[i]);
        }
    for (size_t c = 0; c < columns; c++)
        for (size_t r = c < whole ? whole_rows : 0; r < rows; r++) memcpy(to + c * out_stride + 4 * r, from + r * in_stride + 4 * c, 4);
}

static void unpack(ck_side side, const uint16_t *panel, size_t first, size_t tokens, size_t dimension, uint16_t *out, size_t out_stride) {
    if (side == CK_VALUES) {
        const Tokens t = tokens_of(first, tokens);
        turn_words(panel + (first + t.before) * dimension, 4 * dimension, t.pairs, dimension, out + t.before, 2 * out_stride);
        ck_kv_planes_scalar.unpack(side, panel, first, t.before, dimension, out, out_stride);
        ck_kv_planes_scalar.unpack(side, panel, first + tokens - t.behind, t.behind, dimension, out + tokens - t.behind, out_stride);
        return;
    }
    panel += 2 * first;
    for (size_t d = 0; d < dimension; d += 2, panel += 2 * CK_PANEL, out += 2 * out_stride) {
        size_t t = 0;
        for (; t + 16 <= tokens; t += 16) {
            const __m256i x = load_32(panel + 2 * t), y = load_32(panel + 2 * t + 16), low = words(0xffff);
            const __m256i even = _mm256_packus_epi32(_mm256_and_si256(x, low), _mm256_and_si256(y, low));
            const __m256i odd = _mm256_packus_epi32(_mm256_srli_epi32(x, 16), _mm256_srli_epi32(y, 16));
            store_32(out + t, _mm256_permute4x64_epi64(even, 0xd8));
            store_32(out + out_stride + t, _mm256_permute4x64_epi64(odd, 0xd8));
        }
        for (; t < tokens; t++) {
            out[t] = panel[2 * t];
            out[out_stride + t] = panel[2 * t + 1];
        }
    }
}

static void pack(ck_side side, const uint16_t *in, size_t in_stride, size_t first, size_t tokens, size_t dimension, uint16_t *panel) {
    if (side == CK_VALUES) {
        const Tokens t = tokens_of(first, tokens);
        turn_words(in + t.before, 2 * in_stride, dimension, t.pairs, panel + (first + t.before) * dimension, 4 * dimension);
        ck_kv_planes_scalar.pack(side, in, in_stride, first, t.before, dimension, panel);
        ck_kv_planes_scalar.pack(side, in + tokens - t.behind, in_stride, first + tokens - t.behind, t.behind, dimension, panel);
        return;
    }
    panel += 2 * first;
    for (size_t d = 0; d < dimension; d += 2, panel += 2 * CK_PANEL, in += 2 * in_stride) {
        size_t t = 0;
        for (; t + 16 <= tokens; t += 16) {
            const __m256i even = _mm256_permute4x64_epi64(load_32(in + t), 0xd8);
            const __m256i odd = _mm256_permute4x64_epi64(load_32(in + in_stride + t), 0xd8);
            store_32(panel + 2 * t, _mm256_unpacklo_epi16(even, odd));
            store_32(panel + 2 * t + 16, _mm256_unpackhi_epi16(even, odd));
        }
        for (; t < tokens; t++) {
            panel[2 * t] = in[t];
            panel[2 * t + 1] = in[in_stride + t];
        }
    }
}

static void transpose(const float *in, size_t in_stride, size_t rows, size_t columns, float *out, size_t out_stride) {
    turn_words(in, 4 * in_stride, rows, columns, out, 4 * out_stride);
}

// Sixteen rows of sixteen bytes.
INLINE void turn_bytes(const uint8_t *in, size_t in_stride, uint8_t *out, size_t out_stride) {
    __m128i x[16], y[16];
    UNROLL for (size_t i = 0; i < 16; i++) x[i] = load_16(in + i * in_stride);
    UNROLL for (size_t step = 0; step < 4; step++) {
        // Rows 8 apart are joined byte by byte; after four times each byte is where it belongs.
        UNROLL for (size_t i = 0; i < 8; i++) {
            y[2 * i] = _mm_unpacklo_epi8(x[i], x[i + 8]);
            y[2 * i + 1] = _mm_unpackhi_epi8(x[i], x[i + 8]);
        }
        UNROLL for (size_t i = 0; i < 16; i++) x[i] = y[i];
    }
    UNROLL for (size_t i = 0; i < 16; i++) store_16(out + i * out_stride, x[i]);
}

static void transpose_symbols(const uint8_t *in, size_t rows, size_t columns, uint8_t *out) {
    const size_t whole_rows = rows / 16 * 16, whole = columns / 16 * 16;
    for (size_t c = 0; c < whole; c += 16)
        for (size_t r = 0; r < whole_rows; r += 16) turn_bytes(in + r * columns + c, columns, out + c * rows + r, rows);
    for (size_t c = 0; c < columns; c++)
        for (size_t r = c < whole ? whole_rows : 0; r < rows; r++) out[c * rows + r] = in[r * columns + c];
}

const ck_kv_planes ck_kv_planes_avx2 = {load, store, unpack, pack, transpose, transpose_symbols};

#pragma clang attribute pop
#endif
