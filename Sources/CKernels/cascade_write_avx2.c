// The encoder of the cascade with AVX2 (and BMI2, POPCNT).
#include "cascade.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)

#include "chunk_avx2.h"

// Marks of exponents: by a table where all symbols lie within sixteen values, as they do in weights; otherwise symbol by symbol.
typedef struct Marks {
    __m256i table, low, none;
    const Plan *plan;
    bool near;
} Marks;

INLINE Marks marks_for(const Plan *plan) {
    const uint8_t *marks = marks_of(plan->shape), none = marks[symbols_of(plan->shape)];
    uint8_t low = plan->symbols[0], high = low, table[16] = {0};
    for (size_t r = 1; r < plan->count; r++) {
        low = plan->symbols[r] < low ? plan->symbols[r] : low;
        high = plan->symbols[r] > high ? plan->symbols[r] : high;
    }
    const bool near = high - low < 16;
    for (size_t r = 0; near && r < plan->count; r++) table[plan->symbols[r] - low] = marks[r] ^ none;
    return (Marks){load_twice(table), all_bytes(low), all_bytes(none), plan, near};
}

INLINE Bytes marks_at(const Marks *m, Bytes exponents) {
    Bytes result;
    if (m->near) {
        // What is sixteen or more above the lowest symbol, or below it, gets bit 7 and finds 0.
        const __m256i rise = all_bytes(0x70);
        result = look_up(m->table, (Bytes){_mm256_adds_epu8(_mm256_sub_epi8(exponents.a, m->low), rise),
                                           _mm256_adds_epu8(_mm256_sub_epi8(exponents.b, m->low), rise)});
    } else {
        const uint8_t *marks = marks_of(m->plan->shape), none = marks[symbols_of(m->plan->shape)];
        result = (Bytes){_mm256_setzero_si256(), _mm256_setzero_si256()};
        for (size_t r = 0; r < m->plan->count; r++) {
            const __m256i symbol = all_bytes(m->plan->symbols[r]), mark = all_bytes(marks[r] ^ none);
            result = either(result, (Bytes){_mm256_and_si256(_mm256_cmpeq_epi8(exponents.a, symbol), mark),
                                            _mm256_and_si256(_mm256_cmpeq_epi8(exponents.b, symbol), mark)});
        }
    }
    return (Bytes){_mm256_xor_si256(result.a, m->none), _mm256_xor_si256(result.b, m->none)};
}

INLINE void add_raw(const uint8_t *exponents, const uint64_t *lower, const uint64_t *upper, size_t chunks, uint8_t *raw) {
    for (size_t c = 0; c < chunks; c++)
        for (uint64_t some = lower[c] & upper[c]; some; some &= some - 1)
            *raw++ = exponents[c * CHUNK + slot_of_bit((size_t)__builtin_ctzll(some))];
}

#define PLANES 8

// Of escapes a plane has all bits of the planes above set, so where both planes of a level are set is where the level below has bits.
void ck_cascade_write_avx2(const Plan *plan, const uint8_t *exponents, size_t chunks, uint8_t *first, uint8_t *bits, uint8_t *raw) {
    uint64_t planes[PLANES][SEGMENT_CHUNKS], both[3][SEGMENT_CHUNKS];
    const Marks marks = marks_for(plan);
    const bool short_shape = plan->shape == SHAPE_222;
    for (size_t c = 0; c < chunks; c++) {
        Bytes x = order_bits(marks_at(&marks, load_bytes(exponents + c * CHUNK)));
        for (size_t plane = PLANES; plane-- > 0; x = doubled(x)) planes[plane][c] = top_bits(x);
        store_word(first + c * 2 * EACH_PLANE, planes[0][c]);
        store_word(first + c * 2 * EACH_PLANE + EACH_PLANE, planes[1][c]);
        both[0][c] = planes[0][c] & planes[1][c];
        both[1][c] = short_shape ? planes[2][c] & planes[3][c] : planes[4][c] & planes[5][c];
    }
    const Level *l = plan->levels;
    if (short_shape) {
        pack(planes[2], both[0], chunks, bits, l[1].start);
        pack(planes[3], both[0], chunks, bits + l[1].apart, l[1].start);
        pack(planes[4], both[1], chunks, bits, l[2].start);
        pack(planes[5], both[1], chunks, bits + l[2].apart, l[2].start);
        add_raw(exponents, planes[4], planes[5], chunks, raw);
    } else {
        pack(planes[2], both[0], chunks, bits, l[1].start);
        pack(planes[3], planes[2], chunks, bits, l[2].start);
        pack(planes[4], planes[3], chunks, bits, l[3].start);
        pack(planes[5], planes[3], chunks, bits + l[3].apart, l[3].start);
        pack(planes[6], both[1], chunks, bits, l[4].start);
        pack(planes[7], both[1], chunks, bits + l[4].apart, l[4].start);
        add_raw(exponents, planes[6], planes[7], chunks, raw);
    }
}

#pragma clang attribute pop
#endif
