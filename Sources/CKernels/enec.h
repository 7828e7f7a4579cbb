// Private: ENEC blocks; ENECFormat.md has the layout.
#pragma once

#include "chunk.h"

#define ENEC_CHUNKS (CK_CODEC_BLOCK / CHUNK)
#define ENEC_PLANES 8
#define ENEC_MOST_COLUMNS 16        // chunks / least l
#define ENEC_VERBATIM 0
#define ENEC_CODED 1

// A chunk is in a row and a column; elements in the same place of a column's chunks are a group.
static inline size_t enec_columns(ck_enec p, size_t chunks) { return (chunks + p.l - 1) / p.l; }

static inline unsigned enec_code(ck_enec p, unsigned exponent) { return (p.b - exponent) & ((1u << p.n) - 1); }
static inline uint8_t enec_exponent(ck_type type, ck_enec p, unsigned code) {
    const unsigned half = 1u << (p.n - 1);
    return (uint8_t)((p.b + half - (code ^ half)) & (exponents_of(type) - 1));
}

// A block to be decoded, its extent known.
typedef struct EnecBlock {
    ck_enec p;
    size_t chunks, columns;
    const uint8_t *rests, *more, *low, *high;
    uint64_t masks[ENEC_MOST_COLUMNS];
    size_t most;                    // flagged groups of the fullest column
    size_t high_bytes;              // of each plane of high bits
} EnecBlock;

typedef struct ck_enec_table {
    // Exponents in the order of slots -> planes of their codes; false if some code does not give its exponent back.
    bool (*map)(ck_type, ck_enec, const uint8_t *exponents, size_t chunks, uint64_t (*planes)[ENEC_CHUNKS]);
    // Appends the bits of a plane that `masks` select, from the first bit of `bits` on; up to 8 bytes behind may be overwritten.
    void (*pack)(const uint64_t *plane, const uint64_t *masks, size_t chunks, uint8_t *bits);
    // Elements of all chunks; `tail` takes those of a chunk that is not whole.
    void (*read)(ck_type, const EnecBlock *, size_t whole, uint8_t *elements, uint8_t *tail);
} ck_enec_table;

extern const ck_enec_table ck_enec_scalar, ck_enec_avx2;
