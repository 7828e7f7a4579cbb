// The cascade with AVX-512 (BW, VBMI, VBMI2). Encoding is as with AVX2.
#include "cascade.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)

#define INLINE static inline __attribute__((always_inline))

#include "chunk_bits.h"
#include "cascade_segment.h"
#include "cascade_body.h"

INLINE __m512i load_64(const void *p) { return _mm512_loadu_si512(p); }
INLINE __m512i each(int x) { return _mm512_set1_epi8((char)x); }

// From the order of bits into that of slots.
INLINE __m512i slot_order(void) {
    const __m512i eights = _mm512_set1_epi64(0x3830282018100800);
    return _mm512_add_epi8(eights, _mm512_setr_epi64(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303,
                                                     0x0404040404040404, 0x0505050505050505, 0x0606060606060606, 0x0707070707070707));
}

// Bits of x where the mask has them, otherwise those of y.
INLINE __m512i pick(__m512i mask, __m512i x, __m512i y) { return _mm512_ternarylogic_epi64(mask, x, y, 0xca); }

// `raw` is where the exponents without a symbol go on.
INLINE void store_chunk(ck_type type, const Segment *s, const Numbers *numbers, __m512i symbols, const uint8_t **raw, size_t c,
                        uint8_t *out) {
    const uint64_t *planes = numbers->planes[c];
    const uint8_t *first = s->first + c * 2 * EACH_PLANE;
    __m512i number = _mm512_maskz_mov_epi8(planes[0] ^ load_word(first), each(1));
    number = _mm512_mask_add_epi8(number, planes[1] ^ load_word(first + EACH_PLANE), number, each(2));
    number = _mm512_mask_add_epi8(number, planes[2], number, each(4));
    number = _mm512_mask_add_epi8(number, planes[3], number, each(8));
    __m512i exponent = _mm512_permutexvar_epi8(number, symbols);
    exponent = _mm512_mask_expand_epi8(exponent, numbers->raw[c], load_64(*raw));
    *raw += set_bits(numbers->raw[c]);

    const __m512i rest = load_64(s->rests + c * CHUNK), mantissa = each(0x7f);
    const uint8_t *more = s->more + c * more_bytes(type);
    __m512i high, low = rest;
    if (type == CK_F16) {
        high = _mm512_slli_epi16(exponent, 2);
        high = _mm512_mask_add_epi8(high, load_word(more), high, each(1));
        high = _mm512_mask_add_epi8(high, load_word(more + 8), high, each(2));
        high = _mm512_mask_add_epi8(high, load_word(more + 16), high, each(0x80));
        high = _mm512_permutexvar_epi8(slot_order(), high);
    } else {
        exponent = _mm512_permutexvar_epi8(slot_order(), exponent);
        high = pick(mantissa, _mm512_srli_epi16(exponent, 1), rest);
        low = pick(mantissa, rest, _mm512_slli_epi16(exponent, 7));
    }
    const __m512i front = _mm512_unpacklo_epi8(low, high), back = _mm512_unpackhi_epi8(low, high);
    if (type != CK_F32) {
        _mm512_storeu_si512(out, front);
        _mm512_storeu_si512(out + 64, back);
        return;
    }
    for (size_t half = 0; half < 2; half++) {
        const __m512i upper = half ? back : front, lower = load_64(more + half * 64);
        const __m512i x = _mm512_unpacklo_epi16(lower, upper), y = _mm512_unpackhi_epi16(lower, upper);
        _mm512_storeu_si512(out + half * 128, _mm512_permutex2var_epi64(x, _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), y));
        _mm512_storeu_si512(out + half * 128 + 64, _mm512_permutex2var_epi64(x, _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), y));
    }
}

static __attribute__((noinline)) size_t read_full(ck_type type, const uint8_t *at, size_t left, size_t count, uint8_t *elements);

INLINE void store_chunks(ck_type type, const Segment *s, bool full, Numbers *numbers, size_t whole, uint8_t *elements, uint8_t *tail) {
    const __m512i symbols = _mm512_broadcast_i32x4(symbols_by_number(s));
    const uint8_t *const next = s->rests + s->bytes, *raw = s->raw;
    size_t q = 0;
    for (size_t c = 0; c < LAG; c++) q = spread_chunk(s, full, c, q, numbers);
    for (size_t c = 0; c < whole; c++) {
        __builtin_prefetch(next + c * CHUNK);
        __builtin_prefetch(next + s->bytes - (c + 1) * (CHUNK / 2));
        q = spread_chunk(s, full, c + LAG, q, numbers);
        store_chunk(type, s, numbers, symbols, &raw, c, elements + c * CHUNK * ck_size(type));
    }
    if (whole < s->chunks) store_chunk(type, s, numbers, symbols, &raw, whole, tail);
}

// Whether a segment is full is known once it is open. The function for full ones opens it again, so that no address of what is here
// leaves this function: the compiler could not keep it in registers otherwise.
INLINE size_t read_some(ck_type type, bool full, const uint8_t *at, size_t left, size_t count, uint8_t *elements) {
    Segment s;
    Numbers numbers;
    if (__builtin_expect(!open_segment(type, at, left, count, &s), 0)) return read_verbatim(type, at, left, count, elements);
    if (!full && __builtin_expect(s.most > SURE_BITS, 0)) return read_full(type, at, left, count, elements);
    make_streams(&s, &numbers);
    const size_t whole = count / CHUNK, part = count % CHUNK, size = ck_size(type);
    uint8_t tail[CHUNK * 4];
    store_chunks(type, &s, full, &numbers, whole, elements, tail);
    if (part) {
        memcpy(elements + whole * CHUNK * size, tail, part * size);
        if (!is_padding(type, s.symbols[0], tail, part)) return 0;
    }
    return s.bytes;
}

static size_t read_full(ck_type type, const uint8_t *at, size_t left, size_t count, uint8_t *elements) {
    return read_some(type, true, at, left, count, elements);
}

static size_t read(ck_type type, const uint8_t *at, size_t left, size_t count, uint8_t *elements) {
    switch (type) {
    case CK_BF16: return read_some(CK_BF16, false, at, left, count, elements);
    case CK_F16: return read_some(CK_F16, false, at, left, count, elements);
    case CK_F32: return read_some(CK_F32, false, at, left, count, elements);
    }
    return 0;
}

const ck_cascade_table ck_cascade_avx512 = {ck_cascade_write_avx2, read};

#pragma clang attribute pop
#endif
