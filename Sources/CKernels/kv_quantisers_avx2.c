// Quantisers with AVX2: 32 or eight columns at a time; what is left of a row is coded as the specification does.
#include "kv.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)

#include "kv_avx2.h"
#include "kv_quantisers_body.h"

// 4 x 8 words of 0..255 -> bytes.
INLINE __m256i bytes_of(const __m256i x[4]) {
    const __m256i bytes = _mm256_packus_epi16(_mm256_packs_epi32(x[0], x[1]), _mm256_packs_epi32(x[2], x[3]));
    return _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}
INLINE void store_8(uint8_t *to, __m256i x) {
    const __m128i halves = _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    _mm_storel_epi64((__m128i *)to, _mm_packus_epi16(halves, halves));
}
// Eight bytes as words.
INLINE __m256i load_8(const uint8_t *from) { return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)from)); }

// ---- Uniform ------------------------------------------------------------------------------------------------------------------

// The greater of x and 0, 0 where x is NaN, but `top` at most, rounded.
INLINE __m256i symbols_of(__m256 x, __m256 factor, __m256 bias, __m256 top) {
    const __m256 y = _mm256_max_ps(_mm256_fmadd_ps(x, factor, bias), _mm256_setzero_ps());
    return _mm256_cvtps_epi32(_mm256_min_ps(y, top));
}

static void quantise_rows_avx2(const float *plane, size_t stride, size_t rows, size_t columns, const float *factor, const float *bias,
                               unsigned top, uint8_t *symbols) {
    const __m256 most = _mm256_set1_ps((float)top);
    for (size_t r = 0; r < rows; r++, plane += stride, symbols += columns) {
        const __m256 f = _mm256_set1_ps(factor[r]), b = _mm256_set1_ps(bias[r]);
        size_t c = 0;
        for (; c + 32 <= columns; c += 32) {
            __m256i x[4];
            UNROLL for (size_t i = 0; i < 4; i++) x[i] = symbols_of(_mm256_loadu_ps(plane + c + 8 * i), f, b, most);
            store_32(symbols + c, bytes_of(x));
        }
        for (; c + 8 <= columns; c += 8) store_8(symbols + c, symbols_of(_mm256_loadu_ps(plane + c), f, b, most));
        for (; c < columns; c++) symbols[c] = symbol_of(plane[c], factor[r], bias[r], (float)top);
    }
}

static void quantise_columns_avx2(const float *plane, size_t stride, size_t rows, size_t columns, const float *factor, const float *bias,
                                  unsigned top, uint8_t *symbols) {
    const __m256 most = _mm256_set1_ps((float)top);
    for (size_t r = 0; r < rows; r++, plane += stride, symbols += columns) {
        size_t c = 0;
        for (; c + 32 <= columns; c += 32) {
            __m256i x[4];
            UNROLL for (size_t i = 0; i < 4; i++) {
                const size_t at = c + 8 * i;
                x[i] = symbols_of(_mm256_loadu_ps(plane + at), _mm256_loadu_ps(factor + at), _mm256_loadu_ps(bias + at), most);
            }
            store_32(symbols + c, bytes_of(x));
        }
        for (; c + 8 <= columns; c += 8)
            store_8(symbols + c, symbols_of(_mm256_loadu_ps(plane + c), _mm256_loadu_ps(factor + c), _mm256_loadu_ps(bias + c), most));
        for (; c < columns; c++) symbols[c] = symbol_of(plane[c], factor[c], bias[c], (float)top);
    }
}

static void dequantise_rows_avx2(const uint8_t *symbols, size_t rows, size_t columns, const float *step, const float *offset, float *plane,
                                 size_t stride) {
    for (size_t r = 0; r < rows; r++, plane += stride, symbols += columns) {
        const __m256 s = _mm256_set1_ps(step[r]), o = _mm256_set1_ps(offset[r]);
        size_t c = 0;
        for (; c + 8 <= columns; c += 8) _mm256_storeu_ps(plane + c, _mm256_fmadd_ps(_mm256_cvtepi32_ps(load_8(symbols + c)), s, o));
        for (; c < columns; c++) plane[c] = fmaf((float)symbols[c], step[r], offset[r]);
    }
}

static void dequantise_columns_avx2(const uint8_t *symbols, size_t rows, size_t columns, const float *step, const float *offset,
                                    float *plane, size_t stride) {
    for (size_t r = 0; r < rows; r++, plane += stride, symbols += columns) {
        size_t c = 0;
        for (; c + 8 <= columns; c += 8) {
            const __m256 symbol = _mm256_cvtepi32_ps(load_8(symbols + c));
            _mm256_storeu_ps(plane + c, _mm256_fmadd_ps(symbol, _mm256_loadu_ps(step + c), _mm256_loadu_ps(offset + c)));
        }
        for (; c < columns; c++) plane[c] = fmaf((float)symbols[c], step[c], offset[c]);
    }
}

// ---- Dead zone ----------------------------------------------------------------------------------------------------------------

INLINE __m256i dead_zone_qs(__m256 x, __m256 factor, __m256 rounding) {
    const __m256 magnitude = as_float(_mm256_and_si256(as_bits(x), words(0x7fffffff)));
    __m256 q = _mm256_add_ps(_mm256_mul_ps(magnitude, factor), rounding);
    q = _mm256_min_ps(_mm256_max_ps(q, _mm256_setzero_ps()), _mm256_set1_ps(KV_WIDEST));
    // x = 0 has q = 0, so that its sign is of no account.
    return _mm256_sign_epi32(_mm256_cvttps_epi32(q), as_bits(x));
}

static size_t deadzone_avx2(const float *plane, size_t stride, size_t rows, size_t columns, const float *factor, float rounding,
                            uint8_t *symbols, int16_t *wide) {
    const __m256 half = _mm256_set1_ps(rounding);
    const __m256i near = _mm256_set1_epi16(KV_NEAR), far = _mm256_set1_epi16(KV_FAR);
    int16_t *end = wide;
    for (size_t r = 0; r < rows; r++, plane += stride, symbols += columns) {
        const __m256 f = _mm256_set1_ps(factor[r]);
        size_t c = 0;
        for (; c + 32 <= columns; c += 32) {
            __m256i q[2], s[2];
            UNROLL for (size_t i = 0; i < 2; i++) {
                const __m256i a = dead_zone_qs(_mm256_loadu_ps(plane + c + 16 * i), f, half);
                const __m256i b = dead_zone_qs(_mm256_loadu_ps(plane + c + 16 * i + 8), f, half);
                q[i] = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
                s[i] = _mm256_min_epu16(_mm256_add_epi16(q[i], near), far);
            }
            const __m256i all = _mm256_permute4x64_epi64(_mm256_packus_epi16(s[0], s[1]), 0xd8);
            store_32(symbols + c, all);
            uint32_t some = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(all, all_bytes(KV_FAR)));
            if (__builtin_expect(some == 0, 1)) continue;
            int16_t each[32];
            store_32(each, q[0]);
            store_32(each + 16, q[1]);
            for (; some; some &= some - 1) *end++ = each[__builtin_ctz(some)];
        }
        for (; c < columns; c++) {
            const int32_t q = dead_zone_q(plane[c], factor[r], rounding);
            symbols[c] = dead_zone_symbol(q);
            if (symbols[c] == KV_FAR) *end++ = (int16_t)q;
        }
    }
    return (size_t)(end - wide);
}

INLINE __m256 dead_zone_values(__m256i q, __m256 step, __m256 pull) {
    const __m256i sign = _mm256_and_si256(q, words(1u << 31));
    const __m256 magnitude = _mm256_sub_ps(_mm256_cvtepi32_ps(_mm256_abs_epi32(q)), pull);
    const __m256 value = _mm256_mul_ps(as_float(_mm256_xor_si256(as_bits(magnitude), sign)), step);
    return as_float(_mm256_andnot_si256(_mm256_cmpeq_epi32(q, _mm256_setzero_si256()), as_bits(value)));
}

static bool undeadzone_avx2(const uint8_t *symbols, size_t rows, size_t columns, const float *step, float pull, const int16_t *wide,
                            size_t count, float *plane, size_t stride) {
    const __m256 p = _mm256_set1_ps(pull);
    size_t taken = 0;
    for (size_t r = 0; r < rows; r++, plane += stride, symbols += columns) {
        const __m256 s = _mm256_set1_ps(step[r]);
        size_t c = 0;
        for (; c + 32 <= columns; c += 32) {
            const __m256i all = load_32(symbols + c), far = all_bytes(KV_FAR);
            UNROLL for (size_t i = 0; i < 4; i++) {
                const __m256i q = _mm256_sub_epi32(load_8(symbols + c + 8 * i), words(KV_NEAR));
                _mm256_storeu_ps(plane + c + 8 * i, dead_zone_values(q, s, p));
            }
            // The greater of each and 15 is the symbol itself.
            const __m256i large = _mm256_cmpeq_epi8(_mm256_max_epu8(all, far), all);
            uint32_t some = (uint32_t)_mm256_movemask_epi8(large);
            if (__builtin_expect(some == 0, 1)) continue;
            if (some != (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(all, far))) return false;
            if ((size_t)__builtin_popcount(some) > count - taken) return false;
            for (; some; some &= some - 1) plane[c + (size_t)__builtin_ctz(some)] = dead_zone_value(wide[taken++], step[r], pull);
        }
        for (; c < columns; c++) {
            if (symbols[c] > KV_FAR || (symbols[c] == KV_FAR && taken == count)) return false;
            plane[c] = dead_zone_value(symbols[c] == KV_FAR ? wide[taken++] : symbols[c] - KV_NEAR, step[r], pull);
        }
    }
    return taken == count;
}

// ---- Codebooks ----------------------------------------------------------------------------------------------------------------

#define LINEAR 7                // thresholds: with more, steps of a binary search are fewer operations
#define FEW 15                  // thresholds of which each step's choice is in a register

INLINE __m256i below_linear(__m256 x, const float *thresholds, size_t count) {
    __m256i below = _mm256_setzero_si256();
    for (size_t i = 0; i < count; i++)
        below = _mm256_sub_epi32(below, as_bits(_mm256_cmp_ps(_mm256_broadcast_ss(thresholds + i), x, _CMP_LT_OQ)));
    return below;
}

// Thresholds of four steps of a binary search: of step s those that are compared after s comparisons, by their results.
typedef struct Steps {
    __m256 threshold[4];
} Steps;

// thresholds[15].
INLINE Steps steps_of(const float *t) {
    return (Steps){{_mm256_set1_ps(t[7]), _mm256_setr_ps(t[3], t[11], 0, 0, 0, 0, 0, 0),
                    _mm256_setr_ps(t[1], t[5], t[9], t[13], 0, 0, 0, 0),
                    _mm256_setr_ps(t[0], t[2], t[4], t[6], t[8], t[10], t[12], t[14])}};
}

INLINE __m256i below_few(__m256 x, const Steps *steps) {
    __m256i below = _mm256_srli_epi32(as_bits(_mm256_cmp_ps(steps->threshold[0], x, _CMP_LT_OQ)), 31);
    UNROLL for (size_t i = 1; i < 4; i++) {
        const __m256 threshold = _mm256_permutevar8x32_ps(steps->threshold[i], below);
        below = _mm256_sub_epi32(_mm256_add_epi32(below, below), as_bits(_mm256_cmp_ps(threshold, x, _CMP_LT_OQ)));
    }
    return below;
}

// thresholds[255], filled up with infinity, below which NaN is not.
INLINE __m256i below_binary(__m256 x, const float *thresholds) {
    __m256i below = _mm256_setzero_si256();
    for (uint32_t step = 128; step; step /= 2) {
        const __m256i to = _mm256_add_epi32(below, words(step));
        const __m256 threshold = _mm256_i32gather_ps(thresholds - 1, to, 4);
        below = _mm256_blendv_epi8(below, to, as_bits(_mm256_cmp_ps(threshold, x, _CMP_LT_OQ)));
    }
    return below;
}

// `most` thresholds.
INLINE void code_rows(const float *plane, size_t stride, size_t rows, size_t columns, const float *factor, const float *thresholds,
                      size_t count, const size_t most, uint8_t *symbols) {
    Steps steps;
    if (most == FEW) steps = steps_of(thresholds);
    for (size_t r = 0; r < rows; r++, plane += stride, symbols += columns) {
        const __m256 f = _mm256_set1_ps(factor[r]);
        for (size_t c = 0; c < columns; c += 8) {
            const size_t some = columns - c < 8 ? columns - c : 8;
            float rest[8] = {0};
            const __m256 given = some == 8 ? _mm256_loadu_ps(plane + c) : _mm256_loadu_ps(memcpy(rest, plane + c, some * sizeof(float)));
            const __m256 x = _mm256_mul_ps(given, f);
            const __m256i below = most == LINEAR ? below_linear(x, thresholds, count)
                                : most == FEW    ? below_few(x, &steps)
                                                 : below_binary(x, thresholds);
            uint8_t each[8];
            store_8(some == 8 ? symbols + c : each, below);
            if (some < 8) memcpy(symbols + c, each, some);
        }
    }
}

static void codebook_avx2(const float *plane, size_t stride, size_t rows, size_t columns, const float *factor, const float *thresholds,
                          size_t count, uint8_t *symbols) {
    float all[255];
    memcpy(all, thresholds, count * sizeof(float));
    for (size_t i = count; i < 255; i++) all[i] = INFINITY;
    if (count <= LINEAR) code_rows(plane, stride, rows, columns, factor, all, count, LINEAR, symbols);
    else if (count <= FEW) code_rows(plane, stride, rows, columns, factor, all, count, FEW, symbols);
    else code_rows(plane, stride, rows, columns, factor, all, count, 255, symbols);
}

static void look_up_avx2(const uint8_t *symbols, size_t rows, size_t columns, const float *levels, const float *step, float *plane,
                         size_t stride) {
    const __m256 low = _mm256_loadu_ps(levels), high = _mm256_loadu_ps(levels + 8);
    for (size_t r = 0; r < rows; r++, plane += stride, symbols += columns) {
        const __m256 s = _mm256_set1_ps(step[r]);
        size_t c = 0;
        for (; c + 8 <= columns; c += 8) {
            const __m256i symbol = load_8(symbols + c);
            // Sixteen levels are in registers.
            __m256 level = _mm256_blendv_ps(_mm256_permutevar8x32_ps(low, symbol), _mm256_permutevar8x32_ps(high, symbol),
                                            as_float(_mm256_slli_epi32(symbol, 28)));
            if (__builtin_expect(!_mm256_testz_si256(symbol, words(0xf0)), 0)) level = _mm256_i32gather_ps(levels, symbol, 4);
            _mm256_storeu_ps(plane + c, _mm256_mul_ps(level, s));
        }
        for (; c < columns; c++) plane[c] = levels[symbols[c]] * step[r];
    }
}

const ck_kv_quantisers ck_kv_quantisers_avx2 = {
    quantise_rows_avx2, quantise_columns_avx2, dequantise_rows_avx2, dequantise_columns_avx2, deadzone_avx2, undeadzone_avx2,
    codebook_avx2, look_up_avx2, to_fp8, from_fp8, predict, unpredict,
};

#pragma clang attribute pop
#endif
