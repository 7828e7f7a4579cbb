// The specification of what is done with chunks.
#include "chunk.h"

static void exponents(ck_type type, const uint8_t *elements, size_t chunks, uint8_t *out) {
    for (size_t c = 0; c < chunks; c++)
        for (size_t s = 0; s < CHUNK; s++)
            out[c * CHUNK + s] = exponent_of(type, upper_half(type, elements, c * CHUNK + element_of_slot(s)));
}

static void rests(ck_type type, const uint8_t *elements, size_t chunks, uint8_t *rests, uint8_t *more) {
    for (size_t c = 0; c < chunks; c++, more += more_bytes(type)) {
        for (size_t s = 0; s < CHUNK; s++)
            rests[c * CHUNK + s] = rest_of(type, upper_half(type, elements, c * CHUNK + element_of_slot(s)));
        if (type == CK_F32)
            for (size_t i = 0; i < CHUNK; i++) memcpy(more + 2 * i, elements + (c * CHUNK + i) * 4, 2);
        if (type == CK_F16) {
            static const int positions[3] = {8, 9, 15};
            for (size_t plane = 0; plane < 3; plane++) {
                uint64_t word = 0;
                for (size_t i = 0; i < CHUNK; i++) {
                    uint16_t half = upper_half(type, elements, c * CHUNK + element_of_slot(slot_of_bit(i)));
                    word |= (uint64_t)(half >> positions[plane] & 1) << i;
                }
                store_word(more + plane * EACH_PLANE, word);
            }
        }
    }
}

static void count(const uint8_t *bytes, size_t chunks, uint8_t usual, uint16_t *counts) {
    (void)usual;
    for (size_t i = 0; i < chunks * CHUNK; i++) counts[bytes[i]]++;
}

const ck_chunk_table ck_chunk_scalar = {exponents, rests, count};
