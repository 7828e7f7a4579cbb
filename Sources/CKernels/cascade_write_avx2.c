// The encoder of the cascade with AVX2 (and BMI2, POPCNT).
#include "cascade.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)

#include "chunk_avx2.h"

// Exponents by a number of four bits from which the planes of all levels follow with a few operations on words; fewer bits have to be taken
// out of bytes than there are planes. Of (p3, p2, p1, p0): p1 and p0 are what the deepest level says that an element reaches, as far as
// that is not 0.
//   (2,2,2)      ranks 0 to 3 are 0 to 3, 4 to 6 are 5 to 7, 7 to 9 are 9 to 11
//   (2,1,1,2,2)  ranks 0 to 3 are 0 to 3, 4 and 5 are 4 and 5, 6 to 8 are 9 to 11, 9 to 11 are 13 to 15
static const uint8_t numbers_222[10] = {0, 1, 2, 3, 5, 6, 7, 9, 10, 11};
static const uint8_t numbers_21122[12] = {0, 1, 2, 3, 4, 5, 9, 10, 11, 13, 14, 15};

// By a table where all symbols lie within sixteen values, as they do in weights; otherwise symbol by symbol.
typedef struct Numbering {
    __m256i table, low, none;
    const uint8_t *numbers;
    const Plan *plan;
    bool near;
} Numbering;

INLINE Numbering numbering_for(const Plan *plan) {
    const uint8_t *numbers = plan->shape == SHAPE_222 ? numbers_222 : numbers_21122, none = numbers[symbols_of(plan->shape)];
    uint8_t low = plan->symbols[0], high = low, table[16] = {0};
    for (size_t r = 1; r < plan->count; r++) {
        low = plan->symbols[r] < low ? plan->symbols[r] : low;
        high = plan->symbols[r] > high ? plan->symbols[r] : high;
    }
    const bool near = high - low < 16;
    for (size_t r = 0; near && r < plan->count; r++) table[plan->symbols[r] - low] = numbers[r] ^ none;
    return (Numbering){load_twice(table), all_bytes(low), all_bytes(none), numbers, plan, near};
}

INLINE Bytes number_of(const Numbering *n, Bytes exponents) {
    Bytes result;
    if (n->near) {
        // What is sixteen or more above the lowest symbol, or below it, gets bit 7 and finds 0.
        const __m256i rise = all_bytes(0x70);
        result = look_up(n->table, (Bytes){_mm256_adds_epu8(_mm256_sub_epi8(exponents.a, n->low), rise),
                                           _mm256_adds_epu8(_mm256_sub_epi8(exponents.b, n->low), rise)});
    } else {
        const uint8_t none = n->numbers[symbols_of(n->plan->shape)];
        result = (Bytes){_mm256_setzero_si256(), _mm256_setzero_si256()};
        for (size_t r = 0; r < n->plan->count; r++) {
            const __m256i symbol = all_bytes(n->plan->symbols[r]), number = all_bytes(n->numbers[r] ^ none);
            result = either(result, (Bytes){_mm256_and_si256(_mm256_cmpeq_epi8(exponents.a, symbol), number),
                                            _mm256_and_si256(_mm256_cmpeq_epi8(exponents.b, symbol), number)});
        }
    }
    return (Bytes){_mm256_xor_si256(result.a, n->none), _mm256_xor_si256(result.b, n->none)};
}

INLINE void add_raw(const uint8_t *exponents, const uint64_t *lower, const uint64_t *upper, size_t chunks, uint8_t *raw) {
    for (size_t c = 0; c < chunks; c++)
        for (uint64_t some = lower[c] & upper[c]; some; some &= some - 1)
            *raw++ = exponents[c * CHUNK + slot_of_bit((size_t)__builtin_ctzll(some))];
}

#define PLANES 8

// Planes in the order of marks_of, and the elements that escape the first level and the one above the last.
INLINE void find_planes(const Plan *plan, Shape shape, const uint8_t *exponents, size_t chunks, uint64_t (*planes)[SEGMENT_CHUNKS],
                        uint64_t (*escapes)[SEGMENT_CHUNKS], uint8_t *first) {
    const Numbering numbering = numbering_for(plan);
    for (size_t c = 0; c < chunks; c++, first += 2 * EACH_PLANE) {
        const Bytes ordered = order_bits(number_of(&numbering, load_bytes(exponents + c * CHUNK)));
        Bytes x = {_mm256_slli_epi16(ordered.a, 4), _mm256_slli_epi16(ordered.b, 4)};
        const uint64_t p3 = top_bits(x), p2 = top_bits(x = doubled(x)), p1 = top_bits(x = doubled(x)), p0 = top_bits(doubled(x));
        const uint64_t below = p2 | p3, a0 = p0 | below, a1 = p1 | below;
        store_word(first, a0);
        store_word(first + EACH_PLANE, a1);
        escapes[0][c] = a0 & a1;
        if (shape == SHAPE_222) {
            planes[2][c] = p3 | (p2 & p0), planes[3][c] = p3 | (p2 & p1);
            planes[4][c] = p3 & p0, planes[5][c] = p3 & p1;
            escapes[1][c] = planes[2][c] & planes[3][c];
        } else {
            planes[2][c] = below, planes[3][c] = p3 | (p2 & p0);
            planes[4][c] = p3 & (p2 | p0), planes[5][c] = p3 & (p2 | p1);
            planes[6][c] = p3 & p2 & p0, planes[7][c] = p3 & p2 & p1;
            escapes[1][c] = planes[4][c] & planes[5][c];
        }
    }
}

void ck_cascade_write_avx2(const Plan *plan, const uint8_t *exponents, size_t chunks, uint8_t *first, uint8_t *bits, uint8_t *raw) {
    uint64_t planes[PLANES][SEGMENT_CHUNKS], escapes[2][SEGMENT_CHUNKS];
    const Level *l = plan->levels;
    if (plan->shape == SHAPE_222) {
        find_planes(plan, SHAPE_222, exponents, chunks, planes, escapes, first);
        pack(planes[2], escapes[0], chunks, bits, l[1].start);
        pack(planes[3], escapes[0], chunks, bits + l[1].apart, l[1].start);
        pack(planes[4], escapes[1], chunks, bits, l[2].start);
        pack(planes[5], escapes[1], chunks, bits + l[2].apart, l[2].start);
        add_raw(exponents, planes[4], planes[5], chunks, raw);
    } else {
        find_planes(plan, SHAPE_21122, exponents, chunks, planes, escapes, first);
        pack(planes[2], escapes[0], chunks, bits, l[1].start);
        pack(planes[3], planes[2], chunks, bits, l[2].start);
        pack(planes[4], planes[3], chunks, bits, l[3].start);
        pack(planes[5], planes[3], chunks, bits + l[3].apart, l[3].start);
        pack(planes[6], escapes[1], chunks, bits, l[4].start);
        pack(planes[7], escapes[1], chunks, bits + l[4].apart, l[4].start);
        add_raw(exponents, planes[6], planes[7], chunks, raw);
    }
}

#pragma clang attribute pop
#endif
