// What of a machine the codecs use, and the histogram of exponents.
#include "chunk.h"

ck_isa ck_codec_level(ck_isa isa) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (isa == CK_SCALAR || !__builtin_cpu_supports("bmi2") || !__builtin_cpu_supports("popcnt")) return CK_SCALAR;
    if (isa == CK_AVX2 || !__builtin_cpu_supports("avx512vbmi") || !__builtin_cpu_supports("avx512vbmi2")) return CK_AVX2;
    return CK_AVX512;
#else
    (void)isa;
    return CK_SCALAR;
#endif
}

const ck_chunk_table *ck_chunks(ck_isa isa) {
#if defined(__x86_64__)
    if (ck_codec_level(isa) != CK_SCALAR) return &ck_chunk_avx2;
#endif
    (void)isa;
    return &ck_chunk_scalar;
}

#define PIECE (32 * CHUNK)      // what 16-bit counts and the table's functions bear

void ck_exponent_histogram(ck_isa isa, ck_type type, const void *elements, size_t count, uint64_t counts[256]) {
    const ck_chunk_table *chunks = ck_chunks(isa);
    const uint8_t *from = elements;
    _Alignas(64) uint8_t exponents[PIECE];
    uint8_t usual = 0;
    for (; count >= CHUNK; ) {
        const size_t whole = count < PIECE ? count / CHUNK : PIECE / CHUNK;
        uint16_t some[256] = {0};
        chunks->exponents(type, from, whole, exponents);
        chunks->count(exponents, whole, usual, some);
        for (size_t e = 0; e < 256; e++) {
            counts[e] += some[e];
            if (some[e] > some[usual]) usual = (uint8_t)e;
        }
        from += whole * CHUNK * ck_size(type);
        count -= whole * CHUNK;
    }
    for (size_t i = 0; i < count; i++) counts[exponent_of(type, upper_half(type, from, i))]++;
}
