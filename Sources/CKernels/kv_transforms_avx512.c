// Transforms and ranges of planes with AVX-512 (BW, DQ, VL).
#include "kv.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)

#include "kv_avx512.h"
#include "kv_transforms_body.h"
#define TILE_ROWS 12
#include "kv_product_body.h"

// ---- Hadamard -----------------------------------------------------------------------------------------------------------------

#define ROW CK_MAX_HEAD         // columns, at most
#define REGISTERS (ROW / 16)

// 1 where a lane is the first of a butterfly, else -1.
INLINE __m512 first_or_second(uint16_t seconds) { return _mm512_mask_mov_ps(_mm512_set1_ps(1), seconds, _mm512_set1_ps(-1)); }

typedef struct Pattern {
    __m512 one, two, four, eight;
} Pattern;

// Butterflies within a register: distances 1, 2, 4, 8. fma by 1 or -1 is an addition or a subtraction.
INLINE void within(const Pattern *p, __m512 *v, const size_t n) {
    UNROLL for (size_t i = 0; i < n; i++) v[i] = _mm512_fmadd_ps(v[i], p->one, _mm512_permute_ps(v[i], 0xb1));
    UNROLL for (size_t i = 0; i < n; i++) v[i] = _mm512_fmadd_ps(v[i], p->two, _mm512_permute_ps(v[i], 0x4e));
    UNROLL for (size_t i = 0; i < n; i++) v[i] = _mm512_fmadd_ps(v[i], p->four, _mm512_shuffle_f32x4(v[i], v[i], 0xb1));
    UNROLL for (size_t i = 0; i < n; i++) v[i] = _mm512_fmadd_ps(v[i], p->eight, _mm512_shuffle_f32x4(v[i], v[i], 0x4e));
}

// n registers of each row.
INLINE void segment(float *x, size_t stride, size_t rows, const size_t n, const uint32_t *turns, const bool inverse) {
    const Pattern pattern = {first_or_second(0xaaaa), first_or_second(0xcccc), first_or_second(0xf0f0), first_or_second(0xff00)};
    const __m512 root = _mm512_set1_ps(kv_root(16 * n));
    for (; rows > 0; rows--, x += stride) {
        __m512 v[REGISTERS];
        UNROLL for (size_t i = 0; i < n; i++) {
            v[i] = _mm512_loadu_ps(x + 16 * i);
            if (!inverse) v[i] = as_float(_mm512_xor_si512(as_bits(v[i]), load_64(turns + 16 * i)));
        }
        within(&pattern, v, n);
        UNROLL for (size_t distance = 1; distance < n; distance *= 2)
            UNROLL for (size_t i = 0; i < n; i++) {
                if (i & distance) continue;
                const __m512 a = v[i], b = v[i + distance];
                v[i] = _mm512_add_ps(a, b);
                v[i + distance] = _mm512_sub_ps(a, b);
            }
        UNROLL for (size_t i = 0; i < n; i++) {
            v[i] = _mm512_mul_ps(v[i], root);
            if (inverse) v[i] = as_float(_mm512_xor_si512(as_bits(v[i]), load_64(turns + 16 * i)));
            _mm512_storeu_ps(x + 16 * i, v[i]);
        }
    }
}

INLINE void segment_of(float *x, size_t stride, size_t rows, size_t columns, const uint32_t *turns, const bool inverse) {
    switch (columns) {
    case 16: segment(x, stride, rows, 1, turns, inverse); break;
    case 32: segment(x, stride, rows, 2, turns, inverse); break;
    case 64: segment(x, stride, rows, 4, turns, inverse); break;
    case 128: segment(x, stride, rows, 8, turns, inverse); break;
    case 256: segment(x, stride, rows, 16, turns, inverse); break;
    }
}

static void hadamard(float *plane, size_t stride, size_t rows, size_t columns, const uint32_t *signs, bool inverse) {
    if (columns > ROW) {
        ck_kv_transforms_scalar.hadamard(plane, stride, rows, columns, signs, inverse);
        return;
    }
    _Alignas(64) uint32_t turns[ROW];
    const size_t whole = columns / 16 * 16;
    for (size_t c = 0; c < whole; c += 16)
        store_64(turns + c, _mm512_maskz_mov_epi32((uint16_t)(signs[c / 32] >> c % 32), words(1u << 31)));
    for (size_t done = 0, n; done < whole; done += n) {
        n = kv_power(columns - done);
        if (inverse) segment_of(plane + done, stride, rows, n, turns + done, true);
        else segment_of(plane + done, stride, rows, n, turns + done, false);
    }
    if (whole == columns) return;
    const uint32_t rest = signs[whole / 32] >> whole % 32;
    ck_kv_transforms_avx2.hadamard(plane + whole, stride, rows, columns - whole, &rest, inverse);
}

// ---- Ranges -------------------------------------------------------------------------------------------------------------------

// The second where the first is NaN.
INLINE __m512 lesser(__m512 x, __m512 y) { return _mm512_min_ps(x, y); }
INLINE __m512 greater(__m512 x, __m512 y) { return _mm512_max_ps(x, y); }

typedef struct Range {
    __m512 low, high;
} Range;

INLINE Range nothing(void) { return (Range){_mm512_set1_ps(INFINITY), _mm512_set1_ps(-INFINITY)}; }
INLINE void include(Range *range, __m512 x) {
    range->low = lesser(x, range->low);
    range->high = greater(x, range->high);
}
// What is empty becomes 0, as does -0.
INLINE Range finished(Range range) {
    const __mmask16 some = _mm512_cmp_ps_mask(range.low, range.high, _CMP_LE_OQ);
    const __m512 zero = _mm512_setzero_ps();
    return (Range){_mm512_add_ps(_mm512_maskz_mov_ps(some, range.low), zero), _mm512_add_ps(_mm512_maskz_mov_ps(some, range.high), zero)};
}

INLINE __mmask16 first_lanes(size_t n) { return (__mmask16)(0xffffu >> (16 - n)); }

INLINE Range range_of(const float *x, size_t columns) {
    Range range = nothing();
    size_t c = 0;
    for (; c + 16 <= columns; c += 16) include(&range, _mm512_loadu_ps(x + c));
    // What is missing counts as NaN.
    if (c < columns) {
        const __mmask16 there = first_lanes(columns - c);
        include(&range, _mm512_mask_mov_ps(_mm512_set1_ps(NAN), there, _mm512_maskz_loadu_ps(there, x + c)));
    }
    return range;
}

// Sixteen registers of which each is folded to one lane.
#define FOLD(name, of)                                                                                                                     \
    INLINE __m512 name(const __m512 x[16]) {                                                                                               \
        __m512 y[8], z[4], w[2];                                                                                                           \
        UNROLL for (size_t i = 0; i < 8; i++)                                                                                              \
            y[i] = of(_mm512_unpacklo_ps(x[2 * i], x[2 * i + 1]), _mm512_unpackhi_ps(x[2 * i], x[2 * i + 1]));                             \
        UNROLL for (size_t i = 0; i < 4; i++)                                                                                              \
            z[i] = of(_mm512_shuffle_ps(y[2 * i], y[2 * i + 1], 0x44), _mm512_shuffle_ps(y[2 * i], y[2 * i + 1], 0xee));                   \
        UNROLL for (size_t i = 0; i < 2; i++)                                                                                              \
            w[i] = of(_mm512_shuffle_f32x4(z[2 * i], z[2 * i + 1], 0x88), _mm512_shuffle_f32x4(z[2 * i], z[2 * i + 1], 0xdd));             \
        return of(_mm512_shuffle_f32x4(w[0], w[1], 0x88), _mm512_shuffle_f32x4(w[0], w[1], 0xdd));                                         \
    }
FOLD(fold_least, lesser)
FOLD(fold_greatest, greater)

static void range_rows(const float *plane, size_t stride, size_t rows, size_t columns, float *least, float *greatest) {
    for (size_t r = 0; r < rows; r += 16) {
        const size_t some = rows - r < 16 ? rows - r : 16;
        __m512 low[16], high[16];
        for (size_t i = 0; i < 16; i++) {
            const Range range = i < some ? range_of(plane + (r + i) * stride, columns) : nothing();
            low[i] = range.low, high[i] = range.high;
        }
        const Range range = finished((Range){fold_least(low), fold_greatest(high)});
        memcpy(least + r, &range.low, some * sizeof(float));
        memcpy(greatest + r, &range.high, some * sizeof(float));
    }
}

#define ABREAST 4               // registers of columns

INLINE void range_of_columns(const float *plane, size_t stride, size_t rows, const size_t registers, float *least, float *greatest) {
    Range range[ABREAST];
    UNROLL for (size_t i = 0; i < registers; i++) range[i] = nothing();
    for (size_t r = 0; r < rows; r++)
        UNROLL for (size_t i = 0; i < registers; i++) include(range + i, _mm512_loadu_ps(plane + r * stride + 16 * i));
    UNROLL for (size_t i = 0; i < registers; i++) {
        range[i] = finished(range[i]);
        _mm512_storeu_ps(least + 16 * i, range[i].low);
        _mm512_storeu_ps(greatest + 16 * i, range[i].high);
    }
}

static void range_columns(const float *plane, size_t stride, size_t rows, size_t columns, float *least, float *greatest) {
    size_t c = 0;
    for (; c + 16 * ABREAST <= columns; c += 16 * ABREAST) range_of_columns(plane + c, stride, rows, ABREAST, least + c, greatest + c);
    for (; c + 16 <= columns; c += 16) range_of_columns(plane + c, stride, rows, 1, least + c, greatest + c);
    ck_kv_transforms_avx2.range_columns(plane + c, stride, rows, columns - c, least + c, greatest + c);
}

static void energy_rows(const float *plane, size_t stride, size_t rows, size_t columns, float *energy) {
    ck_kv_transforms_avx2.energy_rows(plane, stride, rows, columns, energy);
}

const ck_kv_transforms ck_kv_transforms_avx512 = {hadamard, affine_columns, affine_rows, product, range_rows, range_columns, energy_rows};

#pragma clang attribute pop
#endif
