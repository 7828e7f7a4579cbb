// rANS: the specification.
#include "rans.h"

static uint8_t *encode(size_t lanes, const uint8_t *symbols, const ck_rans_run *run, uint32_t *states, uint8_t *words) {
    for (size_t i = 0; i < run->count; i++) words = rans_put(run->table, symbols[i], states + i % lanes, words);
    return words;
}

static const uint8_t *decode(size_t lanes, const uint8_t *least, const uint8_t *words, const ck_rans_run *run, uint32_t *states,
                             uint8_t *symbols) {
    for (size_t i = run->count; i-- > 0;) {
        words = rans_get(run->table, symbols + i, states + i % lanes, words);
        if (words < least) return NULL;
    }
    return words;
}

static size_t place(size_t lane) { return lane; }

const ck_rans_kernels ck_rans_scalar = {encode, decode, place};
