// Private: rANS streams. README.md has the format.
#pragma once

#include "include/ckkv.h"
#include "kernels.h"

#define RANS_LEAST_BITS 15
#define RANS_LEAST (1u << RANS_LEAST_BITS)      // states are RANS_LEAST..2^31-1 between symbols, and below 2^16 before the first
#define RANS_LANES 128          // at most

static inline uint32_t rans_frequency(uint64_t code) { return code & 0x1fff; }
static inline uint32_t rans_shift(uint64_t code) { return code >> 13 & 15; }
static inline uint32_t rans_start(uint64_t code) { return (uint32_t)code >> 17; }
static inline uint32_t rans_reciprocal(uint64_t code) { return (uint32_t)(code >> 32); }

typedef struct ck_rans_kernels {
    // Codes the symbols of one run: the lanes' states and the place in the words move on.
    uint8_t *(*encode)(size_t lanes, const uint8_t *symbols, const ck_rans_run *, uint32_t *states, uint8_t *words);
    // Undoes it from `words` downwards; returns where it stopped, null if `least` is passed.
    const uint8_t *(*decode)(size_t lanes, const uint8_t *least, const uint8_t *words, const ck_rans_run *, uint32_t *states,
                             uint8_t *symbols);
    // Where among the states that of a lane is.
    size_t (*place)(size_t lane);
} ck_rans_kernels;

extern const ck_rans_kernels ck_rans_scalar, ck_rans_avx2, ck_rans_avx512;

// One symbol.
static inline uint8_t *rans_put(const ck_rans_table *t, uint8_t symbol, uint32_t *state, uint8_t *words) {
    const uint64_t code = t->code[symbol];
    const uint32_t frequency = rans_frequency(code), x = *state;
    const bool full = x >> (31 - t->bits) >= frequency;
    memcpy(words, &x, 2);
    const uint32_t y = full ? x >> 16 : x;
    const uint32_t quotient = (uint32_t)((uint64_t)(y + y) * rans_reciprocal(code) >> 32) >> rans_shift(code);
    *state = y + rans_start(code) + quotient * ((1u << t->bits) - frequency);
    return words + 2 * full;
}

// One symbol back; reads the two bytes before `words` in any case.
static inline const uint8_t *rans_get(const ck_rans_table *t, uint8_t *symbol, uint32_t *state, const uint8_t *words) {
    const uint32_t slot = t->slot[*state & ((1u << t->bits) - 1)];
    const uint32_t x = (*state >> t->bits) * ((slot >> 8 & 0xfff) + 1) + (slot >> 20);
    const bool empty = x < RANS_LEAST;
    uint16_t word;
    memcpy(&word, words - 2, 2);
    *symbol = (uint8_t)slot;
    *state = empty ? x << 16 | word : x;
    return words - 2 * empty;
}
