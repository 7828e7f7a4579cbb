// Products for one instruction set; included by its file, which supplies V (sixteen float lanes), the v_ functions and
//   UNITS_AT(rows)   units of sixteen columns that a register tile covers when there are `rows` rows
//   TALLEST(units)   rows of the highest tile of that width
//   MOST_ROWS        the greatest TALLEST, 6 or 12
//   MOST_UNITS       the greatest UNITS_AT of several rows
//   KEEP_FROM        tiles over one block from which the first keeps what it widens
//   BLOCK_COLUMNS    k of a block over which several tiles pass
//   MANY_COLUMNS     the same for 64 rows and more, at least BLOCK_COLUMNS
//   BLOCK_ROWS       rows of a block
//   DOT_PRODUCT      defined if v_dot multiplies bf16 pairs: then operands of bf16 products are bf16
//   DOT_COLUMNS      BLOCK_COLUMNS of such products
//
// A tile is up to six rows by four units or twelve by two, all accumulators in registers. Each accumulator is one chain over k: how the
// rows, columns and k blocks are cut changes nothing in any result.

// Weights as bf16 pairs, widened in registers; the same, and what was widened is kept for the next tiles; as f32; as bf16 pairs
// for bf16 operands.
enum { PAIRS, KEEP, FLOATS, DOTS };
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
    float *keep;            // [k][units][16], for KEEP
    const char *next;       // memory to fetch into the second-level cache: some lines for each k pair, `step` bytes apart
    size_t step;
} Tile;

// How far a single pass looks ahead: into the second-level cache, whose requests leave the few fill buffers of the first level
// soon, and from there.
#define FAR 16384
#define NEAR 4096
// k of a block when one tile has all rows: the panel is in the second-level cache, and chains need not be interrupted.
#define ONCE_COLUMNS 1536

// Lines for each k pair: none, one, two, or every line that the tile itself reads.
enum { NONE, ONE, TWO, ALL };

#ifndef DOT_COLUMNS
#define DOT_COLUMNS BLOCK_COLUMNS
#endif

#define UNROLL _Pragma("clang loop unroll(full)")

// Operands of a tile: every third row has a pointer, the two behind it are reached by the stride. So six rows need three
// registers.
typedef struct Rows {
    const char *at[(MOST_ROWS + 2) / 3];
} Rows;

INLINE Rows rows_at(const void *a, size_t row_bytes, const size_t rows) {
    Rows r;
    UNROLL for (size_t i = 0; i < rows; i += 3) r.at[i / 3] = (const char *)a + i * row_bytes;
    return r;
}
INLINE void step_rows(Rows *r, size_t bytes, const size_t rows) {
    UNROLL for (size_t i = 0; i < rows; i += 3) {
        r->at[i / 3] += bytes;
        __asm__("" : "+r"(r->at[i / 3]));       // or the compiler makes a register of every row again
    }
}
INLINE const void *row_at(const Rows *r, size_t i, size_t row_bytes) { return r->at[i / 3] + i % 3 * row_bytes; }

// Operands are loaded where they are used: loaded earlier they would cost accumulators their registers.
#define IN_ORDER __asm__ volatile("" ::: "memory")

// What a tile fetches with a k pair; `w` are its own weights, `rows` of them `apart` bytes apart. `near` lines of its own come
// from the second-level cache.
INLINE void fetch(const int lines, const size_t units, const bool near, const char *next, const char *w, const size_t rows, size_t apart) {
    UNROLL for (size_t l = 0; l < (lines == ALL ? 0 : (size_t)lines); l++) __builtin_prefetch(next + l * 64, 0, 2);
    UNROLL for (size_t r = 0; r < (lines == NONE ? 0 : rows); r++)
        UNROLL for (size_t u = 0; u < units; u++) {
            if (lines == ALL) __builtin_prefetch(next + r * apart + u * 64, 0, 2);
            if (near) __builtin_prefetch(w + r * apart + u * 64 + NEAR, 0, 3);
        }
}

INLINE void tile(const Tile *t, const size_t rows, const size_t units, const int kind, const int lines) {
    V sum[MOST_ROWS][4];
    if (t->start == FROM_ZERO) {
        UNROLL for (size_t i = 0; i < rows; i++)
            UNROLL for (size_t u = 0; u < units; u++) sum[i][u] = v_zero();
    } else {
        UNROLL for (size_t i = 0; i < rows; i++) {
            const float *c = t->c + i * t->c_stride;
            UNROLL for (size_t u = 0; u + 1 < units; u++) sum[i][u] = v_load(c + u * 16);
            sum[i][units - 1] = v_load_n(c + (units - 1) * 16, t->tail);
        }
        if (t->start == FROM_C_SCALED) {
            UNROLL for (size_t i = 0; i < rows; i++)
                UNROLL for (size_t u = 0; u < units; u++) sum[i][u] = v_mul(sum[i][u], v_all(t->scale[i]));
        }
    }
    const char *next = t->next;
    const size_t step = t->step, k_end = t->k;
    if (kind == DOTS) {
#ifdef DOT_PRODUCT
        const uint16_t *w = t->w;
        const size_t w_step = t->w_columns * 2, row_bytes = t->a_stride * 2;
        Rows a = rows_at(t->a, row_bytes, rows);
        for (size_t k = 0; k < k_end; k += 2, w += w_step, next += step) {
            D b[4];
            UNROLL for (size_t u = 0; u < units; u++) b[u] = d_load(w + u * 32);
            fetch(lines, units, true, next, (const char *)w, 1, 0);
            UNROLL for (size_t i = 0; i < rows; i++) {
                D x = d_all(row_at(&a, i, row_bytes));
                UNROLL for (size_t u = 0; u < units; u++) sum[i][u] = v_dot(x, b[u], sum[i][u]);
                IN_ORDER;
            }
            step_rows(&a, 4, rows);
        }
#endif
    } else {
        const size_t row_bytes = t->a_stride * 4, w_step = t->w_columns * 4;        // bytes of a k pair of bf16, of a k of f32
        const char *w = t->w;
        float *keep = t->keep;
        Rows a = rows_at(t->a, row_bytes, rows);
        for (size_t k = 0; k < k_end; k += 2, w += kind == FLOATS ? 2 * w_step : w_step, next += step) {
            fetch(lines, units, kind != FLOATS || lines == ALL, next, w, kind == FLOATS ? 2 : 1, w_step);
            UNROLL for (size_t half = 0; half < 2; half++) {
                V b[4];
                UNROLL for (size_t u = 0; u < units; u++) {
                    if (kind == FLOATS) b[u] = v_load((const float *)(w + half * w_step) + u * 16);
                    else b[u] = half ? v_pair_high((const uint16_t *)w + u * 32) : v_pair_low((const uint16_t *)w + u * 32);
                    if (kind == KEEP) v_store(keep + u * 16, b[u]);
                }
                if (kind == KEEP) keep += units * 16;
                UNROLL for (size_t i = 0; i < rows; i++) {
                    V x = v_all(((const float *)row_at(&a, i, row_bytes))[half]);
                    UNROLL for (size_t u = 0; u < units; u++) sum[i][u] = v_fma(x, b[u], sum[i][u]);
                    IN_ORDER;
                }
            }
            step_rows(&a, 8, rows);
        }
    }
    UNROLL for (size_t i = 0; i < rows; i++) {
        float *c = t->c + i * t->c_stride;
        UNROLL for (size_t u = 0; u + 1 < units; u++) v_store(c + u * 16, sum[i][u]);
        v_store_n(c + (units - 1) * 16, sum[i][units - 1], t->tail);
    }
}

// One function for each height, so that every accumulator has its register.
#define TILES(name, kind, lines)                                                                                               \
    static void name(const Tile *t, size_t rows, size_t units) {                                                               \
        switch (units * 16 + rows) {                                                                                            \
        TILE_CASES(kind, lines)                                                                                                \
        default: __builtin_unreachable();                                                                                      \
        }                                                                                                                      \
    }
#define TILE_CASE(rows, units, kind, lines)                                                                                    \
    case (units) * 16 + (rows):                                                                                                \
        tile(t, rows, units, kind, lines);                                                                                     \
        break;
#define TILE_ROW_CASES(units, kind, lines)                                                                                     \
    TILE_CASE(1, units, kind, lines)                                                                                           \
    TILE_CASE(2, units, kind, lines)                                                                                           \
    TILE_CASE(3, units, kind, lines)                                                                                           \
    TILE_CASE(4, units, kind, lines)                                                                                           \
    TILE_CASE(5, units, kind, lines)                                                                                           \
    TILE_CASE(6, units, kind, lines)
#if MOST_ROWS == 12
#define TALL_ROW_CASES(units, kind, lines)                                                                                     \
    TILE_CASE(7, units, kind, lines)                                                                                           \
    TILE_CASE(8, units, kind, lines)                                                                                           \
    TILE_CASE(9, units, kind, lines)                                                                                           \
    TILE_CASE(10, units, kind, lines)                                                                                          \
    TILE_CASE(11, units, kind, lines)                                                                                          \
    TILE_CASE(12, units, kind, lines)
#define TALL_CASES(kind, lines)                                                                                                \
    TALL_ROW_CASES(1, kind, lines)                                                                                             \
    TALL_ROW_CASES(2, kind, lines)
#else
#define TALL_CASES(kind, lines)
#endif
#ifdef WIDE_TILES
#define TILE_CASES(kind, lines)                                                                                                \
    TALL_CASES(kind, lines)                                                                                                    \
    TILE_ROW_CASES(1, kind, lines)                                                                                             \
    TILE_ROW_CASES(2, kind, lines)                                                                                             \
    TILE_ROW_CASES(3, kind, lines)                                                                                             \
    TILE_ROW_CASES(4, kind, lines)
#else
#define TILE_CASES(kind, lines)                                                                                                \
    TILE_ROW_CASES(1, kind, lines)                                                                                             \
    TILE_CASE(1, 2, kind, lines)                                                                                               \
    TILE_CASE(2, 2, kind, lines)                                                                                               \
    TILE_CASE(1, 3, kind, lines)                                                                                               \
    TILE_CASE(1, 4, kind, lines)
#endif

typedef void TileFunction(const Tile *t, size_t rows, size_t units);
#define TILE_KINDS(name, kind)                                                                                                 \
    TILES(name##_none, kind, NONE)                                                                                             \
    TILES(name##_one, kind, ONE)                                                                                               \
    TILES(name##_two, kind, TWO)                                                                                               \
    TILES(name##_all, kind, ALL)                                                                                               \
    static TileFunction *const name[] = {[NONE] = name##_none, [ONE] = name##_one, [TWO] = name##_two, [ALL] = name##_all};

TILE_KINDS(tile_pairs, PAIRS)
TILE_KINDS(tile_keep, KEEP)
TILE_KINDS(tile_floats, FLOATS)
#ifdef DOT_PRODUCT
TILE_KINDS(tile_dots, DOTS)
#endif

INLINE void run_tile(const Tile *t, size_t rows, size_t units, int kind, int lines) {
#ifdef DOT_PRODUCT
    if (kind == DOTS) {
        tile_dots[lines](t, rows, units);
        return;
    }
#endif
    (kind == FLOATS ? tile_floats : kind == KEEP ? tile_keep : tile_pairs)[lines](t, rows, units);
}

INLINE int product_kind(ck_type type) {
#ifdef DOT_PRODUCT
    if (type == CK_BF16) return DOTS;
#endif
    return type == CK_BF16 ? PAIRS : FLOATS;
}

INLINE const void *advance(const void *a, int kind, size_t elements) {
    return (const char *)a + elements * (kind == DOTS ? 2 : 4);
}

INLINE size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

// The height of the next tile when `left` rows remain: highest ones, and two even halves at the end.
INLINE size_t tile_rows(size_t left, size_t tallest) {
    return left >= 2 * tallest || left == tallest ? tallest : left > tallest ? (left + 1) / 2 : left;
}

// All rows of one block of columns and k: `t` describes the first row. Of many tiles the first keeps the weights that it
// widens in t.keep. They share `lines` cache lines to fetch for each k pair (at most two in one tile), in order from t.next; if
// t.step is set, the first tile fetches lines like its own from t.next instead.
static void run_rows(Tile t, size_t rows, size_t units, int kind, size_t lines) {
    const size_t tallest = TALLEST(units);
    size_t passes = (rows + tallest - 1) / tallest;
    bool own = t.step > 0;
    if (kind == PAIRS && passes >= KEEP_FROM) kind = KEEP;
    for (size_t i = 0; i < rows; passes--, own = false) {
        const size_t height = tile_rows(rows - i, tallest), share = lines > passes ? 2 : lines > 0;
        if (!own) t.step = share * 64;
        run_tile(&t, height, units, kind, own ? ALL : share == 2 ? TWO : share == 1 ? ONE : NONE);
        t.next += t.k / 2 * t.step;
        lines -= share;
        t.a = advance(t.a, kind, height * t.a_stride);
        t.c += height * t.c_stride;
        if (t.scale) t.scale += height;
        i += height;
        if (kind == KEEP) {
            kind = FLOATS;
            t.w = t.keep;
            t.w_columns = units * 16;
        }
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

// A single pass over each panel: its chains never leave the registers.
static void multiply_once(const ck_product *p, const int kind) {
    const size_t element = ck_size(p->type);
    FOR_PANELS(p, n, end) {
        Tile t = tile_at(p, kind, 0, n, 0, p->k);
        const size_t units = (end - n + 15) / 16, tail = smaller(16, end - n - (units - 1) * 16);
        // The end of the last panel fetches what comes after it.
        const size_t ending = p->next && end == p->n1 ? smaller(p->k, FAR / (CK_PANEL * element)) : 0;
        if (ending < p->k) {
            t.k = p->k - ending;
            t.tail = tail;
            t.next = (const char *)t.w + FAR;
            t.step = 2 * CK_PANEL * element;
            run_tile(&t, p->m, units, kind, ALL);
        }
        if (ending > 0) {
            t = tile_at(p, kind, 0, n, p->k - ending, ending);
            t.tail = tail;
            t.next = p->next;
            t.step = 2 * CK_PANEL * element;
            run_tile(&t, p->m, units, kind, ALL);
        }
    }
}

// Blocks of k that stay in the caches while the rows pass over them; meanwhile the next block is fetched in address order, its
// lines shared out to the passes. Every weight comes from memory once for each block of rows.
static void multiply_blocks(const ck_product *p, const int kind) {
    const size_t element = ck_size(p->type);
    // Equal shares of rows, in whole tiles: a short last one would cost a pass over the weights.
    const size_t shares = (p->m + BLOCK_ROWS - 1) / BLOCK_ROWS, share = ((p->m + shares - 1) / shares + 5) / 6 * 6;
    _Alignas(64) float wide[MANY_COLUMNS * MOST_UNITS * 16];
    for (size_t row = 0; row < p->m; row += share) {
        const size_t rows = smaller(share, p->m - row), width = UNITS_AT(rows);
        const size_t most = kind == DOTS ? DOT_COLUMNS : rows <= TALLEST(width) ? ONCE_COLUMNS : rows < 64 ? BLOCK_COLUMNS : MANY_COLUMNS;
        const size_t blocks = (p->k + most - 1) / most, block = (p->k / 2 + blocks - 1) / blocks * 2;
        FOR_PANELS(p, n, end) {
            const bool whole = end - n == CK_PANEL && p->type == CK_BF16;
            for (size_t k = 0; k < p->k; k += block) {
                const size_t depth = smaller(block, p->k - k), bytes = depth * CK_PANEL * element;
                const bool last = end == p->n1 && k + depth == p->k;
                const char *next = !last ? weights_at(p, n, k) + bytes : row + rows < p->m || !p->next ? weights_at(p, p->n0, 0) : p->next;
                for (size_t column = n; column < end; column += width * 16) {
                    const size_t units = smaller(width, (end - column + 15) / 16);
                    Tile t = tile_at(p, kind, row, column, k, depth);
                    t.tail = smaller(16, end - column - (units - 1) * 16);
                    t.keep = wide;
                    t.next = whole || last ? next : (const char *)t.w + bytes;
                    t.step = whole ? 0 : 2 * CK_PANEL * element;
                    next += depth / 2 * units * 64;
                    run_rows(t, rows, units, kind, whole ? units : 0);
                }
            }
        }
    }
}

static void multiply(const ck_product *p) {
    const int kind = product_kind(p->type);
    if (p->k == 0) {
        for (size_t i = 0; i < p->m && !p->accumulate; i++) memset(p->c + i * p->c_stride + p->n0, 0, (p->n1 - p->n0) * sizeof(float));
    } else if (p->m <= TALLEST(4)) {
        multiply_once(p, kind);
    } else {
        multiply_blocks(p, kind);
    }
}

// k of a block of planes3 that is decoded at once: within the first-level cache while one tile has all rows.
#define PLANES_ONCE 192
#define PLANES_COLUMNS (MANY_COLUMNS / CK_PLANES3_STEP * CK_PLANES3_STEP)

// Every weight is decoded once, whatever the number of rows.
static void multiply_planes3(const ck_planes3_product *p, ck_planes3_decoder *decode) {
    const int kind = product_kind(CK_BF16);
    const size_t k_end = ck_round_up(p->k, 2), shares = (p->m + BLOCK_ROWS - 1) / BLOCK_ROWS;
    const size_t share = shares == 1 ? p->m : ((p->m + shares - 1) / shares + 5) / 6 * 6, width = UNITS_AT(share);
    const size_t block = p->m <= TALLEST(width) ? PLANES_ONCE : PLANES_COLUMNS;
    _Alignas(64) uint16_t w[PLANES_COLUMNS * CK_PANEL];
    _Alignas(64) float wide[MANY_COLUMNS * MOST_UNITS * 16];
    FOR_PANELS(p, n, end) {
        const size_t panel = n / CK_PANEL * CK_PANEL, steps = p3_steps(p->k);
        p3_cursor at = p3_in_product(p, n, end);
        for (size_t k = 0; k < k_end; k += block) {
            const size_t depth = smaller(block, k_end - k), count = p3_steps(depth);
            if (end == p->n1 && k / CK_PLANES3_STEP + count + P3_FAR > steps && p->next) {
                // What follows these weights for whoever reads on.
                at.far = (const uint8_t *)p->next + (k / CK_PLANES3_STEP + P3_FAR - smaller(steps, k / CK_PLANES3_STEP + P3_FAR)) * at.step;
            }
            decode(&at, count, w);
            for (size_t row = 0; row < p->m; row += share)
                for (size_t column = n; column < end; column += width * 16) {
                    const size_t units = smaller(width, (end - column + 15) / 16);
                    Tile t = {
                        .a = advance(p->a, kind, row * p->a_stride + k), .a_stride = p->a_stride,
                        .w = w + (column - panel) * 2, .w_columns = CK_PANEL,
                        .c = p->c + row * p->c_stride + column, .c_stride = p->c_stride,
                        .k = depth, .start = p->accumulate || k ? FROM_C : FROM_ZERO,
                        .tail = smaller(16, end - column - (units - 1) * 16), .keep = wide, .next = (const char *)w,
                    };
                    // One line for each tile and pair, of what is in the cache anyway: compiled without, tiles of six rows spill.
                    const size_t rows = smaller(share, p->m - row);
                    run_rows(t, rows, units, kind, (rows + TALLEST(units) - 1) / TALLEST(units));
                }
        }
    }
}
