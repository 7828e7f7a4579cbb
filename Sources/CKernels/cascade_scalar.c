// The specification of the cascade: element by element.
#include "cascade.h"
#include "chunk_bits.h"
#include "cascade_segment.h"

static inline __attribute__((always_inline)) size_t first_escapes(const uint8_t *first, size_t chunks, uint64_t *escapes, size_t *most) {
    size_t sum = 0;
    *most = 0;
    for (size_t c = 0; c < chunks; c++, first += 2 * EACH_PLANE) {
        escapes[c] = load_word(first) & load_word(first + EACH_PLANE);
        const size_t some = set_bits(escapes[c]);
        sum += some;
        *most = some > *most ? some : *most;
    }
    return sum;
}

static void put(uint8_t *bits, size_t at, unsigned bit) { bits[at >> 3] |= (uint8_t)(bit << (at & 7)); }
static unsigned get(const uint8_t *bits, size_t at) { return bits[at >> 3] >> (at & 7) & 1; }

static void write(const Plan *plan, const uint8_t *exponents, size_t chunks, uint8_t *first, uint8_t *bits, uint8_t *raw) {
    const uint8_t *marks = marks_of(plan->shape);
    const size_t most = symbols_of(plan->shape);
    size_t at[LEVELS] = {0};
    memset(bits, 0, (size_t)(raw - bits));
    for (size_t i = 0; i < chunks * CHUNK; i++) {
        const uint8_t exponent = exponents[i / CHUNK * CHUNK + slot_of_bit(i % CHUNK)];
        size_t rank = 0;
        while (rank < plan->count && plan->symbols[rank] != exponent) rank++;
        uint8_t mark = marks[rank < plan->count ? rank : most];
        uint8_t *planes = first + i / CHUNK * 2 * EACH_PLANE;
        if (i % CHUNK == 0) memset(planes, 0, 2 * EACH_PLANE);
        put(planes, i % CHUNK, mark & 1);
        put(planes + EACH_PLANE, i % CHUNK, mark >> 1 & 1);
        bool escaped = (mark & 3) == 3;
        mark >>= 2;
        for (size_t level = 1; escaped && level < levels_of(plan->shape); level++) {
            const Level *l = &plan->levels[level];
            const bool pair = width_of(plan->shape, level) == 2;
            put(bits, l->start + at[level], mark & 1);
            if (pair) put(bits + l->apart, l->start + at[level], mark >> 1 & 1);
            at[level]++;
            escaped = pair ? (mark & 3) == 3 : mark & 1;
            mark >>= pair ? 2 : 1;
        }
        if (escaped) *raw++ = exponent;
    }
}

static size_t read(ck_type type, const uint8_t *at, size_t left, size_t count, uint8_t *elements) {
    Segment s;
    if (!open_segment(type, at, left, count, &s)) return read_verbatim(type, at, left, count, elements);
    uint8_t chunk[CHUNK * 4];
    const uint8_t *raw = s.raw;
    size_t reached[LEVELS] = {0};
    for (size_t c = 0; c < s.chunks; c++) {
        for (size_t i = 0; i < CHUNK; i++) {
            unsigned code = get(s.first + c * 16, i) | get(s.first + c * 16 + 8, i) << 1;
            size_t rank = code;
            bool escaped = code == 3;
            for (size_t level = 1; escaped && level < levels_of(s.shape); level++) {
                const size_t from = s.levels[level].start + reached[level]++;
                const bool pair = width_of(s.shape, level) == 2;
                code = get(s.bits, from) | (pair ? get(s.bits + s.levels[level].apart, from) << 1 : 0);
                escaped = code == (pair ? 3 : 1);
                rank += code;
            }
            store_element(type, chunk, c, i, escaped ? *raw++ : s.symbols[rank], s.rests, s.more);
        }
        const size_t here = count - c * CHUNK < CHUNK ? count - c * CHUNK : CHUNK;
        memcpy(elements + c * CHUNK * ck_size(type), chunk, here * ck_size(type));
        if (!is_padding(type, s.symbols[0], chunk, here)) return 0;
    }
    return s.bytes;
}

const ck_cascade_table ck_cascade_scalar = {write, read};
