// planes3 with AVX-512 VBMI2: decoding, encoding, and products of few rows in f32.
#include "planes3.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang fp contract(off)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,bmi,popcnt"))), apply_to = function)

#include "planes3_avx512_lanes.h"

static void decode(p3_cursor *at, size_t steps, uint16_t *out) {
    const Symbols table = {symbols(0), symbols(3)};
    __m512i base[P3_PARTS];
    for (size_t u = at->first; u < at->end; u++) base[u] = base_words(at->bases + u * CK_PLANES3_PART);
    for (; steps > 0; steps--, p3_next(at), out += P3_STEP_WORDS)
        for (size_t u = at->first; u < at->end; u++) {
            const uint8_t *block = p3_block(at, u), *far = p3_far(at, u), *escapes = at->escapes[u];
            UNROLL for (int g = 0; g < P3_GROUPS; g++) {
                fetch_lines(far, block + at->step, g);
                __m512i pair[2];
                decode_group(block, g, &escapes, &table, base[u], pair);
                uint16_t *to = out + ((size_t)g * 2 * CK_PANEL + u * CK_PLANES3_PART) * 2;
                _mm512_storeu_si512(to, pair[0]);
                _mm512_storeu_si512(to + 2 * CK_PANEL, pair[1]);
            }
            at->escapes[u] = escapes;
        }
}

static size_t count(const uint8_t *block, size_t steps, size_t apart) {
    const Symbols table = {symbols(0), symbols(3)};
    size_t found = 0;
    for (; steps > 0; steps--, block += apart)
        UNROLL for (int g = 0; g < P3_GROUPS; g++) {
            const __m512i c = _mm512_permutexvar_epi8(codes(block, g), g < 6 && g % 2 == 0 ? table.lower : table.upper);
            found += (size_t)__builtin_popcountll(_mm512_cmpeq_epi8_mask(c, bytes(-1)));
        }
    return found;
}

// ---- Transposition ----------------------------------------------------------------------------------------------------------

// Sixteen rows of sixteen 32-bit words: rows become columns.
INLINE void transpose(__m512i x[16]) {
    __m512i y[16];
    UNROLL for (size_t i = 0; i < 16; i += 2) {
        y[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
        y[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
    }
    UNROLL for (size_t i = 0; i < 16; i += 4)
        UNROLL for (size_t j = 0; j < 2; j++) {
            x[i + 2 * j] = _mm512_unpacklo_epi64(y[i + j], y[i + 2 + j]);
            x[i + 2 * j + 1] = _mm512_unpackhi_epi64(y[i + j], y[i + 2 + j]);
        }
    // x[4 r + c]: column c of each quarter of rows 4 r ..
    UNROLL for (size_t c = 0; c < 4; c++)
        UNROLL for (size_t j = 0; j < 2; j++) {
            y[c + 8 * j] = _mm512_shuffle_i32x4(x[8 * j + c], x[8 * j + 4 + c], 0x88);
            y[c + 8 * j + 4] = _mm512_shuffle_i32x4(x[8 * j + c], x[8 * j + 4 + c], 0xdd);
        }
    // y[c], y[c + 8]: quarters 0 and 2 of the columns; y[c + 4], y[c + 12]: quarters 1 and 3.
    UNROLL for (size_t c = 0; c < 4; c++) {
        x[c] = _mm512_shuffle_i32x4(y[c], y[c + 8], 0x88);
        x[c + 8] = _mm512_shuffle_i32x4(y[c], y[c + 8], 0xdd);
        x[c + 4] = _mm512_shuffle_i32x4(y[c + 4], y[c + 12], 0x88);
        x[c + 12] = _mm512_shuffle_i32x4(y[c + 4], y[c + 12], 0xdd);
    }
}

static void rows(const uint16_t *words, size_t rows, size_t columns, uint16_t *out, size_t stride) {
    size_t done = 0;
    for (; columns == CK_PLANES3_STEP && done + 16 <= rows; done += 16) {
        __m512i x[16];
        UNROLL for (size_t i = 0; i < 16; i++) x[i] = _mm512_loadu_si512(words + (i * CK_PANEL + done) * 2);
        transpose(x);
        UNROLL for (size_t i = 0; i < 16; i++) _mm512_storeu_si512(out + (done + i) * stride, x[i]);
    }
    ck_planes3_scalar.rows(words + done * 2, rows - done, columns, out + done * stride, stride);
}

// ---- Encoding ---------------------------------------------------------------------------------------------------------------

// Exponents of 64 weights, in any order.
INLINE __m512i exponents(const uint16_t *w) {
    const __m512i a = _mm512_loadu_si512(w), b = _mm512_loadu_si512(w + 32);
    return _mm512_packus_epi16(_mm512_srli_epi16(_mm512_add_epi16(a, a), 8), _mm512_srli_epi16(_mm512_add_epi16(b, b), 8));
}

static uint8_t base(const uint16_t *row, size_t columns, size_t *escapes) {
    const size_t whole = columns / 64 * 64;
    __m512i greatest = _mm512_setzero_si512();
    for (size_t i = 0; i < whole; i += 64) greatest = _mm512_max_epu8(greatest, exponents(row + i));
    uint8_t lanes[64];
    _mm512_storeu_si512(lanes, greatest);
    unsigned top = 0;
    for (size_t i = 0; i < 64; i++) top = lanes[i] > top ? lanes[i] : top;
    for (size_t i = whole; i < columns; i++) top = (row[i] >> 7 & 0xff) > top ? row[i] >> 7 & 0xff : top;
    top++;
    if (top < P3_THRESHOLDS) return ck_planes3_scalar.base(row, columns, escapes);
    size_t below[P3_THRESHOLDS] = {columns};
    for (size_t i = 0; i < whole; i += 64) {
        const __m512i e = exponents(row + i);
        UNROLL for (unsigned t = 1; t < P3_THRESHOLDS; t++)
            below[t] += (size_t)__builtin_popcountll(_mm512_cmplt_epu8_mask(e, bytes((int)(top - t))));
    }
    for (size_t i = whole; i < columns; i++)
        for (unsigned t = 1; t < P3_THRESHOLDS; t++) below[t] += (unsigned)(row[i] >> 7 & 0xff) < top - t;
    const int best = p3_window(below);
    if (best < 0) return ck_planes3_scalar.base(row, columns, escapes);
    *escapes = columns - (below[best] - below[best + P3_SYMBOLS]);
    return (uint8_t)(top - P3_SYMBOLS - (unsigned)best);
}

// Sixteen rows of a step.
INLINE void encode_block(const uint16_t *source, size_t stride, __m512i base, uint8_t *block, uint8_t **escapes) {
    const __m512i byte = _mm512_set1_epi16(0xff), seven = bytes(P3_SYMBOLS);
    __m512i pairs[16], code[P3_GROUPS];
    UNROLL for (size_t i = 0; i < 16; i++) pairs[i] = _mm512_loadu_si512(source + i * stride);
    transpose(pairs);
    UNROLL for (size_t g = 0; g < P3_GROUPS; g++) {
        const __m512i a = _mm512_sub_epi16(pairs[2 * g], base), b = _mm512_sub_epi16(pairs[2 * g + 1], base);
        const __m512i low = _mm512_packus_epi16(_mm512_and_si512(a, byte), _mm512_and_si512(b, byte));
        const __m512i high = _mm512_packus_epi16(_mm512_srli_epi16(a, 8), _mm512_srli_epi16(b, 8));
        _mm512_storeu_si512(block + 192 + g * 64, CHOOSE(bytes(0x80), high, low));
        const __m512i odd = _mm512_and_si512(_mm512_srli_epi16(low, 7), bytes(1));
        code[g] = _mm512_min_epu8(_mm512_or_si512(_mm512_add_epi8(high, high), odd), seven);
        const __mmask64 escaped = _mm512_cmpeq_epi8_mask(code[g], seven);
        const unsigned count = (unsigned)__builtin_popcountll(escaped);
        const __m512i given = _mm512_maskz_compress_epi8(escaped, CHOOSE(bytes(0x80), low, high));
        _mm512_mask_storeu_epi8(*escapes, count == 64 ? ~(__mmask64)0 : ((__mmask64)1 << count) - 1, given);
        *escapes += count;
    }
    __m512i v[3];
    UNROLL for (size_t i = 0; i < 3; i++) v[i] = _mm512_or_si512(code[2 * i], _mm512_slli_epi16(code[2 * i + 1], 3));
    UNROLL for (size_t i = 0; i < 2; i++) v[i] = _mm512_or_si512(v[i], _mm512_slli_epi16(_mm512_and_si512(code[6 + i], bytes(6)), 5));
    v[2] = _mm512_or_si512(v[2], _mm512_slli_epi16(_mm512_and_si512(code[6], bytes(1)), 6));
    v[2] = _mm512_or_si512(v[2], _mm512_slli_epi16(_mm512_and_si512(code[7], bytes(1)), 7));
    UNROLL for (size_t i = 0; i < 3; i++) _mm512_storeu_si512(block + i * 64, v[i]);
}

static size_t encode(const uint16_t *source, size_t stride, size_t rows, size_t columns, const uint8_t *bases, uint8_t *blocks,
                     size_t apart, uint8_t *escapes) {
    const __m512i base = base_words(bases);
    uint8_t *end = escapes;
    uint16_t tile[CK_PLANES3_PART][CK_PLANES3_STEP];
    for (size_t first = 0; first < columns; first += CK_PLANES3_STEP, blocks += apart) {
        const uint16_t *from = source + first;
        size_t step = stride;
        if (rows < CK_PLANES3_PART || columns - first < CK_PLANES3_STEP) {
            p3_fill_tile(tile, from, stride, rows, columns - first, bases);
            from = tile[0];
            step = CK_PLANES3_STEP;
        }
        encode_block(from, step, base, blocks, &end);
    }
    return (size_t)(end - escapes);
}

// ---- Products ---------------------------------------------------------------------------------------------------------------

INLINE __m512 first_of(__m512i pair) { return _mm512_castsi512_ps(_mm512_slli_epi32(pair, 16)); }
INLINE __m512 second_of(__m512i pair) { return _mm512_castsi512_ps(_mm512_and_si512(pair, _mm512_set1_epi32((int)0xffff0000))); }

#define OPERAND float
#define MULTIPLY_PAIR(sum, pair, x)                                                                                            \
    _mm512_fmadd_ps(_mm512_set1_ps((x)[1]), second_of(pair), _mm512_fmadd_ps(_mm512_set1_ps((x)[0]), first_of(pair), sum))
#include "planes3_few_body.h"

const ck_planes3_table ck_planes3_avx512 = {decode, encode, base, count, rows, multiply_few};

#pragma clang attribute pop
#endif
