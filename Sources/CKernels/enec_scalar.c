// The specification of ENEC: element by element.
#include "enec.h"

static bool map(ck_type type, ck_enec p, const uint8_t *exponents, size_t chunks, uint64_t (*planes)[ENEC_CHUNKS]) {
    bool fits = true;
    for (size_t plane = 0; plane < ENEC_PLANES; plane++) memset(planes[plane], 0, chunks * sizeof(uint64_t));
    for (size_t c = 0; c < chunks; c++)
        for (size_t i = 0; i < CHUNK; i++) {
            const uint8_t exponent = exponents[c * CHUNK + slot_of_bit(i)];
            const unsigned code = enec_code(p, exponent);
            fits = fits && enec_exponent(type, p, code) == exponent;
            for (size_t plane = 0; plane < ENEC_PLANES; plane++) planes[plane][c] |= (uint64_t)(code >> plane & 1) << i;
        }
    return fits;
}

static void pack(const uint64_t *plane, const uint64_t *masks, size_t chunks, uint8_t *bits) {
    size_t at = 0;
    for (size_t c = 0; c < chunks; c++)
        for (size_t i = 0; i < CHUNK; i++) {
            if (!(masks[c] >> i & 1)) continue;
            if (at % 8 == 0) bits[at / 8] = 0;
            bits[at / 8] |= (uint8_t)((plane[c] >> i & 1) << at % 8);
            at++;
        }
}

static unsigned get(const uint8_t *bits, size_t at) { return bits[at >> 3] >> (at & 7) & 1; }

static void read(ck_type type, const EnecBlock *b, size_t whole, uint8_t *elements, uint8_t *tail) {
    const ck_enec p = b->p;
    size_t at = 0;
    for (size_t c = 0; c < b->chunks; c++) {
        uint8_t *chunk = c < whole ? elements + c * CHUNK * ck_size(type) : tail;
        for (size_t i = 0; i < CHUNK; i++) {
            unsigned code = 0;
            for (size_t plane = 0; plane < p.m; plane++) code |= get(b->low + (c * p.m + plane) * EACH_PLANE, i) << plane;
            if (b->masks[c % b->columns] >> i & 1) {
                for (size_t plane = p.m; plane < p.n; plane++) code |= get(b->high + (plane - p.m) * b->high_bytes, at) << plane;
                at++;
            }
            store_element(type, chunk, c, i, enec_exponent(type, p, code), b->rests, b->more);
        }
    }
}

const ck_enec_table ck_enec_scalar = {map, pack, read};
