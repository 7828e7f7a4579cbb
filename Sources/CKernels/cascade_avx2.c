// The cascade with AVX2 (and BMI2, POPCNT).
#include "cascade.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)

#include "chunk_avx2.h"
#include "chunk_bits.h"
#include "cascade_segment.h"
#include "cascade_body.h"

// The symbols by number: of f16 as the upper byte of an element has them, otherwise rotated right by a bit, so that they have seven bits
// of the upper byte and one of the lower.
INLINE __m256i table_of(ck_type type, const Segment *s) {
    const __m256i symbols = _mm256_broadcastsi128_si256(symbols_by_number(s));
    if (type == CK_F16) return _mm256_slli_epi16(symbols, 2);
    return rotated(symbols);
}

INLINE void store_chunk(ck_type type, const Segment *s, const Numbers *numbers, __m256i table, size_t c, uint8_t *out) {
    __m256i first = load_twice(s->first + c * 2 * EACH_PLANE);
    __asm__("" : "+x"(first));      // two loads to both lanes are better than one and a copy of the result to the upper lane
    const Bytes number = spread(_mm256_xor_si256(first, load_twice(numbers->planes[c])), load_twice(numbers->planes[c] + 2));
    const uint8_t *more = s->more + c * more_bytes(type);
    Bytes high = look_up(table, number), low = load_bytes(s->rests + c * CHUNK);
    if (type == CK_F16) high = either(high, upper_bits(more));
    else swap_tops(&high.a, &low.a), swap_tops(&high.b, &low.b);
    store_elements(type, low, high, more, out);
}

// Bit c is set if chunk c has exponents without a symbol.
INLINE uint32_t chunks_with_raw(const Segment *s, const Numbers *numbers) {
    uint32_t with = 0;
    for (size_t c = 0; c < SEGMENT_CHUNKS; c += 4) {
        const __m256i none = _mm256_cmpeq_epi64(load_32(numbers->raw + c), _mm256_setzero_si256());
        with |= (uint32_t)(~_mm256_movemask_pd(_mm256_castsi256_pd(none)) & 15) << c;
    }
    return with & (uint32_t)(((uint64_t)1 << s->chunks) - 1);
}

// Exponents without a symbol have been written as 0. Most chunks that have one have just one: the inner branch is predicted well.
INLINE void add_raw(ck_type type, const Segment *s, const Numbers *numbers, uint8_t *elements, size_t whole, uint8_t *tail) {
    const uint8_t *raw = s->raw;
    for (uint32_t with = chunks_with_raw(s, numbers); with; with &= with - 1) {
        const size_t c = (size_t)__builtin_ctz(with);
        uint8_t *chunk = c < whole ? elements + c * CHUNK * ck_size(type) : tail;
        uint64_t some = numbers->raw[c];
        do {
            const size_t i = element_of_slot(slot_of_bit((size_t)__builtin_ctzll(some)));
            uint8_t *half = chunk + (type == CK_F32 ? 4 * i + 2 : 2 * i);
            uint16_t bits;
            memcpy(&bits, half, 2);
            bits |= (uint16_t)(*raw++ << (type == CK_F16 ? 10 : 7));
            memcpy(half, &bits, 2);
            some &= some - 1;
        } while (some);
    }
}

static __attribute__((noinline)) size_t read_full(ck_type type, const uint8_t *at, size_t left, size_t count, uint8_t *elements);

INLINE void store_chunks(ck_type type, const Segment *s, bool full, Numbers *numbers, size_t whole, uint8_t *elements, uint8_t *tail) {
    const __m256i table = table_of(type, s);
    const uint8_t *const next = s->rests + s->bytes;
    size_t q = 0;
    for (size_t c = 0; c < LAG; c++) q = spread_chunk(s, full, c, q, numbers);
    for (size_t c = 0; c < whole; c++) {
        __builtin_prefetch(next + c * CHUNK);
        __builtin_prefetch(next + s->bytes - (c + 1) * (CHUNK / 2));
        q = spread_chunk(s, full, c + LAG, q, numbers);
        store_chunk(type, s, numbers, table, c, elements + c * CHUNK * ck_size(type));
    }
    if (whole < s->chunks) store_chunk(type, s, numbers, table, whole, tail);
    add_raw(type, s, numbers, elements, whole, tail);
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

const ck_cascade_table ck_cascade_avx2 = {ck_cascade_write_avx2, read};

#pragma clang attribute pop
#endif
