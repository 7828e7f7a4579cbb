// Private: the parts of planes3 that instruction sets share.
#pragma once

#include "include/ckplanes3.h"
#include "kernels.h"

#define P3_GROUPS 8                     // of a block
#define P3_SYMBOLS 7                    // codes that are no escape
#define P3_HIGHEST_BASE (256 - P3_SYMBOLS)
#define P3_PARTS (CK_PANEL / CK_PLANES3_PART)
#define P3_STEP_WORDS (CK_PLANES3_STEP * CK_PANEL)      // of a step of a panel as products have it
// Steps that a decoder looks ahead into memory: about 16 KB. Into the second-level cache it looks one.
#define P3_FAR 6

static inline size_t p3_parts(size_t rows) { return (rows + CK_PLANES3_PART - 1) / CK_PLANES3_PART; }
static inline size_t p3_steps(size_t columns) { return (columns + CK_PLANES3_STEP - 1) / CK_PLANES3_STEP; }
// Bytes before the blocks.
static inline size_t p3_head(size_t escapes) { return ck_round_up(CK_PLANES3_HEAD + escapes, 64); }
// Row and column within part and step of byte i of a group, as the format says.
static inline size_t p3_row(size_t i) { return i / 16 * 4 + i % 8 / 2; }
static inline size_t p3_column(size_t group, size_t i) { return group * 4 + i / 8 % 2 * 2 + i % 2; }

// A place in a checked panel: its parts first..end-1, from some step on.
typedef struct p3_cursor {
    const uint8_t *bases;
    const uint8_t *block;               // of part `first`
    size_t step;                        // bytes from a step to the next
    const uint8_t *far;                 // what to fetch from memory meanwhile: as much as is decoded, in the same pattern
    size_t first, end;
    const uint8_t *escapes[P3_PARTS];   // what the parts' escapes go on with
} p3_cursor;

static inline p3_cursor p3_open(const void *panel, size_t rows, size_t first, size_t end) {
    const uint8_t *bytes = panel;
    uint32_t ends[P3_PARTS];
    memcpy(ends, bytes + CK_PANEL, sizeof ends);
    const size_t parts = p3_parts(rows);
    p3_cursor at = {
        .bases = bytes, .block = bytes + p3_head(ends[P3_PARTS - 1]) + first * CK_PLANES3_BLOCK,
        .step = parts * CK_PLANES3_BLOCK, .first = first, .end = end,
    };
    at.far = at.block + P3_FAR * at.step;
    for (size_t u = 0; u < P3_PARTS; u++) at.escapes[u] = bytes + CK_PLANES3_HEAD + (u ? ends[u - 1] : 0);
    return at;
}

// Columns n..end-1 of a product, which lie in one panel.
static inline p3_cursor p3_in_product(const ck_planes3_product *p, size_t n, size_t end) {
    const size_t panel = n / CK_PANEL * CK_PANEL, rows = p->n - panel < CK_PANEL ? p->n - panel : CK_PANEL;
    const uint8_t *at = (const uint8_t *)p->w + 64 * (size_t)p->panels[n / CK_PANEL];
    return p3_open(at, rows, (n - panel) / CK_PLANES3_PART, p3_parts(end - panel));
}

static inline const uint8_t *p3_block(const p3_cursor *at, size_t u) { return at->block + (u - at->first) * CK_PLANES3_BLOCK; }
static inline const uint8_t *p3_far(const p3_cursor *at, size_t u) { return at->far + (u - at->first) * CK_PLANES3_BLOCK; }
static inline void p3_next(p3_cursor *at) {
    at->block += at->step;
    at->far += at->step;
}

// Rows of a product up to which weights are multiplied as they are decoded.
#define P3_FEW 8

// Continues the chains sums[rows][64] of the cursor's parts over `steps` whole steps, with the operands a[rows][a_stride]; moves the
// cursor on. Up to P3_FEW rows.
typedef void ck_planes3_few(p3_cursor *at, size_t steps, const void *a, size_t a_stride, size_t rows, float *sums);

// What an instruction set supplies.
typedef struct ck_planes3_table {
    ck_planes3_decoder *decode;
    // Codes up to 16 rows: blocks `apart` bytes apart, and escapes, of which it returns the number and writes not one more.
    size_t (*encode)(const uint16_t *source, size_t stride, size_t rows, size_t columns, const uint8_t *bases, uint8_t *blocks, size_t apart,
                     uint8_t *escapes);
    // The base of a row, and how many of its weights need escapes.
    uint8_t (*base)(const uint16_t *row, size_t columns, size_t *escapes);
    // Codes that are 7 among the blocks of `steps` steps that are `apart` bytes apart.
    size_t (*count)(const uint8_t *block, size_t steps, size_t apart);
    // The rows and columns of a decoded step that exist -> out[rows][stride].
    void (*rows)(const uint16_t *words, size_t rows, size_t columns, uint16_t *out, size_t stride);
    // For operands of CK_F32. May be null.
    ck_planes3_few *multiply;
} ck_planes3_table;

extern const ck_planes3_table ck_planes3_scalar, ck_planes3_avx2, ck_planes3_avx512;
// For operands of CK_BF16, beside ck_planes3_avx512.
extern ck_planes3_few *const ck_planes3_few_bf16;

// The decoder of products on `isa`: that instruction set's own, or the fastest one below it that the machine has.
const ck_planes3_table *ck_planes3_on(ck_isa isa);

// ---- What encoders share ----------------------------------------------------------------------------------------------------

// Windows of seven exponents that are tried before all are: the one that ends with the greatest exponent, and those below it.
#define P3_WINDOWS 6
// below[t]: how many exponents are less than (greatest + 1 - t). Window w has below[w] - below[w + 7].
#define P3_THRESHOLDS (P3_WINDOWS + P3_SYMBOLS)

// The lowest window with the most exponents; -1 if one that was not tried may have as many.
static inline int p3_window(const size_t below[P3_THRESHOLDS]) {
    size_t best = 0, most = 0;
    for (size_t w = 0; w < P3_WINDOWS; w++) {
        const size_t covered = below[w] - below[w + P3_SYMBOLS];
        if (covered >= most) {
            most = covered;
            best = w;
        }
    }
    return most > below[P3_WINDOWS] ? (int)best : -1;
}

// Rows and columns of a block that exist, and as weights equal to their base those that do not.
static inline void p3_fill_tile(uint16_t tile[CK_PLANES3_PART][CK_PLANES3_STEP], const uint16_t *source, size_t stride, size_t rows,
                                size_t columns, const uint8_t *bases) {
    for (size_t i = 0; i < CK_PLANES3_PART; i++)
        for (size_t j = 0; j < CK_PLANES3_STEP; j++)
            tile[i][j] = i < rows && j < columns ? source[i * stride + j] : (uint16_t)(bases[i] << 7);
}
