// Chunks with AVX2 (and BMI2, POPCNT).
#include "chunk.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)

#include "chunk_avx2.h"

INLINE void some_exponents(ck_type type, const uint8_t *elements, size_t chunks, uint8_t *out) {
    for (size_t c = 0; c < chunks; c++) {
        Bytes low, high;
        load_elements(type, elements + c * CHUNK * ck_size(type), &low, &high);
        store_bytes(out + c * CHUNK, (Bytes){join_exponent(type, low.a, high.a), join_exponent(type, low.b, high.b)});
    }
}

static void exponents(ck_type type, const uint8_t *elements, size_t chunks, uint8_t *out) {
    switch (type) {
    case CK_BF16: some_exponents(CK_BF16, elements, chunks, out); break;
    case CK_F16: some_exponents(CK_F16, elements, chunks, out); break;
    case CK_F32: some_exponents(CK_F32, elements, chunks, out); break;
    }
}

INLINE void some_rests(ck_type type, const uint8_t *elements, size_t chunks, uint8_t *rests, uint8_t *more) {
    const __m256i mantissa = all_bytes(0x7f);
    for (size_t c = 0; c < chunks; c++, more += more_bytes(type)) {
        const uint8_t *from = elements + c * CHUNK * ck_size(type);
        Bytes low, high;
        load_elements(type, from, &low, &high);
        if (type != CK_F16) low = (Bytes){pick(mantissa, low.a, high.a), pick(mantissa, low.b, high.b)};
        store_bytes(rests + c * CHUNK, low);
        if (type == CK_F16) {
            const Bytes bits = order_bits(high);
            store_word(more + 2 * EACH_PLANE, top_bits(bits));
            const Bytes ends = {_mm256_slli_epi16(bits.a, 6), _mm256_slli_epi16(bits.b, 6)};
            store_word(more + EACH_PLANE, top_bits(ends));
            store_word(more, top_bits(doubled(ends)));
        }
        if (type == CK_F32) {
            const __m256i mask = _mm256_set1_epi32(0xffff);
            for (size_t q = 0; q < 4; q++) {
                const __m256i x = _mm256_and_si256(load_32(from + q * 64), mask), y = _mm256_and_si256(load_32(from + q * 64 + 32), mask);
                store_32(more + q * 32, _mm256_permute4x64_epi64(_mm256_packus_epi32(x, y), 0xd8));
            }
        }
    }
}

static void rests(ck_type type, const uint8_t *elements, size_t chunks, uint8_t *rests, uint8_t *more) {
    switch (type) {
    case CK_BF16: some_rests(CK_BF16, elements, chunks, rests, more); break;
    case CK_F16: some_rests(CK_F16, elements, chunks, rests, more); break;
    case CK_F32: some_rests(CK_F32, elements, chunks, rests, more); break;
    }
}

#define WINDOW 16
#define TOGETHER 7              // chunks: fourteen registers of bytes, so that sums of four bits bear them

// Those bytes among some chunks that are not in the window, one by one: there are few.
static void count_outside(const uint8_t *bytes, size_t chunks, __m256i base, uint16_t *counts) {
    const __m256i last = all_bytes(WINDOW - 1);
    for (size_t i = 0; i < chunks * CHUNK; i += 32) {
        const __m256i x = _mm256_sub_epi8(load_32(bytes + i), base);
        uint32_t outside = ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(x, last), x));
        for (; outside; outside &= outside - 1) counts[bytes[i + (size_t)__builtin_ctz(outside)]]++;
    }
}

// Half of the values of the window. Two of them share a byte of a sum: what a table has for them is 1 and 16, and 0 for others. (A table of
// counters takes more than a cycle a byte, and longer where neighbours are equal; comparing with each value twice as long as this.)
INLINE void count_eight(const uint8_t *bytes, size_t chunks, unsigned first, size_t half, uint16_t *counts) {
    const __m256i base = all_bytes((int)first), rise = all_bytes(0x70), fifteen = all_bytes(15), zero = _mm256_setzero_si256();
    __m256i tables[4], sums[8];
    for (size_t t = 0; t < 4; t++) {
        uint8_t entries[16] = {0};
        entries[half * 8 + 2 * t] = 1, entries[half * 8 + 2 * t + 1] = 16;
        tables[t] = load_twice(entries);
        sums[2 * t] = sums[2 * t + 1] = zero;
    }
    for (size_t c = 0; c < chunks; c += TOGETHER) {
        const size_t here = chunks - c < TOGETHER ? chunks - c : TOGETHER;
        __m256i some[4] = {zero, zero, zero, zero}, outside = zero;
        for (size_t i = c * CHUNK; i < (c + here) * CHUNK; i += 32) {
            const __m256i x = _mm256_adds_epu8(_mm256_sub_epi8(load_32(bytes + i), base), rise);    // bit 7 is set outside
            for (size_t t = 0; t < 4; t++) some[t] = _mm256_add_epi8(some[t], _mm256_shuffle_epi8(tables[t], x));
            outside = _mm256_or_si256(outside, x);
        }
        for (size_t t = 0; t < 4; t++) {
            const __m256i odd = _mm256_and_si256(_mm256_srli_epi16(some[t], 4), fifteen);
            sums[2 * t] = _mm256_add_epi64(sums[2 * t], _mm256_sad_epu8(_mm256_and_si256(some[t], fifteen), zero));
            sums[2 * t + 1] = _mm256_add_epi64(sums[2 * t + 1], _mm256_sad_epu8(odd, zero));
        }
        if (half == 0 && _mm256_movemask_epi8(outside)) count_outside(bytes + c * CHUNK, here, base, counts);
    }
    for (size_t v = 0; v < 8; v++) {
        const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(sums[v]), _mm256_extracti128_si256(sums[v], 1));
        counts[first + half * 8 + v] += (uint16_t)(_mm_cvtsi128_si32(two) + _mm_cvtsi128_si32(_mm_unpackhi_epi64(two, two)));
    }
}

static void count(const uint8_t *bytes, size_t chunks, uint8_t usual, uint16_t *counts) {
    const unsigned first = usual < 11 ? 0 : usual > 251 ? 240 : usual - 11u;   // weights have more small exponents than great ones
    count_eight(bytes, chunks, first, 0, counts);
    count_eight(bytes, chunks, first, 1, counts);
}

const ck_chunk_table ck_chunk_avx2 = {exponents, rests, count};

#pragma clang attribute pop
#endif
