// Planes and panels with AVX-512 (BW): blocks of 16 words by 16, see kv_planes_avx2.c. Shapes that are no such blocks are left to AVX2.
#include "kv.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)

#include "kv_avx512.h"

#define SIDE 16                 // words of a block's row

INLINE __m512 first_of(__m512i pairs) { return as_float(_mm512_slli_epi32(pairs, 16)); }
INLINE __m512 second_of(__m512i pairs) { return as_float(_mm512_and_si512(pairs, words(0xffff0000))); }

// Rounded to bf16 in the upper halves; the lower halves are undefined.
INLINE __m512i round_bf16(__m512 x) {
    const __m512i u = as_bits(x), odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), words(1));
    const __m512i rounded = _mm512_add_epi32(u, _mm512_add_epi32(odd, words(0x7fff)));
    return _mm512_mask_or_epi32(rounded, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), u, words(0x400000));
}

// Rows become columns.
INLINE void transpose_words(__m512i x[16]) {
    __m512i y[16];
    UNROLL for (size_t i = 0; i < 16; i += 2) {
        y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
        y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
    }
    // x[4g + k] gets columns k, 4 + k, 8 + k and 12 + k of rows 4g..4g+3.
    UNROLL for (size_t i = 0; i < 16; i += 4)
        UNROLL for (size_t j = 0; j < 2; j++) {
            x[i + 2 * j] = _mm512_unpacklo_epi64(y[i + j], y[i + 2 + j]);
            x[i + 2 * j + 1] = _mm512_unpackhi_epi64(y[i + j], y[i + 2 + j]);
        }
    UNROLL for (size_t k = 0; k < 4; k++) {
        const __m512i a = _mm512_shuffle_i32x4(x[k], x[4 + k], 0x88), b = _mm512_shuffle_i32x4(x[k], x[4 + k], 0xdd);
        const __m512i c = _mm512_shuffle_i32x4(x[8 + k], x[12 + k], 0x88), d = _mm512_shuffle_i32x4(x[8 + k], x[12 + k], 0xdd);
        x[k] = _mm512_shuffle_i32x4(a, c, 0x88);
        x[4 + k] = _mm512_shuffle_i32x4(b, d, 0x88);
        x[8 + k] = _mm512_shuffle_i32x4(a, c, 0xdd);
        x[12 + k] = _mm512_shuffle_i32x4(b, d, 0xdd);
    }
}

INLINE void split_load(const uint16_t *panel, size_t across, size_t pairs, size_t count, float *out, size_t stride) {
    for (size_t a = 0; a < pairs; a++, panel += 2 * across, out += 2 * stride)
        for (size_t b = 0; b < count; b += SIDE) {
            const __m512i x = load_64(panel + 2 * b);
            _mm512_storeu_ps(out + b, first_of(x));
            _mm512_storeu_ps(out + stride + b, second_of(x));
        }
}

INLINE void split_store(const float *in, size_t stride, size_t across, size_t pairs, size_t count, uint16_t *panel) {
    for (size_t a = 0; a < pairs; a++, panel += 2 * across, in += 2 * stride)
        for (size_t b = 0; b < count; b += SIDE) {
            const __m512i even = round_bf16(_mm512_loadu_ps(in + b)), odd = round_bf16(_mm512_loadu_ps(in + stride + b));
            store_64(panel + 2 * b, _mm512_mask_mov_epi16(_mm512_srli_epi32(even, 16), 0xaaaaaaaa, odd));
        }
}

INLINE void turn_load(const uint16_t *panel, size_t across, size_t pairs, size_t count, float *out, size_t stride) {
    const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23), high = _mm512_add_epi32(low, words(8));
    for (size_t b = 0; b < count; b += SIDE)
        for (size_t a = 0; a < pairs; a += SIDE) {
            __m512i x[SIDE];
            UNROLL for (size_t i = 0; i < SIDE; i++) x[i] = load_64(panel + 2 * ((a + i) * across + b));
            transpose_words(x);
            UNROLL for (size_t i = 0; i < SIDE; i++) {
                float *to = out + (b + i) * stride + 2 * a;
                _mm512_storeu_ps(to, _mm512_permutex2var_ps(first_of(x[i]), low, second_of(x[i])));
                _mm512_storeu_ps(to + SIDE, _mm512_permutex2var_ps(first_of(x[i]), high, second_of(x[i])));
            }
        }
}

INLINE void turn_store(const float *in, size_t stride, size_t across, size_t pairs, size_t count, uint16_t *panel) {
    uint16_t upper[32];
    for (size_t i = 0; i < 32; i++) upper[i] = (uint16_t)(2 * i + 1);
    const __m512i halves = load_64(upper);
    for (size_t a = 0; a < pairs; a += SIDE)
        for (size_t b = 0; b < count; b += SIDE) {
            __m512i x[SIDE];
            UNROLL for (size_t i = 0; i < SIDE; i++) {
                const float *from = in + (b + i) * stride + 2 * a;
                x[i] = _mm512_permutex2var_epi16(round_bf16(_mm512_loadu_ps(from)), halves, round_bf16(_mm512_loadu_ps(from + SIDE)));
            }
            transpose_words(x);
            UNROLL for (size_t i = 0; i < SIDE; i++) store_64(panel + 2 * ((a + i) * across + b), x[i]);
        }
}

// Whether a plane is made of blocks. Values need whole pairs of tokens; rows of words are whole where they run along a plane's rows.
INLINE bool is_whole(ck_side side, size_t first, size_t tokens, size_t dimension, bool transposed) {
    if (side == CK_KEYS) return tokens % SIDE == 0 && (transposed || dimension % (2 * SIDE) == 0);
    return first % 2 == 0 && tokens % (transposed ? 2 * SIDE : 2) == 0 && dimension % SIDE == 0;
}

static void load(ck_side side, const uint16_t *panel, size_t first, size_t tokens, size_t dimension, bool transposed, float *plane,
                 size_t stride) {
    if (!is_whole(side, first, tokens, dimension, transposed)) {
        ck_kv_planes_avx2.load(side, panel, first, tokens, dimension, transposed, plane, stride);
    } else if (side == CK_KEYS) {
        if (transposed) split_load(panel + 2 * first, CK_PANEL, dimension / 2, tokens, plane, stride);
        else turn_load(panel + 2 * first, CK_PANEL, dimension / 2, tokens, plane, stride);
    } else {
        if (transposed) turn_load(panel + first * dimension, dimension, tokens / 2, dimension, plane, stride);
        else split_load(panel + first * dimension, dimension, tokens / 2, dimension, plane, stride);
    }
}

static void store(ck_side side, const float *plane, size_t stride, bool transposed, size_t first, size_t tokens, size_t dimension,
                  uint16_t *panel) {
    if (!is_whole(side, first, tokens, dimension, transposed)) {
        ck_kv_planes_avx2.store(side, plane, stride, transposed, first, tokens, dimension, panel);
    } else if (side == CK_KEYS) {
        if (transposed) split_store(plane, stride, CK_PANEL, dimension / 2, tokens, panel + 2 * first);
        else turn_store(plane, stride, CK_PANEL, dimension / 2, tokens, panel + 2 * first);
    } else {
        if (transposed) turn_store(plane, stride, dimension, tokens / 2, dimension, panel + first * dimension);
        else split_store(plane, stride, dimension, tokens / 2, dimension, panel + first * dimension);
    }
}

static void unpack(ck_side side, const uint16_t *panel, size_t first, size_t tokens, size_t dimension, uint16_t *out, size_t out_stride) {
    ck_kv_planes_avx2.unpack(side, panel, first, tokens, dimension, out, out_stride);
}

static void pack(ck_side side, const uint16_t *in, size_t in_stride, size_t first, size_t tokens, size_t dimension, uint16_t *panel) {
    ck_kv_planes_avx2.pack(side, in, in_stride, first, tokens, dimension, panel);
}

static void transpose(const float *in, size_t in_stride, size_t rows, size_t columns, float *out, size_t out_stride) {
    ck_kv_planes_avx2.transpose(in, in_stride, rows, columns, out, out_stride);
}

static void transpose_symbols(const uint8_t *in, size_t rows, size_t columns, uint8_t *out) {
    ck_kv_planes_avx2.transpose_symbols(in, rows, columns, out);
}

const ck_kv_planes ck_kv_planes_avx512 = {load, store, unpack, pack, transpose, transpose_symbols};

#pragma clang attribute pop
#endif
