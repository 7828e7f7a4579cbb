// ENEC with AVX2 (and BMI2, POPCNT).
#include "enec.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)

#include "chunk_avx2.h"
#include "chunk_bits.h"

// The exponents of codes: b + 2^(n - 1) - (code ^ 2^(n - 1)).
typedef struct Decoder { __m256i base, half, limit; } Decoder;

INLINE Decoder decoder_of(ck_type type, ck_enec p) {
    const int half = 1 << (p.n - 1);
    return (Decoder){all_bytes(p.b + half), all_bytes(half), all_bytes((int)exponents_of(type) - 1)};
}
INLINE __m256i exponents_at(Decoder d, __m256i codes) {
    return _mm256_and_si256(_mm256_sub_epi8(d.base, _mm256_xor_si256(codes, d.half)), d.limit);
}

static bool map(ck_type type, ck_enec p, const uint8_t *exponents, size_t chunks, uint64_t (*planes)[ENEC_CHUNKS]) {
    const Decoder d = decoder_of(type, p);
    const __m256i b = all_bytes(p.b), mask = all_bytes((1 << p.n) - 1);
    __m256i equal = all_bytes(255);
    for (size_t c = 0; c < chunks; c++) {
        const Bytes x = load_bytes(exponents + c * CHUNK);
        const Bytes codes = {_mm256_and_si256(_mm256_sub_epi8(b, x.a), mask), _mm256_and_si256(_mm256_sub_epi8(b, x.b), mask)};
        equal = _mm256_and_si256(equal, _mm256_and_si256(_mm256_cmpeq_epi8(exponents_at(d, codes.a), x.a),
                                                         _mm256_cmpeq_epi8(exponents_at(d, codes.b), x.b)));
        Bytes bits = order_bits(codes);
        for (size_t plane = ENEC_PLANES; plane-- > 0; bits = doubled(bits)) planes[plane][c] = top_bits(bits);
    }
    return _mm256_movemask_epi8(equal) == -1;
}

static void pack_plane(const uint64_t *plane, const uint64_t *masks, size_t chunks, uint8_t *bits) { pack(plane, masks, chunks, bits, 0); }

#define BATCH 32                // chunks whose planes are found before any is stored: see LAG of the cascade

// Planes of the codes of some chunks; those from n on are zero already.
INLINE void find_planes(const EnecBlock *b, bool full, size_t first, size_t end, size_t *q, uint64_t (*planes)[ENEC_PLANES]) {
    const size_t m = b->p.m, n = b->p.n;
    size_t column = first % b->columns, at = *q;
    for (size_t c = first; c < end; c++) {
        uint64_t *const out = planes[c - first];
        const uint64_t mask = b->masks[column];
        for (size_t plane = 0; plane < m; plane++) out[plane] = load_word(b->low + (c * m + plane) * EACH_PLANE);
        const uint8_t *high = b->high;
        for (size_t plane = m; plane < n; plane++, high += b->high_bytes)
            out[plane] = _pdep_u64(full ? all_bits_at(high, at) : bits_at(high, at), mask);
        at += set_bits(mask);
        column = column + 1 == b->columns ? 0 : column + 1;
    }
    *q = at;
}

INLINE void store_chunk(ck_type type, const EnecBlock *b, Decoder d, const uint64_t *planes, size_t c, uint8_t *out) {
    Bytes codes = spread(load_twice(planes), load_twice(planes + 2));
    if (b->p.n > 4) {
        const Bytes upper = spread(load_twice(planes + 4), load_twice(planes + 6));
        codes = either(codes, (Bytes){_mm256_slli_epi16(upper.a, 4), _mm256_slli_epi16(upper.b, 4)});
    }
    Bytes high = {exponents_at(d, codes.a), exponents_at(d, codes.b)}, low = load_bytes(b->rests + c * CHUNK);
    const uint8_t *more = b->more + c * more_bytes(type);
    if (type == CK_F16) {
        high = either((Bytes){_mm256_slli_epi16(high.a, 2), _mm256_slli_epi16(high.b, 2)}, upper_bits(more));
    } else {
        high = (Bytes){rotated(high.a), rotated(high.b)};
        swap_tops(&high.a, &low.a), swap_tops(&high.b, &low.b);
    }
    store_elements(type, low, high, more, out);
}

INLINE void read_some(ck_type type, const EnecBlock *b, size_t whole, uint8_t *elements, uint8_t *tail) {
    const Decoder d = decoder_of(type, b->p);
    const uint8_t *const next = b->high + b->high_bytes * (b->p.n - b->p.m);
    _Alignas(32) uint64_t planes[BATCH][ENEC_PLANES];
    memset(planes, 0, sizeof planes);
    size_t q = 0;
    for (size_t first = 0; first < b->chunks; first += BATCH) {
        const size_t end = b->chunks - first < BATCH ? b->chunks : first + BATCH;
        if (b->most > SURE_BITS) find_planes(b, true, first, end, &q, planes);
        else find_planes(b, false, first, end, &q, planes);
        for (size_t c = first; c < end; c++) {
            __builtin_prefetch(next + c * (CHUNK + CHUNK / 2));
            __builtin_prefetch(next + c * (CHUNK + CHUNK / 2) + CHUNK);
            store_chunk(type, b, d, planes[c - first], c, c < whole ? elements + c * CHUNK * ck_size(type) : tail);
        }
    }
}

static void read(ck_type type, const EnecBlock *b, size_t whole, uint8_t *elements, uint8_t *tail) {
    switch (type) {
    case CK_BF16: read_some(CK_BF16, b, whole, elements, tail); break;
    case CK_F16: read_some(CK_F16, b, whole, elements, tail); break;
    case CK_F32: read_some(CK_F32, b, whole, elements, tail); break;
    }
}

const ck_enec_table ck_enec_avx2 = {map, pack_plane, read};

#pragma clang attribute pop
#endif
