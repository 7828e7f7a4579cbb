// Products of int8 for one instruction set; included by its file, which supplies V and the v_ functions as for the other bodies and
//   I                sixteen int32 sums; i_load, i_store, i_float, i_add, i_sum
//   i_round(V)       to nearest even; i_store_bytes(p, I): the low bytes of sixteen
//   B, b_load        the weights of sixteen columns at four k; b_ones: weights 1 for i_dot; b_anew: the same, which the compiler
//                    does not know
//   X, x_load        four values of an operand, in every lane
//   i_start(offset)  what a sum starts with: `offset` if i_dot takes weights as stored (+ 128), else 0
//   i_dot(sum, X, B) sum of each lane's four products; exact
//   TILE_UNITS(rows) units of sixteen columns of a tile of `rows` rows
//   ROW_TILE         rows of the tallest tile; GROUP_TILE with a scale per group, which needs two accumulators for each unit
//   CHAINS           of the arithmetic probe
//
// Sums are whole numbers, so cuts of rows, columns and k change nothing; the order of the f32 operations stands in ckernels.h.

// To the second-level cache: a block that comes early would push out of the first one what is being used.
#define PREFETCH(address) __builtin_prefetch(address, 0, 2)
#define UNROLL _Pragma("clang loop unroll(full)")

typedef struct Tile {
    const char *a;          // values of the first row, at the tile's first k
    size_t a_stride;        // bytes
    const char *w;          // weights at the tile's first column and k
    size_t quads;           // of k
    const char *head;       // of the first row
    const int32_t *offsets; // of the first row's groups, from the first k on
    const char *scale;      // of the columns; with groups, of the first k's group
    float *c;
    size_t c_stride;
    size_t tail;            // columns of the last unit that exist
    void *partial;          // [rows][CK_PANEL] of four bytes: sums of the k before and after this tile
    bool resume, finish, accumulate;
    const char *next;       // memory to prefetch: `lines` cache lines for each quad, `step` bytes apart
    size_t step;
} Tile;

INLINE float row_scale(const Tile *t, size_t i) { return ((const ck_int8_head *)(t->head + i * t->a_stride))->scale; }

// c = fma(sum, scale, c or 0)
INLINE void put(const Tile *t, size_t i, size_t u, size_t units, V sum, V scale) {
    const size_t n = u + 1 < units ? 16 : t->tail;
    float *c = t->c + i * t->c_stride + u * 16;
    v_store_n(c, v_fma(sum, scale, t->accumulate ? v_load_n(c, n) : v_zero()), n);
}

INLINE void row_tile(const Tile *t, const size_t rows, const size_t units, const size_t lines) {
    I sum[ROW_TILE][4];
    int32_t *partial = t->partial;
    UNROLL for (size_t i = 0; i < rows; i++) {
        I start = i_start(((const ck_int8_head *)(t->head + i * t->a_stride))->offset);
        UNROLL for (size_t u = 0; u < units; u++) sum[i][u] = t->resume ? i_load(partial + i * CK_PANEL + u * 16) : start;
    }
    const char *a = t->a, *w = t->w, *next = t->next;
    const size_t stride = t->a_stride, quads = t->quads, step = t->step;
    for (size_t q = 0; q < quads; q++, a += 4, w += CK_PANEL * 4) {
        B b[4];
        UNROLL for (size_t u = 0; u < units; u++) b[u] = b_load(w + u * 64);
        UNROLL for (size_t l = 0; l < lines; l++) PREFETCH(next + l * 64);
        next += step;
        UNROLL for (size_t i = 0; i < rows; i++) {
            X x = x_load(a + i * stride);
            UNROLL for (size_t u = 0; u < units; u++) sum[i][u] = i_dot(sum[i][u], x, b[u]);
        }
    }
    if (!t->finish) {
        UNROLL for (size_t i = 0; i < rows; i++) {
            UNROLL for (size_t u = 0; u < units; u++) i_store(partial + i * CK_PANEL + u * 16, sum[i][u]);
        }
        return;
    }
    UNROLL for (size_t u = 0; u < units; u++) {
        V scale = v_load((const float *)t->scale + u * 16);
        UNROLL for (size_t i = 0; i < rows; i++) put(t, i, u, units, v_mul(i_float(sum[i][u]), v_all(row_scale(t, i))), scale);
    }
}

INLINE void group_tile(const Tile *t, const size_t rows, const size_t units, const size_t lines) {
    V sum[GROUP_TILE][4];
    float *partial = t->partial;
    UNROLL for (size_t i = 0; i < rows; i++) {
        UNROLL for (size_t u = 0; u < units; u++) sum[i][u] = t->resume ? v_load(partial + i * CK_PANEL + u * 16) : v_zero();
    }
    const char *a = t->a, *w = t->w, *scales = t->scale, *next = t->next;
    const int32_t *offset = t->offsets;
    const size_t stride = t->a_stride, groups = t->quads / 8, step = t->step;
    for (size_t g = 0; g < groups; g++) {
        I part[GROUP_TILE][4];
        UNROLL for (size_t i = 0; i < rows; i++) {
            I start = i_start(*(const int32_t *)((const char *)(offset + g) + i * stride));
            UNROLL for (size_t u = 0; u < units; u++) part[i][u] = start;
        }
        UNROLL for (size_t q = 0; q < 8; q++, a += 4, w += CK_PANEL * 4) {
            B b[4];
            UNROLL for (size_t u = 0; u < units; u++) b[u] = b_load(w + u * 64);
            UNROLL for (size_t l = 0; l < lines; l++) PREFETCH(next + l * 64);
            next += step;
            UNROLL for (size_t i = 0; i < rows; i++) {
                X x = x_load(a + i * stride);
                UNROLL for (size_t u = 0; u < units; u++) part[i][u] = i_dot(part[i][u], x, b[u]);
            }
        }
        w += CK_PANEL * 2;
        if (lines) {            // a group takes two lines more, for its scales
            PREFETCH(next);
            PREFETCH(next + 64);
            next += CK_PANEL * 2;
        }
        UNROLL for (size_t u = 0; u < units; u++) {
            V scale = v_load_bf16((const uint16_t *)scales + u * 16);
            UNROLL for (size_t i = 0; i < rows; i++) sum[i][u] = v_fma(i_float(part[i][u]), scale, sum[i][u]);
        }
        scales += CK_INT8_GROUP_BYTES;
    }
    UNROLL for (size_t i = 0; i < rows; i++) {
        UNROLL for (size_t u = 0; u < units; u++) {
            if (t->finish) put(t, i, u, units, sum[i][u], v_all(row_scale(t, i)));
            else v_store(partial + i * CK_PANEL + u * 16, sum[i][u]);
        }
    }
}

// One function for each height and width, so that every accumulator has its register.
#define CASE(kind, most, rows, units, lines)                                                                                   \
    case (units) * 8 + (rows):                                                                                                 \
        if ((rows) <= (most)) kind##_tile(t, (rows) <= (most) ? (rows) : 1, units, (lines) < (units) ? (lines) : (units));     \
        break;
#define ROW_CASES(kind, most, units, lines)                                                                                    \
    CASE(kind, most, 1, units, lines)                                                                                          \
    CASE(kind, most, 2, units, lines)                                                                                          \
    CASE(kind, most, 3, units, lines)                                                                                          \
    CASE(kind, most, 4, units, lines)                                                                                          \
    CASE(kind, most, 5, units, lines)                                                                                          \
    CASE(kind, most, 6, units, lines)
#define TILES(name, kind, most, lines)                                                                                         \
    static void name(const Tile *t, size_t rows, size_t units) {                                                               \
        switch (units * 8 + rows) {                                                                                            \
        TILE_CASES(kind, most, lines)                                                                                          \
        default: __builtin_unreachable();                                                                                      \
        }                                                                                                                      \
    }
#ifdef WIDE_TILES
#define TILE_CASES(kind, most, lines)                                                                                          \
    ROW_CASES(kind, most, 1, lines)                                                                                            \
    ROW_CASES(kind, most, 2, lines)                                                                                            \
    ROW_CASES(kind, most, 3, lines)                                                                                            \
    ROW_CASES(kind, most, 4, lines)
#else
#define TILE_CASES(kind, most, lines)                                                                                          \
    ROW_CASES(kind, most, 1, lines)                                                                                            \
    CASE(kind, most, 1, 2, lines)                                                                                              \
    CASE(kind, most, 2, 2, lines)                                                                                              \
    CASE(kind, most, 1, 3, lines)                                                                                              \
    CASE(kind, most, 1, 4, lines)
#endif

TILES(row_tiles, row, ROW_TILE, 0)
TILES(row_tiles_1, row, ROW_TILE, 1)
TILES(row_tiles_2, row, ROW_TILE, 2)
TILES(row_tiles_4, row, ROW_TILE, 4)
TILES(group_tiles, group, GROUP_TILE, 0)
TILES(group_tiles_1, group, GROUP_TILE, 1)
TILES(group_tiles_2, group, GROUP_TILE, 2)
TILES(group_tiles_4, group, GROUP_TILE, 4)

static void run_tile(const Tile *t, ck_int8 form, size_t rows, size_t units, size_t lines) {
    static void (*const tiles[2][5])(const Tile *, size_t, size_t) = {
        {row_tiles, row_tiles_1, row_tiles_2, row_tiles_2, row_tiles_4},
        {group_tiles, group_tiles_1, group_tiles_2, group_tiles_2, group_tiles_4},
    };
    tiles[form][lines](t, rows, units);
}

INLINE size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

// Bytes of `quads` quads of a panel.
INLINE size_t panel_part(ck_int8 form, size_t quads) {
    return form == CK_INT8_GROUPS ? quads / 8 * CK_INT8_GROUP_BYTES : quads * CK_PANEL * 4;
}

// The tile at (row, column), quads q.. of k.
INLINE Tile tile_at(const ck_int8_product *p, size_t row, size_t column, size_t q, size_t quads, size_t all) {
    const bool groups = p->form == CK_INT8_GROUPS;
    const char *head = (const char *)p->a + row * p->a_stride;
    const char *panel = (const char *)p->w + column / CK_PANEL * ck_int8_one_panel(p->form, p->k);
    const size_t within = column % CK_PANEL;
    Tile t = {
        .a = head + CK_INT8_HEAD + q * 4, .a_stride = p->a_stride, .quads = quads, .head = head,
        .offsets = ck_int8_group_offsets(head, p->k) + q / 8, .c = p->c + row * p->c_stride + column, .c_stride = p->c_stride,
        .tail = 16, .resume = q > 0, .finish = q + quads == all, .accumulate = p->accumulate,
    };
    const char *part = panel + panel_part(p->form, q);
    t.w = part + (groups ? CK_PANEL * 2 : CK_PANEL * sizeof(float)) + within * 4;
    t.scale = groups ? part + within * 2 : panel + within * sizeof(float);
    return t;
}

// Calls `body` for the part of columns n0..n1 that lies in each panel.
#define FOR_PANELS(p, n, end)                                                                                                  \
    for (size_t n = (p)->n0, end; n < (p)->n1 && (end = (n / CK_PANEL + 1) * CK_PANEL, end = end < (p)->n1 ? end : (p)->n1, 1); n = end)

// Few rows: every weight comes from memory once, and arithmetic must not wait for it. One pass over a panel prefetches a little
// ahead; several passes share a block of k, and each prefetches its part of the next block.
static void multiply_few(const ck_int8_product *p, size_t all) {
    const size_t tallest = p->form == CK_INT8_GROUPS ? GROUP_TILE : ROW_TILE;
    const size_t passes = (p->m + tallest - 1) / tallest, width = TILE_UNITS((p->m + passes - 1) / passes);
    _Alignas(64) int32_t partial[MANY_ROWS * CK_PANEL];
    FOR_PANELS(p, n, end) {
        const size_t units = (end - n + 15) / 16, sides = (units + width - 1) / width;
        const bool one_pass = passes * sides == 1;
        // A single pass stops once, to fetch what comes after the last panel while that ends.
        const size_t ending = one_pass && p->next && end == p->n1 && all > AHEAD_QUADS ? all - AHEAD_QUADS : all;
        const size_t block = one_pass ? ending : FEW_QUADS;
        for (size_t q = 0; q < all; q += block) {
            const size_t quads = smaller(block, all - q), ahead = one_pass ? AHEAD_QUADS * CK_PANEL * 4 : panel_part(p->form, quads);
            const bool last = p->next && end == p->n1 && q + quads == all;
            size_t passes_left = passes * sides, lines_left = 4, prefetched = 0;
            for (size_t u = 0; u < units; u += width) {
                const size_t across = smaller(width, units - u), column = n + u * 16;
                size_t row = 0;
                for (size_t pass = 0; pass < passes; pass++, passes_left--) {
                    const size_t height = (p->m - row + passes - pass - 1) / (passes - pass);
                    size_t lines = (lines_left + passes_left - 1) / passes_left;
                    Tile t = tile_at(p, row, column, q, quads, all);
                    t.tail = smaller(16, end - column - (across - 1) * 16);
                    t.partial = partial + row * CK_PANEL + u * 16;
                    lines = smaller(lines, across);
                    t.next = last ? p->next : t.w + ahead;
                    t.step = CK_PANEL * 4;
                    if (!one_pass) {
                        t.next += last ? prefetched : prefetched - column % CK_PANEL * 4;
                        t.step = lines * 64;
                        prefetched += panel_part(p->form, quads) * lines / 4;
                    }
                    lines_left -= lines;
                    run_tile(&t, p->form, height, across, lines);
                    row += height;
                }
            }
        }
    }
}

// The height of the next tile when `left` rows remain: the tallest, and two even halves at the end.
INLINE size_t next_height(size_t left, size_t tallest) {
    return left >= 2 * tallest || left == tallest ? tallest : left > tallest ? (left + 1) / 2 : left;
}

// Many rows: blocks of k that stay in the first-level cache while a block of rows passes over them.
static void multiply_many(const ck_int8_product *p, size_t all) {
    const size_t tallest = p->form == CK_INT8_GROUPS ? GROUP_TILE : ROW_TILE, width = TILE_UNITS(tallest);
    const size_t shares = (p->m + BLOCK_ROWS - 1) / BLOCK_ROWS;
    const size_t share = ck_round_up((p->m + shares - 1) / shares, tallest);
    const size_t blocks = (all + MANY_QUADS - 1) / MANY_QUADS, block = ck_round_up((all + blocks - 1) / blocks, 8);
    _Alignas(64) int32_t partial[(BLOCK_ROWS + ROW_TILE) * CK_PANEL];
    for (size_t first = 0; first < p->m; first += share) {
        const size_t last = smaller(first + share, p->m);
        FOR_PANELS(p, n, end) {
            for (size_t q = 0; q < all; q += block) {
                const size_t quads = smaller(block, all - q);
                // The next block comes while this one is computed with, a few lines for each tile.
                size_t later = panel_part(p->form, quads) / 64;
                const size_t lines = later * tallest * width / ((last - first) * 4) + 1;
                const char *next = tile_at(p, first, n / CK_PANEL * CK_PANEL, q, quads, all).w + later * 64;
                if (end == p->n1 && q + quads == all) {
                    if (last < p->m) next = tile_at(p, last, p->n0, 0, quads, all).w;
                    else if (p->next) next = p->next;
                }
                for (size_t column = n; column < end; column += width * 16) {
                    const size_t units = smaller(width, (end - column + 15) / 16);
                    for (size_t row = first; row < last;) {
                        const size_t height = next_height(last - row, tallest);
                        for (size_t l = smaller(lines, later); l > 0; l--, later--, next += 64) PREFETCH(next);
                        Tile t = tile_at(p, row, column, q, quads, all);
                        t.tail = smaller(16, end - column - (units - 1) * 16);
                        t.partial = partial + (row - first) * CK_PANEL + column % CK_PANEL;
                        run_tile(&t, p->form, height, units, 0);
                        row += height;
                    }
                }
            }
        }
    }
}

static void multiply(const ck_int8_product *p) {
    const size_t all = p->form == CK_INT8_GROUPS ? ck_round_up(p->k, CK_INT8_GROUP) / 4 : (p->k + 3) / 4;
    if (p->m < MANY_ROWS) multiply_few(p, all);
    else multiply_many(p, all);
}

// ---- Operands ---------------------------------------------------------------------------------------------------------------

static void operand(const float *x, size_t columns, void *out) {
    ck_int8_head *head = out;
    int8_t *values = (int8_t *)out + CK_INT8_HEAD;
    int32_t *offsets = (int32_t *)ck_int8_group_offsets(out, columns);
    V greatest = v_zero(), nothing = v_zero();
    for (size_t j = 0; j < columns; j += 16) {
        V a = v_load_n(x + j, smaller(16, columns - j));
        greatest = v_max(v_abs(a), greatest);
        nothing = v_fma(a, v_zero(), nothing);      // NaN as soon as one value is not finite
    }
    const float inverse = ck_int8_scale(v_greatest(greatest), v_sum(nothing) == 0, &head->scale);
    head->offset = 0;
    if (inverse == 0) {
        memset(values, 0, ck_int8_operand_bytes(columns) - CK_INT8_HEAD);
        return;
    }
    const V factor = v_all(inverse);
    for (size_t j = 0; j < columns; j += 32) {
        V a = v_load_n(x + j, smaller(16, columns - j));
        V b = columns - j > 16 ? v_load_n(x + j + 16, smaller(16, columns - j - 16)) : v_zero();
        I q = i_round(v_mul(a, factor)), r = i_round(v_mul(b, factor));
        i_store_bytes(values + j, q);
        i_store_bytes(values + j + 16, r);
        offsets[j / 32] = -128 * i_sum(i_add(q, r));
        head->offset += offsets[j / 32];
    }
    const size_t end = ck_round_up(columns, 32), groups = end / 32;
    memset(values + end, 0, ck_round_up(columns, 64) - end);
    memset(offsets + groups, 0, (ck_round_up(groups, 16) - groups) * sizeof(int32_t));
}

static uint64_t probe_arithmetic(uint64_t rounds, float *sink) {
    const char bytes[4] = {1, 2, 3, 4};
    const X x = x_load(bytes);
    B b = b_ones();
    I sum[CHAINS];
    for (size_t j = 0; j < CHAINS; j++) sum[j] = i_start(0);
    for (uint64_t i = 0; i < rounds; i++) {
        UNROLL for (size_t j = 0; j < CHAINS; j++) sum[j] = i_dot(sum[j], x, b_anew(b));
    }
    for (size_t j = 0; j < CHAINS; j++) *sink += (float)i_sum(sum[j]);
    return rounds * CHAINS * 128;
}
