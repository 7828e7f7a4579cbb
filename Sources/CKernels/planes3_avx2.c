// planes3 with AVX2: 32 weights at a time, the lower and the upper eight rows of a group one after the other.
#include "planes3.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,bmi,popcnt"))), apply_to = function)

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

INLINE __m256i load(const void *p) { return _mm256_loadu_si256(p); }
INLINE void store(void *p, __m256i x) { _mm256_storeu_si256(p, x); }
INLINE __m256i bytes(int x) { return _mm256_set1_epi8((char)x); }
INLINE __m256i twice(__m128i x) { return _mm256_broadcastsi128_si256(x); }
// a where the bits of the mask are set, else b.
INLINE __m256i choose(__m256i mask, __m256i a, __m256i b) { return _mm256_xor_si256(b, _mm256_and_si256(_mm256_xor_si256(a, b), mask)); }

// ---- Decoding ---------------------------------------------------------------------------------------------------------------

// Half h of the codes of group g, in the lowest three bits of each byte; above them stands anything.
INLINE __m256i codes(const uint8_t *block, const int g, const size_t h) {
    const uint8_t *at = block + h * 32;
    if (g < 6) {
        const __m256i v = load(at + g / 2 * 64);
        return g % 2 ? _mm256_srli_epi16(v, 3) : v;
    }
    const __m256i low = _mm256_srli_epi16(load(at + 128), g - 5);
    return _mm256_srli_epi16(choose(bytes(0xc0), load(at + (g - 6) * 64), low), 5);
}

// Bases of eight rows where products have the rows' pairs.
INLINE __m256i base_words(const uint8_t *bases) {
    const __m128i words = _mm_slli_epi16(_mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)bases)), 7);
    return _mm256_setr_m128i(_mm_unpacklo_epi16(words, words), _mm_unpackhi_epi16(words, words));
}

// 255 * PREFIX = 0x01010101 modulo 2^32: from a mask of four bytes it makes the number of set bytes up to each.
#define PREFIX 0xfbfcfdffu

// How many bytes of the mask are set up to and including each, within 128 bits.
INLINE __m256i counted(__m256i mask) {
    const __m256i last = twice(_mm_setr_epi8(-1, -1, -1, -1, 3, 3, 3, 3, 7, 7, 7, 7, 11, 11, 11, 11));
    const __m256i last_but_one = twice(_mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, 3, 3, 3, 3, 7, 7, 7, 7));
    __m256i count = _mm256_mullo_epi32(mask, _mm256_set1_epi32((int)PREFIX));
    count = _mm256_add_epi8(count, _mm256_shuffle_epi8(count, last));
    return _mm256_add_epi8(count, _mm256_shuffle_epi8(count, last_but_one));
}

// Half h of group g -> its two pairs of columns of eight rows.
INLINE void decode_half(const uint8_t *block, const int g, const size_t h, const uint8_t **escapes, __m256i base, __m256i pair[2]) {
    // What codes stand for, rotated right by one bit. No such number is 255.
    const __m256i table = twice(_mm_setr_epi8(0, -128, 1, -127, 2, -126, 3, -1, 0, -128, 1, -127, 2, -126, 3, -1));
    __m256i c = _mm256_shuffle_epi8(table, _mm256_and_si256(codes(block, g, h), bytes(0x7f)));
    const __m256i escaped = _mm256_cmpeq_epi8(c, bytes(-1));
    const uint32_t where = (uint32_t)_mm256_movemask_epi8(escaped);
    const __m256i given = _mm256_loadu2_m128i((const __m128i *)(*escapes + __builtin_popcount(where & 0xffff)), (const __m128i *)*escapes);
    // The n-th escape of a quarter has index n - 1.
    c = _mm256_blendv_epi8(c, _mm256_shuffle_epi8(given, _mm256_add_epi8(counted(escaped), escaped)), escaped);
    *escapes += __builtin_popcount(where);
    // The sign and the upper seven bits of c; the lowest bit of c and the mantissa.
    const __m256i rest = load(block + 192 + g * 64 + h * 32);
    const __m256i changed = _mm256_and_si256(_mm256_xor_si256(rest, c), bytes(0x80));
    const __m256i high = _mm256_xor_si256(c, changed), low = _mm256_xor_si256(rest, changed);
    pair[0] = _mm256_add_epi16(_mm256_unpacklo_epi8(low, high), base);
    pair[1] = _mm256_add_epi16(_mm256_unpackhi_epi8(low, high), base);
}

INLINE void fetch(const uint8_t *far, const uint8_t *near) {
    UNROLL for (size_t line = 0; line < CK_PLANES3_BLOCK; line += 64) {
        __builtin_prefetch(far + line, 0, 2);
        __builtin_prefetch(near + line, 0, 3);
    }
}

typedef struct { __m256i half[2]; } Base;

// Bases of the parts of a cursor.
INLINE void bases_of(const p3_cursor *at, Base base[P3_PARTS]) {
    for (size_t u = at->first; u < at->end; u++)
        for (size_t h = 0; h < 2; h++) base[u].half[h] = base_words(at->bases + u * CK_PLANES3_PART + h * 8);
}

static void decode(p3_cursor *at, size_t steps, uint16_t *out) {
    Base base[P3_PARTS];
    bases_of(at, base);
    for (; steps > 0; steps--, p3_next(at), out += P3_STEP_WORDS)
        for (size_t u = at->first; u < at->end; u++) {
            const uint8_t *block = p3_block(at, u);
            fetch(p3_far(at, u), block + at->step);
            const uint8_t *escapes = at->escapes[u];
            UNROLL for (int g = 0; g < P3_GROUPS; g++)
                UNROLL for (size_t h = 0; h < 2; h++) {
                    __m256i pair[2];
                    decode_half(block, g, h, &escapes, base[u].half[h], pair);
                    uint16_t *to = out + ((size_t)g * 2 * CK_PANEL + u * CK_PLANES3_PART + h * 8) * 2;
                    store(to, pair[0]);
                    store(to + 2 * CK_PANEL, pair[1]);
                }
            at->escapes[u] = escapes;
        }
}

static size_t count(const uint8_t *block, size_t steps, size_t apart) {
    __m256i sums = _mm256_setzero_si256();
    for (; steps > 0; steps--, block += apart) {
        __m256i found = _mm256_setzero_si256();
        UNROLL for (int g = 0; g < P3_GROUPS; g++)
            UNROLL for (size_t h = 0; h < 2; h++)
                found = _mm256_sub_epi8(found, _mm256_cmpeq_epi8(_mm256_and_si256(codes(block, g, h), bytes(7)), bytes(7)));
        sums = _mm256_add_epi64(sums, _mm256_sad_epu8(found, _mm256_setzero_si256()));
    }
    return (size_t)(_mm256_extract_epi64(sums, 0) + _mm256_extract_epi64(sums, 1) + _mm256_extract_epi64(sums, 2) +
                    _mm256_extract_epi64(sums, 3));
}

// ---- Transposition ----------------------------------------------------------------------------------------------------------

// Eight rows of eight 32-bit words: rows become columns.
INLINE void transpose(__m256i x[8]) {
    __m256i y[8], z[8];
    UNROLL for (size_t i = 0; i < 8; i += 2) {
        y[i] = _mm256_unpacklo_epi32(x[i], x[i + 1]);
        y[i + 1] = _mm256_unpackhi_epi32(x[i], x[i + 1]);
    }
    UNROLL for (size_t i = 0; i < 8; i += 4)
        UNROLL for (size_t j = 0; j < 2; j++) {
            z[i + 2 * j] = _mm256_unpacklo_epi64(y[i + j], y[i + 2 + j]);
            z[i + 2 * j + 1] = _mm256_unpackhi_epi64(y[i + j], y[i + 2 + j]);
        }
    UNROLL for (size_t i = 0; i < 4; i++) {
        x[i] = _mm256_permute2x128_si256(z[i], z[i + 4], 0x20);
        x[i + 4] = _mm256_permute2x128_si256(z[i], z[i + 4], 0x31);
    }
}

static void rows(const uint16_t *words, size_t rows, size_t columns, uint16_t *out, size_t stride) {
    size_t done = 0;
    for (; columns == CK_PLANES3_STEP && done + 8 <= rows; done += 8)
        for (size_t half = 0; half < 2; half++) {
            __m256i x[8];
            UNROLL for (size_t i = 0; i < 8; i++) x[i] = load(words + ((half * 8 + i) * CK_PANEL + done) * 2);
            transpose(x);
            UNROLL for (size_t i = 0; i < 8; i++) store(out + (done + i) * stride + half * 16, x[i]);
        }
    ck_planes3_scalar.rows(words + done * 2, rows - done, columns, out + done * stride, stride);
}

// ---- Encoding ---------------------------------------------------------------------------------------------------------------

// Exponents of 32 weights, in any order.
INLINE __m256i exponents(const uint16_t *w) {
    const __m256i a = load(w), b = load(w + 16);
    return _mm256_packus_epi16(_mm256_srli_epi16(_mm256_add_epi16(a, a), 8), _mm256_srli_epi16(_mm256_add_epi16(b, b), 8));
}

INLINE size_t sum_64(__m256i x) {
    const __m256i s = _mm256_sad_epu8(x, _mm256_setzero_si256());
    return (size_t)(_mm256_extract_epi64(s, 0) + _mm256_extract_epi64(s, 1) + _mm256_extract_epi64(s, 2) + _mm256_extract_epi64(s, 3));
}

static uint8_t base(const uint16_t *row, size_t columns, size_t *escapes) {
    const size_t whole = columns / 32 * 32;
    __m256i greatest = _mm256_setzero_si256();
    for (size_t i = 0; i < whole; i += 32) greatest = _mm256_max_epu8(greatest, exponents(row + i));
    uint8_t lanes[32];
    store(lanes, greatest);
    unsigned top = 0;
    for (size_t i = 0; i < 32; i++) top = lanes[i] > top ? lanes[i] : top;
    for (size_t i = whole; i < columns; i++) top = (row[i] >> 7 & 0xff) > top ? row[i] >> 7 & 0xff : top;
    top++;
    if (top < P3_THRESHOLDS) return ck_planes3_scalar.base(row, columns, escapes);
    size_t below[P3_THRESHOLDS] = {columns};
    for (size_t first = 0; first < whole; first += 255 * 32) {
        const size_t end = whole - first < 255 * 32 ? whole : first + 255 * 32;
        __m256i found[P3_THRESHOLDS];
        UNROLL for (size_t t = 1; t < P3_THRESHOLDS; t++) found[t] = _mm256_setzero_si256();
        for (size_t i = first; i < end; i += 32) {
            const __m256i e = _mm256_xor_si256(exponents(row + i), bytes(0x80));
            UNROLL for (size_t t = 1; t < P3_THRESHOLDS; t++)
                found[t] = _mm256_sub_epi8(found[t], _mm256_cmpgt_epi8(bytes((int)(top - t) ^ 0x80), e));
        }
        UNROLL for (size_t t = 1; t < P3_THRESHOLDS; t++) below[t] += sum_64(found[t]);
    }
    for (size_t i = whole; i < columns; i++)
        for (unsigned t = 1; t < P3_THRESHOLDS; t++) below[t] += (unsigned)(row[i] >> 7 & 0xff) < top - t;
    const int best = p3_window(below);
    if (best < 0) return ck_planes3_scalar.base(row, columns, escapes);
    *escapes = columns - (below[best] - below[best + P3_SYMBOLS]);
    return (uint8_t)(top - P3_SYMBOLS - (unsigned)best);
}

// Group g of a step: pairs of columns 2g and 2g + 1 of eight rows, less the bases -> bytes of sign and mantissa; returns the codes.
INLINE __m256i encode_half(__m256i a, __m256i b, uint8_t *rest, uint8_t **escapes) {
    const __m256i byte = _mm256_set1_epi16(0xff);
    const __m256i low = _mm256_packus_epi16(_mm256_and_si256(a, byte), _mm256_and_si256(b, byte));
    const __m256i high = _mm256_packus_epi16(_mm256_srli_epi16(a, 8), _mm256_srli_epi16(b, 8));
    store(rest, choose(bytes(0x80), high, low));
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi16(low, 7), bytes(1));
    const __m256i code = _mm256_min_epu8(_mm256_or_si256(_mm256_add_epi8(high, high), odd), bytes(P3_SYMBOLS));
    uint32_t where = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(code, bytes(P3_SYMBOLS)));
    uint8_t rotated[32];
    store(rotated, choose(bytes(0x80), low, high));
    for (; where; where &= where - 1) *(*escapes)++ = rotated[__builtin_ctz(where)];
    return code;
}

// Sixteen rows of a step.
INLINE void encode_block(const uint16_t *source, size_t stride, const Base *base, uint8_t *block, uint8_t **escapes) {
    __m256i pairs[2][16], code[2][P3_GROUPS];
    for (size_t h = 0; h < 2; h++)
        for (size_t half = 0; half < 2; half++) {
            UNROLL for (size_t i = 0; i < 8; i++) pairs[h][half * 8 + i] = load(source + (h * 8 + i) * stride + half * 16);
            transpose(pairs[h] + half * 8);
        }
    for (size_t g = 0; g < P3_GROUPS; g++)
        for (size_t h = 0; h < 2; h++)
            code[h][g] = encode_half(_mm256_sub_epi16(pairs[h][2 * g], base->half[h]), _mm256_sub_epi16(pairs[h][2 * g + 1], base->half[h]),
                                     block + 192 + g * 64 + h * 32, escapes);
    for (size_t h = 0; h < 2; h++) {
        const __m256i *c = code[h], one = bytes(1), six = bytes(6);
        __m256i v[3];
        UNROLL for (size_t i = 0; i < 3; i++) v[i] = _mm256_or_si256(c[2 * i], _mm256_slli_epi16(c[2 * i + 1], 3));
        UNROLL for (size_t i = 0; i < 2; i++) {
            v[i] = _mm256_or_si256(v[i], _mm256_slli_epi16(_mm256_and_si256(c[6 + i], six), 5));
            v[2] = _mm256_or_si256(v[2], _mm256_slli_epi16(_mm256_and_si256(c[6 + i], one), 6 + (int)i));
        }
        UNROLL for (size_t i = 0; i < 3; i++) store(block + i * 64 + h * 32, v[i]);
    }
}

static size_t encode(const uint16_t *source, size_t stride, size_t rows, size_t columns, const uint8_t *bases, uint8_t *blocks,
                     size_t apart, uint8_t *escapes) {
    const Base base = {{base_words(bases), base_words(bases + 8)}};
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
        encode_block(from, step, &base, blocks, &end);
    }
    return (size_t)(end - escapes);
}

const ck_planes3_table ck_planes3_avx2 = {decode, encode, base, count, rows, NULL};

#pragma clang attribute pop
#endif
