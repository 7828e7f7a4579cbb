// Private: 64 elements of a tensor, the unit of all codecs, and how an element comes apart into an exponent and a rest.
//
// Bytes of a chunk stand in the order of slots: that in which two registers of bytes, unpacked with two others, give the elements in
// their order. Bits of a chunk stand in planes, words of 64 bits: bit i belongs to slot 8 * (i % 8) + i / 8, because that turns planes
// into bytes with two steps of a transposition.
#pragma once

#include "include/ckcodecs.h"
#include "kernels.h"

#define CHUNK 64
#define EACH_PLANE 8        // bytes

static inline size_t slot_of_bit(size_t i) { return 8 * (i % 8) + i / 8; }
static inline size_t element_of_slot(size_t s) { return (s >> 3 & 1) * 32 + (s >> 5) * 16 + (s >> 4 & 1) * 8 + s % 8; }

static inline size_t chunks_of(size_t count) { return (count + CHUNK - 1) / CHUNK; }

// Bytes per chunk beside the byte of rest that each element has. f16: planes of mantissa bit 8, mantissa bit 9, the sign. f32: the
// lower halves, in the order of elements.
static inline size_t more_bytes(ck_type type) { return type == CK_F16 ? 3 * EACH_PLANE : type == CK_F32 ? 2 * CHUNK : 0; }

static inline size_t exponents_of(ck_type type) { return type == CK_F16 ? 32 : 256; }

// The half of an element that has its exponent.
static inline uint16_t upper_half(ck_type type, const uint8_t *elements, size_t i) {
    uint16_t half;
    memcpy(&half, elements + (type == CK_F32 ? 4 * i + 2 : 2 * i), 2);
    return half;
}

// An exponent and a rest byte. bf16, f32: sign and seven bits of mantissa; f16: eight bits of mantissa.
static inline uint8_t exponent_of(ck_type type, uint16_t half) { return (uint8_t)(type == CK_F16 ? half >> 10 & 31 : half >> 7 & 255); }
static inline uint8_t rest_of(ck_type type, uint16_t half) {
    return (uint8_t)(type == CK_F16 ? half & 255 : (half >> 8 & 0x80) | (half & 0x7f));
}
static inline uint16_t half_of(ck_type type, uint8_t exponent, uint8_t rest) {
    if (type == CK_F16) return (uint16_t)(exponent << 10 | rest);
    return (uint16_t)((rest & 0x80) << 8 | exponent << 7 | (rest & 0x7f));
}

static inline uint64_t load_word(const void *p) {
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}
static inline void store_word(void *p, uint64_t word) { memcpy(p, &word, 8); }

// Whether elements from.. of a decoded chunk are what padding is: an exponent and nothing else.
static inline bool is_padding(ck_type type, uint8_t exponent, const uint8_t *chunk, size_t from) {
    const uint16_t half = half_of(type, exponent, 0);
    for (size_t i = from; i < CHUNK; i++) {
        uint16_t low = 0;
        if (type == CK_F32) memcpy(&low, chunk + 4 * i, 2);
        if (low || upper_half(type, chunk, i) != half) return false;
    }
    return true;
}

// The element of bit i of chunk c, whose rests and more are in `rests` and `more`, goes to its place in `chunk`.
static inline void store_element(ck_type type, uint8_t *chunk, size_t c, size_t i, uint8_t exponent, const uint8_t *rests, const uint8_t *more) {
    const size_t slot = slot_of_bit(i), element = element_of_slot(slot);
    uint16_t half = half_of(type, exponent, rests[c * CHUNK + slot]);
    more += c * more_bytes(type);
    if (type == CK_F16)
        half |= (uint16_t)((load_word(more) >> i & 1) << 8 | (load_word(more + 8) >> i & 1) << 9 | (load_word(more + 16) >> i & 1) << 15);
    if (type == CK_F32) memcpy(chunk + 4 * element, more + 2 * element, 2);
    memcpy(chunk + (type == CK_F32 ? 4 * element + 2 : 2 * element), &half, 2);
}

// What an instruction set does with whole chunks.
typedef struct ck_chunk_table {
    // Exponents in the order of slots.
    void (*exponents)(ck_type, const uint8_t *elements, size_t chunks, uint8_t *out);
    // Rest bytes in the order of slots, and what else there is.
    void (*rests)(ck_type, const uint8_t *elements, size_t chunks, uint8_t *rests, uint8_t *more);
    // Adds how often each byte occurs; `usual` is a byte near which most of them are expected, of no influence on the result.
    void (*count)(const uint8_t *bytes, size_t chunks, uint8_t usual, uint16_t *counts);
} ck_chunk_table;

extern const ck_chunk_table ck_chunk_scalar, ck_chunk_avx2;

// The instruction set to code with: CK_SCALAR, CK_AVX2 (with BMI2 and POPCNT; pdep and pext are slow, not wrong, before Zen 3) or
// CK_AVX512 (with VBMI and VBMI2). At most `isa`, less where the machine lacks what ck_isa does not promise.
ck_isa ck_codec_level(ck_isa isa);

const ck_chunk_table *ck_chunks(ck_isa isa);
