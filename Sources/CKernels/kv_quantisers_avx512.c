// Quantisers with AVX-512 (BW, DQ, VL): 64 columns at a time; what is left of a row is coded as with AVX2.
#include "kv.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)

#include "kv_avx512.h"
#include "kv_quantisers_body.h"

#define WHOLE 64                // columns

INLINE __m512 load_floats(const uint8_t *symbols) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)symbols)));
}

// Columns that are coded here; a plane with others is left to AVX2.
INLINE bool is_whole(size_t columns) { return columns % WHOLE == 0; }

// ---- Uniform ------------------------------------------------------------------------------------------------------------------

// The greater of x and 0, 0 where x is NaN, but `top` at most, rounded.
INLINE __m512i symbols_of(__m512 x, __m512 factor, __m512 bias, __m512 top) {
    const __m512 y = _mm512_max_ps(_mm512_fmadd_ps(x, factor, bias), _mm512_setzero_ps());
    return _mm512_cvtps_epi32(_mm512_min_ps(y, top));
}

static void quantise_rows_avx512(const float *plane, size_t stride, size_t rows, size_t columns, const float *factor, const float *bias,
                                 unsigned top, uint8_t *symbols) {
    if (!is_whole(columns)) {
        ck_kv_quantisers_avx2.quantise_rows(plane, stride, rows, columns, factor, bias, top, symbols);
        return;
    }
    const __m512 most = _mm512_set1_ps((float)top);
    for (size_t r = 0; r < rows; r++, plane += stride, symbols += columns) {
        const __m512 f = _mm512_set1_ps(factor[r]), b = _mm512_set1_ps(bias[r]);
        for (size_t c = 0; c < columns; c += WHOLE) {
            __m512i x[4];
            UNROLL for (size_t i = 0; i < 4; i++) x[i] = symbols_of(_mm512_loadu_ps(plane + c + 16 * i), f, b, most);
            store_64(symbols + c, bytes_of(x));
        }
    }
}

static void quantise_columns_avx512(const float *plane, size_t stride, size_t rows, size_t columns, const float *factor, const float *bias,
                                    unsigned top, uint8_t *symbols) {
    if (!is_whole(columns)) {
        ck_kv_quantisers_avx2.quantise_columns(plane, stride, rows, columns, factor, bias, top, symbols);
        return;
    }
    const __m512 most = _mm512_set1_ps((float)top);
    for (size_t c = 0; c < columns; c += WHOLE) {
        __m512 f[4], b[4];
        UNROLL for (size_t i = 0; i < 4; i++) f[i] = _mm512_loadu_ps(factor + c + 16 * i), b[i] = _mm512_loadu_ps(bias + c + 16 * i);
        for (size_t r = 0; r < rows; r++) {
            __m512i x[4];
            UNROLL for (size_t i = 0; i < 4; i++) x[i] = symbols_of(_mm512_loadu_ps(plane + r * stride + c + 16 * i), f[i], b[i], most);
            store_64(symbols + r * columns + c, bytes_of(x));
        }
    }
}

static void dequantise_rows_avx512(const uint8_t *symbols, size_t rows, size_t columns, const float *step, const float *offset,
                                   float *plane, size_t stride) {
    if (!is_whole(columns)) {
        ck_kv_quantisers_avx2.dequantise_rows(symbols, rows, columns, step, offset, plane, stride);
        return;
    }
    for (size_t r = 0; r < rows; r++, plane += stride, symbols += columns) {
        const __m512 s = _mm512_set1_ps(step[r]), o = _mm512_set1_ps(offset[r]);
        for (size_t c = 0; c < columns; c += 16) _mm512_storeu_ps(plane + c, _mm512_fmadd_ps(load_floats(symbols + c), s, o));
    }
}

static void dequantise_columns_avx512(const uint8_t *symbols, size_t rows, size_t columns, const float *step, const float *offset,
                                      float *plane, size_t stride) {
    if (!is_whole(columns)) {
        ck_kv_quantisers_avx2.dequantise_columns(symbols, rows, columns, step, offset, plane, stride);
        return;
    }
    for (size_t c = 0; c < columns; c += 16) {
        const __m512 s = _mm512_loadu_ps(step + c), o = _mm512_loadu_ps(offset + c);
        for (size_t r = 0; r < rows; r++)
            _mm512_storeu_ps(plane + r * stride + c, _mm512_fmadd_ps(load_floats(symbols + r * columns + c), s, o));
    }
}

// ---- Dead zone ----------------------------------------------------------------------------------------------------------------

// q, its sign that of x.
INLINE __m512i dead_zone_qs(__m512 x, __m512 factor, __m512 rounding) {
    const __m512 magnitude = as_float(_mm512_and_si512(as_bits(x), words(0x7fffffff)));
    __m512 q = _mm512_add_ps(_mm512_mul_ps(magnitude, factor), rounding);
    q = _mm512_min_ps(_mm512_max_ps(q, _mm512_setzero_ps()), _mm512_set1_ps(KV_WIDEST));
    const __m512i whole = _mm512_cvttps_epi32(q);
    return _mm512_mask_sub_epi32(whole, _mm512_movepi32_mask(as_bits(x)), _mm512_setzero_si512(), whole);
}

static size_t deadzone_avx512(const float *plane, size_t stride, size_t rows, size_t columns, const float *factor, float rounding,
                              uint8_t *symbols, int16_t *wide) {
    if (!is_whole(columns)) return ck_kv_quantisers_avx2.deadzone(plane, stride, rows, columns, factor, rounding, symbols, wide);
    const __m512 half = _mm512_set1_ps(rounding);
    int16_t *end = wide;
    for (size_t r = 0; r < rows; r++, plane += stride, symbols += columns) {
        const __m512 f = _mm512_set1_ps(factor[r]);
        for (size_t c = 0; c < columns; c += WHOLE) {
            __m512i q[4], s[4];
            UNROLL for (size_t i = 0; i < 4; i++) {
                q[i] = dead_zone_qs(_mm512_loadu_ps(plane + c + 16 * i), f, half);
                s[i] = _mm512_min_epu32(_mm512_add_epi32(q[i], words(KV_NEAR)), words(KV_FAR));
            }
            const __m512i all = bytes_of(s);
            store_64(symbols + c, all);
            uint64_t some = _mm512_cmpeq_epi8_mask(all, _mm512_set1_epi8(KV_FAR));
            if (__builtin_expect(some == 0, 1)) continue;
            int32_t each[WHOLE];
            UNROLL for (size_t i = 0; i < 4; i++) store_64(each + 16 * i, q[i]);
            for (; some; some &= some - 1) *end++ = (int16_t)each[__builtin_ctzll(some)];
        }
    }
    return (size_t)(end - wide);
}

// Values of the symbols 0..14 are a table.
static bool undeadzone_avx512(const uint8_t *symbols, size_t rows, size_t columns, const float *step, float pull, const int16_t *wide,
                              size_t count, float *plane, size_t stride) {
    if (!is_whole(columns)) return ck_kv_quantisers_avx2.undeadzone(symbols, rows, columns, step, pull, wide, count, plane, stride);
    float each[16] = {0};
    for (int32_t s = 0; s < KV_FAR; s++) each[s] = dead_zone_value(s - KV_NEAR, 1, pull);
    const __m512 values = _mm512_loadu_ps(each);
    size_t taken = 0;
    for (size_t r = 0; r < rows; r++, plane += stride, symbols += columns) {
        const __m512 s = _mm512_set1_ps(step[r]);
        for (size_t c = 0; c < columns; c += WHOLE) {
            const __m512i all = load_64(symbols + c), far = _mm512_set1_epi8(KV_FAR);
            UNROLL for (size_t i = 0; i < 4; i++) {
                const __m512i symbol = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(symbols + c + 16 * i)));
                const __mmask16 other = _mm512_cmpneq_epi32_mask(symbol, words(KV_NEAR));
                const __m512 value = _mm512_mul_ps(_mm512_permutexvar_ps(symbol, values), s);
                _mm512_storeu_ps(plane + c + 16 * i, _mm512_maskz_mov_ps(other, value));
            }
            uint64_t some = _mm512_cmpge_epu8_mask(all, far);
            if (__builtin_expect(some == 0, 1)) continue;
            if (some != _mm512_cmpeq_epi8_mask(all, far)) return false;
            if ((size_t)__builtin_popcountll(some) > count - taken) return false;
            for (; some; some &= some - 1) plane[c + (size_t)__builtin_ctzll(some)] = dead_zone_value(wide[taken++], step[r], pull);
        }
    }
    return taken == count;
}

// ---- Codebooks ----------------------------------------------------------------------------------------------------------------

#define LINEAR 24               // thresholds: with more, a binary search is fewer operations

static void codebook_avx512(const float *plane, size_t stride, size_t rows, size_t columns, const float *factor, const float *thresholds,
                            size_t count, uint8_t *symbols) {
    if (!is_whole(columns) || count > LINEAR) {
        ck_kv_quantisers_avx2.codebook(plane, stride, rows, columns, factor, thresholds, count, symbols);
        return;
    }
    for (size_t r = 0; r < rows; r++, plane += stride, symbols += columns) {
        const __m512 f = _mm512_set1_ps(factor[r]);
        for (size_t c = 0; c < columns; c += WHOLE) {
            __m512 x[4];
            __m512i below[4];
            UNROLL for (size_t i = 0; i < 4; i++) {
                x[i] = _mm512_mul_ps(_mm512_loadu_ps(plane + c + 16 * i), f);
                below[i] = _mm512_setzero_si512();
            }
            for (size_t t = 0; t < count; t++) {
                const __m512 threshold = _mm512_set1_ps(thresholds[t]);
                UNROLL for (size_t i = 0; i < 4; i++)
                    below[i] = _mm512_mask_add_epi32(below[i], _mm512_cmp_ps_mask(threshold, x[i], _CMP_LT_OQ), below[i], words(1));
            }
            store_64(symbols + c, bytes_of(below));
        }
    }
}

static void look_up_avx512(const uint8_t *symbols, size_t rows, size_t columns, const float *levels, const float *step, float *plane,
                           size_t stride) {
    if (!is_whole(columns)) {
        ck_kv_quantisers_avx2.look_up(symbols, rows, columns, levels, step, plane, stride);
        return;
    }
    const __m512 few = _mm512_loadu_ps(levels);
    for (size_t r = 0; r < rows; r++, plane += stride, symbols += columns) {
        const __m512 s = _mm512_set1_ps(step[r]);
        for (size_t c = 0; c < columns; c += 16) {
            const __m512i symbol = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(symbols + c)));
            __m512 level = _mm512_permutexvar_ps(symbol, few);
            if (__builtin_expect(_mm512_test_epi32_mask(symbol, words(0xf0)) != 0, 0)) level = _mm512_i32gather_ps(symbol, levels, 4);
            _mm512_storeu_ps(plane + c, _mm512_mul_ps(level, s));
        }
    }
}

const ck_kv_quantisers ck_kv_quantisers_avx512 = {
    quantise_rows_avx512, quantise_columns_avx512, dequantise_rows_avx512, dequantise_columns_avx512, deadzone_avx512, undeadzone_avx512,
    codebook_avx512, look_up_avx512, to_fp8, from_fp8, predict, unpredict,
};

#pragma clang attribute pop
#endif
