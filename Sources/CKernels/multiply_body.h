// Products for one instruction set; included by its file, which supplies V (sixteen float lanes), the v_ functions and
//   UNITS_AT(rows)   units of sixteen columns that a register tile of `rows` rows covers
//   MANY_ROWS        rows from which the weights are first widened to f32 in a buffer (operands of bf16: read in blocks)
//   EXPAND_UNITS     units of that buffer
//   BLOCK_COLUMNS    k of a block when there are many rows
//   BLOCK_ROWS       rows of a block then
//   FEW_BYTES        panel bytes of a block when there are few rows but several passes
//   DOT_PRODUCT      defined if v_dot multiplies bf16 pairs: then operands of bf16 products are bf16
//   DOT_COLUMNS      BLOCK_COLUMNS of such products
//
// A tile is up to six rows by up to four units, all accumulators in registers. Each accumulator is one chain over k: how the
// rows, columns and k blocks are cut changes nothing in any result.

enum { PAIRS, FLOATS, DOTS };                   // weights as bf16 pairs, as f32, as bf16 pairs for bf16 operands
enum { FROM_ZERO, FROM_C, FROM_C_SCALED };      // what chains start with

typedef struct Tile {
    const void *a;          // [rows][a_stride]
    size_t a_stride;
    const void *w;          // [k/2][w_columns][2] or [k][w_columns], at the tile's first column
    size_t w_columns;
    float *c;               // [rows][c_stride]
    size_t c_stride;
    size_t k;               // even
    int start;
    const float *scale;     // [rows], for FROM_C_SCALED
    size_t tail;            // columns of the last unit that exist: 16 but for the end of a matrix
    const char *next;       // memory to prefetch: `lines` cache lines for each k pair, `step` bytes apart
    size_t step;
} Tile;

#ifndef DOT_COLUMNS
#define DOT_COLUMNS BLOCK_COLUMNS
#endif

#define UNROLL _Pragma("clang loop unroll(full)")

INLINE void tile(const Tile *t, const size_t rows, const size_t units, const int kind, const size_t lines) {
    V sum[6][4];
    UNROLL for (size_t i = 0; i < rows; i++) {
        UNROLL for (size_t u = 0; u < units; u++) {
            const float *c = t->c + i * t->c_stride + u * 16;
            if (t->start == FROM_ZERO) sum[i][u] = v_zero();
            else sum[i][u] = v_load_n(c, u + 1 < units ? 16 : t->tail);
            if (t->start == FROM_C_SCALED) sum[i][u] = v_mul(sum[i][u], v_all(t->scale[i]));
        }
    }
    const char *next = t->next;
    const size_t step = t->step, stride = t->a_stride, k_end = t->k;
    if (kind == DOTS) {
#ifdef DOT_PRODUCT
        const uint16_t *a = t->a, *w = t->w;
        const size_t w_step = t->w_columns * 2;
        for (size_t k = 0; k < k_end; k += 2, w += w_step) {
            D b[4];
            UNROLL for (size_t u = 0; u < units; u++) b[u] = d_load(w + u * 32);
            UNROLL for (size_t l = 0; l < lines; l++) __builtin_prefetch(next + l * 64);
            next += step;
            UNROLL for (size_t i = 0; i < rows; i++) {
                D x = d_all(a + i * stride + k);
                UNROLL for (size_t u = 0; u < units; u++) sum[i][u] = v_dot(x, b[u], sum[i][u]);
            }
        }
#endif
    } else if (kind == PAIRS) {
        const float *a = t->a;
        const uint16_t *w = t->w;
        const size_t w_step = t->w_columns * 2;
        for (size_t k = 0; k < k_end; k += 2, w += w_step) {
            V b[4];
            UNROLL for (size_t u = 0; u < units; u++) b[u] = v_pair_low(w + u * 32);
            UNROLL for (size_t l = 0; l < lines; l++) __builtin_prefetch(next + l * 64);
            next += step;
            UNROLL for (size_t i = 0; i < rows; i++) {
                V x = v_all(a[i * stride + k]);
                UNROLL for (size_t u = 0; u < units; u++) sum[i][u] = v_fma(x, b[u], sum[i][u]);
            }
            UNROLL for (size_t u = 0; u < units; u++) b[u] = v_pair_high(w + u * 32);
            UNROLL for (size_t i = 0; i < rows; i++) {
                V x = v_all(a[i * stride + k + 1]);
                UNROLL for (size_t u = 0; u < units; u++) sum[i][u] = v_fma(x, b[u], sum[i][u]);
            }
        }
    } else {
        const float *a = t->a, *w = t->w;
        const size_t w_step = t->w_columns;
        for (size_t k = 0; k < k_end; k += 2, w += 2 * w_step) {
            UNROLL for (size_t l = 0; l < lines; l++) {
                __builtin_prefetch(next + l * 64);
                __builtin_prefetch(next + step / 2 + l * 64);
            }
            next += step;
            UNROLL for (size_t half = 0; half < 2; half++) {
                V b[4];
                UNROLL for (size_t u = 0; u < units; u++) b[u] = v_load(w + half * w_step + u * 16);
                UNROLL for (size_t i = 0; i < rows; i++) {
                    V x = v_all(a[i * stride + k + half]);
                    UNROLL for (size_t u = 0; u < units; u++) sum[i][u] = v_fma(x, b[u], sum[i][u]);
                }
            }
        }
    }
    UNROLL for (size_t i = 0; i < rows; i++) {
        UNROLL for (size_t u = 0; u < units; u++)
            v_store_n(t->c + i * t->c_stride + u * 16, sum[i][u], u + 1 < units ? 16 : t->tail);
    }
}

// One function for each height, so that every accumulator has its register.
#define TILES(name, kind, lines)                                                                                               \
    static void name(const Tile *t, size_t rows, size_t units) {                                                               \
        switch (units * 8 + rows) {                                                                                            \
        TILE_CASES(kind, lines)                                                                                                \
        default: __builtin_unreachable();                                                                                      \
        }                                                                                                                      \
    }
#define TILE_CASE(rows, units, kind, lines)                                                                                    \
    case (units) * 8 + (rows):                                                                                                 \
        tile(t, rows, units, kind, (lines) < (units) ? (lines) : (units));                                                     \
        break;
#define TILE_ROW_CASES(units, kind, lines)                                                                                     \
    TILE_CASE(1, units, kind, lines)                                                                                           \
    TILE_CASE(2, units, kind, lines)                                                                                           \
    TILE_CASE(3, units, kind, lines)                                                                                           \
    TILE_CASE(4, units, kind, lines)                                                                                           \
    TILE_CASE(5, units, kind, lines)                                                                                           \
    TILE_CASE(6, units, kind, lines)
#ifdef WIDE_TILES
#define TILE_CASES(kind, lines)                                                                                                \
    TILE_ROW_CASES(1, kind, lines)                                                                                             \
    TILE_ROW_CASES(2, kind, lines)                                                                                             \
    TILE_ROW_CASES(3, kind, lines)                                                                                             \
    TILE_ROW_CASES(4, kind, lines)
#else
#define TILE_CASES(kind, lines)                                                                                                \
    TILE_ROW_CASES(1, kind, lines)                                                                                             \
    TILE_CASE(1, 2, kind, lines)                                                                                               \
    TILE_CASE(2, 2, kind, lines)                                                                                               \
    TILE_CASE(3, 2, kind, lines)                                                                                               \
    TILE_CASE(1, 3, kind, lines)                                                                                               \
    TILE_CASE(1, 4, kind, lines)
#endif

TILES(tile_pairs, PAIRS, 0)
TILES(tile_pairs_prefetch, PAIRS, 4)
TILES(tile_floats, FLOATS, 0)
TILES(tile_floats_prefetch, FLOATS, 4)
#ifdef DOT_PRODUCT
TILES(tile_dots, DOTS, 0)
TILES(tile_dots_prefetch_1, DOTS, 1)
TILES(tile_dots_prefetch_2, DOTS, 2)
TILES(tile_dots_prefetch, DOTS, 4)
#endif

static void run_tile(const Tile *t, size_t rows, size_t units, int kind, size_t lines) {
    if (kind == FLOATS) {
        if (lines) tile_floats_prefetch(t, rows, units);
        else tile_floats(t, rows, units);
        return;
    }
#ifdef DOT_PRODUCT
    if (kind == DOTS) {
        if (lines == 0) tile_dots(t, rows, units);
        else if (lines == 1) tile_dots_prefetch_1(t, rows, units);
        else if (lines == 2) tile_dots_prefetch_2(t, rows, units);
        else tile_dots_prefetch(t, rows, units);
        return;
    }
#endif
    if (lines) tile_pairs_prefetch(t, rows, units);
    else tile_pairs(t, rows, units);
}

// The height of the next tile when `left` rows remain: sixes, and two even halves at the end.
INLINE size_t tile_rows(size_t left) { return left >= 12 || left == 6 ? 6 : left > 6 ? (left + 1) / 2 : left; }

INLINE int product_kind(ck_type type) {
#ifdef DOT_PRODUCT
    if (type == CK_BF16) return DOTS;
#endif
    return type == CK_BF16 ? PAIRS : FLOATS;
}

INLINE const void *advance(const void *a, int kind, size_t elements) {
    return (const char *)a + elements * (kind == DOTS ? 2 : 4);
}

// All rows of one block of columns and k: `t` describes the first row. Between tiles, `later` lines from t.next on, t.step bytes
// apart, are prefetched.
static void run_rows(Tile t, size_t rows, size_t units, int kind, size_t later) {
    const size_t share = later * 6 / (rows + 1) + 1;
    for (size_t i = 0; i < rows;) {
        size_t height = tile_rows(rows - i);
        for (size_t l = later < share ? later : share; l > 0; l--, later--, t.next += t.step) __builtin_prefetch(t.next);
        run_tile(&t, height, units, kind, 0);
        t.a = advance(t.a, kind, height * t.a_stride);
        t.c += height * t.c_stride;
        if (t.scale) t.scale += height;
        i += height;
    }
}

// Weights of `columns` columns -> out[k][units][16] in f32; columns that do not exist become zero.
static void expand(const void *w, ck_type type, size_t w_columns, size_t k, size_t columns, float *out) {
    const size_t units = (columns + 15) / 16, row = units * 16;
    for (size_t i = 0; i < k; i += 2, out += 2 * row)
        for (size_t u = 0; u < units; u++) {
            const size_t n = columns - u * 16 < 16 ? columns - u * 16 : 16;
            float *o = out + u * 16;
            if (type == CK_F32) {
                const float *from = (const float *)w + i * w_columns + u * 16;
                v_store(o, v_load_n(from, n));
                v_store(o + row, v_load_n(from + w_columns, n));
            } else {
                const uint16_t *from = (const uint16_t *)w + i * w_columns + u * 32;
                uint16_t part[32] = {0};
                if (n < 16) from = memcpy(part, from, n * 4);
                v_store(o, v_pair_low(from));
                v_store(o + row, v_pair_high(from));
            }
        }
}

// Calls `body` for the part of columns n0..n1 that lies in each panel.
#define FOR_PANELS(p, n, end)                                                                                                  \
    for (size_t n = (p)->n0, end; n < (p)->n1 && (end = (n / CK_PANEL + 1) * CK_PANEL, end = end < (p)->n1 ? end : (p)->n1, 1); n = end)

// A column takes 4 bytes in a row of a panel (an f32, or a bf16 pair); element k of all columns takes CK_PANEL elements.
INLINE const char *weights_at(const ck_product *p, size_t column, size_t k) {
    size_t element = ck_size(p->type), panel = column / CK_PANEL;
    return (const char *)p->w + (panel * p->k + k) * CK_PANEL * element + column % CK_PANEL * 4;
}

INLINE Tile tile_at(const ck_product *p, int kind, size_t row, size_t column, size_t k, size_t depth) {
    return (Tile){
        .a = advance(p->a, kind, row * p->a_stride + k), .a_stride = p->a_stride,
        .w = weights_at(p, column, k), .w_columns = CK_PANEL,
        .c = p->c + row * p->c_stride + column, .c_stride = p->c_stride,
        .k = depth, .start = p->accumulate || k ? FROM_C : FROM_ZERO, .tail = 16,
    };
}

INLINE size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

// Few rows: every weight comes from memory once, and arithmetic must not wait for it. One pass over a panel prefetches 4 KB
// ahead; several passes share a block of k small enough for the first-level cache and prefetch the next block between them.
static void multiply_few(const ck_product *p) {
    const int kind = product_kind(p->type);
    const size_t element = ck_size(p->type), passes = (p->m + 5) / 6, width = UNITS_AT(p->m);
    FOR_PANELS(p, n, end) {
        const size_t units = (end - n + 15) / 16;
        const bool one_pass = passes == 1 && width >= units;
        const size_t block = one_pass ? p->k : FEW_BYTES / (CK_PANEL * element);
        for (size_t k = 0; k < p->k; k += block) {
            const size_t depth = smaller(block, p->k - k), ahead = one_pass ? 4096 : depth * CK_PANEL * element;
            size_t lines_before = 0;
            for (size_t u = 0; u < units; u += width) {
                const size_t across = smaller(width, units - u), column = n + u * 16;
                size_t row = 0;
                for (size_t pass = 0; pass < passes; pass++) {
                    size_t height = (p->m - row + passes - pass - 1) / (passes - pass), lines = pass == 0 ? across : 0;
                    Tile t = tile_at(p, kind, row, column, k, depth);
                    t.tail = smaller(16, end - column - (across - 1) * 16);
                    t.next = (const char *)t.w + ahead;
                    t.step = 2 * CK_PANEL * element;
                    if (!one_pass && units == 4) {
                        // The four lines of a k pair are shared out to the passes so that the next block comes in address order.
                        if (across == 4) lines = passes == 1 ? 4 : passes == 2 ? 2 : passes == 3 ? (pass == 0 ? 2 : 1) : pass < 4 ? 1 : 0;
                        t.step = lines * 64 * element / 2;
                        t.next = weights_at(p, n, k) + ahead + lines_before * depth / 2 * 64 * element / 2;
                        lines_before += lines;
                    }
                    run_tile(&t, height, across, kind, lines);
                    row += height;
                }
            }
        }
    }
}

// Many rows: blocks of k whose weights stay in the first-level cache while the rows pass over them.
static void multiply_many(const ck_product *p) {
    const int kind = product_kind(p->type);
    const size_t element = ck_size(p->type);
    const size_t most = kind == DOTS ? DOT_COLUMNS : BLOCK_COLUMNS;
    const size_t blocks = (p->k + most - 1) / most, block = (p->k / 2 + blocks - 1) / blocks * 2;
    const size_t width = kind == DOTS ? 4 : EXPAND_UNITS;
    _Alignas(64) float wide[BLOCK_COLUMNS * EXPAND_UNITS * 16];
    for (size_t row = 0; row < p->m; row += BLOCK_ROWS) {
        const size_t rows = smaller(BLOCK_ROWS, p->m - row);
        FOR_PANELS(p, n, end) {
            for (size_t k = 0; k < p->k; k += block) {
                const size_t depth = smaller(block, p->k - k);
                for (size_t column = n; column < end; column += width * 16) {
                    const size_t units = smaller(width, (end - column + 15) / 16);
                    Tile t = tile_at(p, kind, row, column, k, depth);
                    t.tail = smaller(16, end - column - (units - 1) * 16);
                    if (kind != DOTS) {
                        t.next = column + width * 16 < end ? (const char *)t.w + width * 64 : weights_at(p, n, k + depth);
                        t.step = CK_PANEL * 4;
                        expand(t.w, p->type, CK_PANEL, depth, units * 16, wide);
                        t.w = wide;
                        t.w_columns = units * 16;
                    }
                    run_rows(t, rows, units, kind == DOTS ? DOTS : FLOATS, kind == DOTS ? 0 : depth * element / 4);
                }
            }
        }
    }
}

static void multiply(const ck_product *p) {
    if (p->k == 0) {
        for (size_t i = 0; i < p->m && !p->accumulate; i++) memset(p->c + i * p->c_stride + p->n0, 0, (p->n1 - p->n0) * sizeof(float));
    } else if (p->m < MANY_ROWS) {
        multiply_few(p);
    } else {
        multiply_many(p);
    }
}
