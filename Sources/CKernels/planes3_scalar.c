// planes3 in plain C: the specification of ckplanes3.h.
#include "planes3.h"

static uint8_t rotate(uint8_t c) { return (uint8_t)(c >> 1 | c << 7); }

// The three code bits of byte i of a group.
static unsigned code(const uint8_t *block, size_t group, size_t i) {
    if (group < 6) return block[group / 2 * 64 + i] >> group % 2 * 3 & 7;
    return (unsigned)(block[(group - 6) * 64 + i] >> 6) << 1 | (block[128 + i] >> group & 1);
}

static void put_code(uint8_t *block, size_t group, size_t i, unsigned code) {
    if (group < 6) {
        block[group / 2 * 64 + i] |= (uint8_t)(code << group % 2 * 3);
    } else {
        block[(group - 6) * 64 + i] |= (uint8_t)(code >> 1 << 6);
        block[128 + i] |= (uint8_t)((code & 1) << group);
    }
}

static void decode(p3_cursor *at, size_t steps, uint16_t *out) {
    for (; steps > 0; steps--, at->block += at->step, out += P3_STEP_WORDS)
        for (size_t u = at->first; u < at->end; u++) {
            const uint8_t *block = at->block + (u - at->first) * CK_PLANES3_BLOCK, *rest = block + 192;
            for (size_t g = 0; g < P3_GROUPS; g++)
                for (size_t i = 0; i < 64; i++, rest++) {
                    const size_t row = u * CK_PLANES3_PART + p3_row(i), column = p3_column(g, i);
                    unsigned c = code(block, g, i);
                    if (c == P3_SYMBOLS) {
                        const uint8_t escape = *at->escapes[u]++;
                        c = (uint8_t)(escape << 1 | escape >> 7);
                    }
                    const unsigned word = (unsigned)(*rest & 0x80) << 8 | c << 7 | (*rest & 0x7f);
                    out[column / 2 * CK_PANEL * 2 + row * 2 + column % 2] = (uint16_t)(word + ((unsigned)at->bases[row] << 7));
                }
        }
}

static size_t encode(const uint16_t *source, size_t stride, size_t rows, size_t columns, const uint8_t *bases, uint8_t *blocks,
                     size_t apart, uint8_t *escapes) {
    size_t count = 0;
    for (size_t first = 0; first < columns; first += CK_PLANES3_STEP, blocks += apart) {
        memset(blocks, 0, 192);
        for (size_t g = 0; g < P3_GROUPS; g++)
            for (size_t i = 0; i < 64; i++) {
                const size_t row = p3_row(i), column = first + p3_column(g, i);
                const uint16_t base = (uint16_t)(bases[row] << 7);
                const uint16_t word = row < rows && column < columns ? (uint16_t)(source[row * stride + column] - base) : 0;
                const uint8_t c = (uint8_t)(word >> 7);
                blocks[192 + g * 64 + i] = (uint8_t)((word >> 8 & 0x80) | (word & 0x7f));
                put_code(blocks, g, i, c < P3_SYMBOLS ? c : P3_SYMBOLS);
                if (c >= P3_SYMBOLS) escapes[count++] = rotate(c);
            }
    }
    return count;
}

static uint8_t base(const uint16_t *row, size_t columns, size_t *escapes) {
    uint32_t counts[256] = {0};
    for (size_t i = 0; i < columns; i++) counts[row[i] >> 7 & 0xff]++;
    size_t covered = 0, most = 0, best = 0;
    for (size_t e = 0; e < 256; e++) {
        covered += counts[e];
        if (e < P3_SYMBOLS - 1) continue;
        if (covered > most) {
            most = covered;
            best = e - (P3_SYMBOLS - 1);
        }
        covered -= counts[e - (P3_SYMBOLS - 1)];
    }
    *escapes = columns - most;
    return (uint8_t)best;
}

static size_t count(const uint8_t *block, size_t steps, size_t apart) {
    size_t found = 0;
    for (; steps > 0; steps--, block += apart)
        for (size_t g = 0; g < P3_GROUPS; g++)
            for (size_t i = 0; i < 64; i++) found += code(block, g, i) == P3_SYMBOLS;
    return found;
}

static void rows(const uint16_t *words, size_t rows, size_t columns, uint16_t *out, size_t stride) {
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) out[i * stride + j] = words[j / 2 * CK_PANEL * 2 + i * 2 + j % 2];
}

const ck_planes3_table ck_planes3_scalar = {decode, encode, base, count, rows, NULL};
