// Transforms and ranges of planes with AVX2.
#include "kv.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)

#include "kv_avx2.h"
#include "kv_transforms_body.h"
#define TILE_ROWS 6
#include "kv_product_body.h"

// ---- Hadamard -----------------------------------------------------------------------------------------------------------------

#define REGISTERS 8             // of a row that butterflies stay in at a time
#define ROW CK_MAX_HEAD         // columns, at most

// Signs of columns: what their sign bits are turned with.
typedef struct Turns {
    _Alignas(32) uint32_t bits[ROW];
} Turns;

INLINE __m256i turn_of(const uint32_t *signs, size_t column) {
    const __m256i each = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i set = _mm256_cmpeq_epi32(_mm256_and_si256(words(signs[column / 32] >> column % 32), each), each);
    return _mm256_slli_epi32(set, 31);
}

// The empty assembly keeps the order of what is written here. Otherwise one register is finished after the other, and an exchange of the
// halves of one register becomes vpermpd, which takes longer.
#define AS_WRITTEN(x) __asm__("" : "+x"(x))

// Butterflies within registers: distances 1, 2, 4. fma by 1 or -1 is an addition or a subtraction.
INLINE void within(__m256 *v, const size_t n) {
    const __m256 one = _mm256_setr_ps(1, -1, 1, -1, 1, -1, 1, -1), two = _mm256_setr_ps(1, 1, -1, -1, 1, 1, -1, -1);
    const __m256 four = _mm256_setr_ps(1, 1, 1, 1, -1, -1, -1, -1);
    UNROLL for (size_t i = 0; i < n; i++) {
        __m256 other = _mm256_permute_ps(v[i], 0xb1);
        AS_WRITTEN(other);
        v[i] = _mm256_fmadd_ps(v[i], one, other);
    }
    UNROLL for (size_t i = 0; i < n; i++) {
        __m256 other = _mm256_permute_ps(v[i], 0x4e);
        AS_WRITTEN(other);
        v[i] = _mm256_fmadd_ps(v[i], two, other);
    }
    UNROLL for (size_t i = 0; i < n; i++) {
        __m256 same = v[i];
        AS_WRITTEN(same);
        v[i] = _mm256_fmadd_ps(v[i], four, _mm256_permute2f128_ps(v[i], same, 0x01));
    }
}

// The first butterflies of n registers; `last` if there are no more, so that the root is due, and the signs of the way back.
INLINE void small(float *x, const size_t n, const uint32_t *before, bool last, __m256 root, const uint32_t *behind) {
    __m256 v[REGISTERS];
    UNROLL for (size_t i = 0; i < n; i++) {
        v[i] = _mm256_loadu_ps(x + 8 * i);
        if (before) v[i] = as_float(_mm256_xor_si256(as_bits(v[i]), load_32(before + 8 * i)));
    }
    within(v, n);
    UNROLL for (size_t distance = 1; distance < n; distance *= 2)
        UNROLL for (size_t i = 0; i < n; i++) {
            if (i & distance) continue;
            const __m256 a = v[i], b = v[i + distance];
            v[i] = _mm256_add_ps(a, b);
            v[i + distance] = _mm256_sub_ps(a, b);
        }
    UNROLL for (size_t i = 0; i < n; i++) {
        if (last) v[i] = _mm256_mul_ps(v[i], root);
        if (last && behind) v[i] = as_float(_mm256_xor_si256(as_bits(v[i]), load_32(behind + 8 * i)));
        _mm256_storeu_ps(x + 8 * i, v[i]);
    }
}

// Butterflies of two halves of n columns each.
INLINE void large(float *x, size_t n, bool last, __m256 root, const uint32_t *behind) {
    for (size_t i = 0; i < n; i += 8) {
        const __m256 a = _mm256_loadu_ps(x + i), b = _mm256_loadu_ps(x + n + i);
        __m256 sum = _mm256_add_ps(a, b), difference = _mm256_sub_ps(a, b);
        if (last) sum = _mm256_mul_ps(sum, root), difference = _mm256_mul_ps(difference, root);
        if (last && behind) {
            sum = as_float(_mm256_xor_si256(as_bits(sum), load_32(behind + i)));
            difference = as_float(_mm256_xor_si256(as_bits(difference), load_32(behind + n + i)));
        }
        _mm256_storeu_ps(x + i, sum);
        _mm256_storeu_ps(x + n + i, difference);
    }
}

INLINE void segment(float *x, size_t stride, size_t rows, const size_t n, const uint32_t *turns, const bool inverse) {
    const __m256 root = _mm256_set1_ps(kv_root(n));
    const size_t most = 8 * REGISTERS;
    for (; rows > 0; rows--, x += stride) {
        if (n <= most) {
            small(x, n / 8, inverse ? NULL : turns, true, root, inverse ? turns : NULL);
            continue;
        }
        for (size_t i = 0; i < n; i += most) small(x + i, REGISTERS, inverse ? NULL : turns + i, false, root, NULL);
        for (size_t half = most; half < n; half *= 2)
            for (size_t i = 0; i < n; i += 2 * half) large(x + i, half, 2 * half == n, root, inverse ? turns + i : NULL);
    }
}

INLINE void segment_of(float *x, size_t stride, size_t rows, size_t n, const uint32_t *turns, const bool inverse) {
    switch (n) {
    case 8: segment(x, stride, rows, 8, turns, inverse); break;
    case 16: segment(x, stride, rows, 16, turns, inverse); break;
    case 32: segment(x, stride, rows, 32, turns, inverse); break;
    case 64: segment(x, stride, rows, 64, turns, inverse); break;
    case 128: segment(x, stride, rows, 128, turns, inverse); break;
    case 256: segment(x, stride, rows, 256, turns, inverse); break;
    }
}

static void hadamard(float *plane, size_t stride, size_t rows, size_t columns, const uint32_t *signs, bool inverse) {
    if (columns > ROW) {
        ck_kv_transforms_scalar.hadamard(plane, stride, rows, columns, signs, inverse);
        return;
    }
    Turns turns;
    const size_t whole = columns / 8 * 8;
    for (size_t c = 0; c < whole; c += 8) store_32(turns.bits + c, turn_of(signs, c));
    for (size_t done = 0, n; done < whole; done += n) {
        n = kv_power(columns - done);
        if (inverse) segment_of(plane + done, stride, rows, n, turns.bits + done, true);
        else segment_of(plane + done, stride, rows, n, turns.bits + done, false);
    }
    if (whole == columns) return;
    const uint32_t rest = signs[whole / 32] >> whole % 32;
    ck_kv_transforms_scalar.hadamard(plane + whole, stride, rows, columns - whole, &rest, inverse);
}

// ---- Ranges -------------------------------------------------------------------------------------------------------------------

// The second where the first is NaN.
INLINE __m256 lesser(__m256 x, __m256 y) { return _mm256_min_ps(x, y); }
INLINE __m256 greater(__m256 x, __m256 y) { return _mm256_max_ps(x, y); }

typedef struct Range {
    __m256 low, high;
} Range;

INLINE Range nothing(void) { return (Range){_mm256_set1_ps(INFINITY), _mm256_set1_ps(-INFINITY)}; }
INLINE void include(Range *range, __m256 x) {
    range->low = lesser(x, range->low);
    range->high = greater(x, range->high);
}
// What is empty becomes 0, as does -0.
INLINE Range finished(Range range) {
    const __m256 some = _mm256_cmp_ps(range.low, range.high, _CMP_LE_OQ), zero = _mm256_setzero_ps();
    return (Range){_mm256_add_ps(_mm256_and_ps(range.low, some), zero), _mm256_add_ps(_mm256_and_ps(range.high, some), zero)};
}

INLINE Range range_of(const float *x, size_t columns) {
    Range range = nothing();
    size_t c = 0;
    for (; c + 8 <= columns; c += 8) include(&range, _mm256_loadu_ps(x + c));
    // What is missing counts as NaN.
    if (c < columns) {
        const __m256i there = _mm256_cmpgt_epi32(words((uint32_t)(columns - c)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
        include(&range, _mm256_or_ps(_mm256_maskload_ps(x + c, there), as_float(_mm256_xor_si256(there, words(~0u)))));
    }
    return range;
}

// Eight registers of which each is folded to one lane.
#define FOLD(name, of)                                                                                                                     \
    INLINE __m256 name(const __m256 x[8]) {                                                                                                \
        __m256 y[4], z[2];                                                                                                                 \
        UNROLL for (size_t i = 0; i < 4; i++)                                                                                              \
            y[i] = of(_mm256_unpacklo_ps(x[2 * i], x[2 * i + 1]), _mm256_unpackhi_ps(x[2 * i], x[2 * i + 1]));                             \
        UNROLL for (size_t i = 0; i < 2; i++)                                                                                              \
            z[i] = of(_mm256_shuffle_ps(y[2 * i], y[2 * i + 1], 0x44), _mm256_shuffle_ps(y[2 * i], y[2 * i + 1], 0xee));                   \
        return of(_mm256_permute2f128_ps(z[0], z[1], 0x20), _mm256_permute2f128_ps(z[0], z[1], 0x31));                                     \
    }
FOLD(fold_least, lesser)
FOLD(fold_greatest, greater)

static void range_rows(const float *plane, size_t stride, size_t rows, size_t columns, float *least, float *greatest) {
    for (size_t r = 0; r < rows; r += 8) {
        const size_t some = rows - r < 8 ? rows - r : 8;
        __m256 low[8], high[8];
        if (some == 8)
            UNROLL for (size_t i = 0; i < 8; i++) {
                const Range range = range_of(plane + (r + i) * stride, columns);
                low[i] = range.low, high[i] = range.high;
            }
        else
            for (size_t i = 0; i < 8; i++) {
                const Range range = i < some ? range_of(plane + (r + i) * stride, columns) : nothing();
                low[i] = range.low, high[i] = range.high;
            }
        const Range range = finished((Range){fold_least(low), fold_greatest(high)});
        if (some == 8) {
            _mm256_storeu_ps(least + r, range.low);
            _mm256_storeu_ps(greatest + r, range.high);
        } else {
            memcpy(least + r, &range.low, some * sizeof(float));
            memcpy(greatest + r, &range.high, some * sizeof(float));
        }
    }
}

#define ABREAST 4               // registers of columns

INLINE void range_of_columns(const float *plane, size_t stride, size_t rows, const size_t registers, float *least, float *greatest) {
    Range range[ABREAST];
    UNROLL for (size_t i = 0; i < registers; i++) range[i] = nothing();
    for (size_t r = 0; r < rows; r++)
        UNROLL for (size_t i = 0; i < registers; i++) include(range + i, _mm256_loadu_ps(plane + r * stride + 8 * i));
    UNROLL for (size_t i = 0; i < registers; i++) {
        range[i] = finished(range[i]);
        _mm256_storeu_ps(least + 8 * i, range[i].low);
        _mm256_storeu_ps(greatest + 8 * i, range[i].high);
    }
}

static void range_columns(const float *plane, size_t stride, size_t rows, size_t columns, float *least, float *greatest) {
    size_t c = 0;
    for (; c + 8 * ABREAST <= columns; c += 8 * ABREAST) range_of_columns(plane + c, stride, rows, ABREAST, least + c, greatest + c);
    for (; c + 8 <= columns; c += 8) range_of_columns(plane + c, stride, rows, 1, least + c, greatest + c);
    ck_kv_transforms_scalar.range_columns(plane + c, stride, rows, columns - c, least + c, greatest + c);
}

static void energy_rows(const float *plane, size_t stride, size_t rows, size_t columns, float *energy) {
    for (size_t r = 0; r < rows; r++) {
        const float *x = plane + r * stride;
        __m256 a = _mm256_setzero_ps(), b = a;
        size_t c = 0;
        for (; c + 16 <= columns; c += 16) {
            const __m256 y = _mm256_loadu_ps(x + c), z = _mm256_loadu_ps(x + c + 8);
            a = _mm256_fmadd_ps(y, y, a);
            b = _mm256_fmadd_ps(z, z, b);
        }
        if (c < columns) {
            float rest[16] = {0};
            memcpy(rest, x + c, (columns - c) * sizeof(float));
            const __m256 y = _mm256_loadu_ps(rest), z = _mm256_loadu_ps(rest + 8);
            a = _mm256_fmadd_ps(y, y, a);
            b = _mm256_fmadd_ps(z, z, b);
        }
        a = _mm256_add_ps(a, b);
        __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
        s = _mm_add_ps(s, _mm_movehl_ps(s, s));
        energy[r] = _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
    }
}

const ck_kv_transforms ck_kv_transforms_avx2 = {hadamard, affine_columns, affine_rows, product, range_rows, range_columns, energy_rows};

#pragma clang attribute pop
#endif
