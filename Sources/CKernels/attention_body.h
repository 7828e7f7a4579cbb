// KV pages and attention for one instruction set; included after multiply_body.h and rows_body.h.

// Bytes of one K or V panel.
INLINE size_t panel_bytes(const ck_attention *a) { return CK_PANEL * a->dimension * ck_size(a->type); }

static void write_kv(ck_type type, const float *k, const float *v, size_t stride, size_t tokens, size_t dimension, void *kv,
                     size_t page_bytes, const int32_t *pages, size_t position) {
    uint16_t narrow[16][CK_MAX_HEAD];
    for (size_t i = 0; i < tokens;) {
        // Up to sixteen tokens of one page, so that the columns of the K panel are written in runs.
        size_t t = (position + i) % CK_PANEL, n = smaller(smaller(16, tokens - i), CK_PANEL - t);
        uint8_t *page = ck_page(kv, page_bytes, pages, position + i);
        if (type == CK_F32) {
            float *K = (float *)page, *V = K + CK_PANEL * dimension;
            for (size_t d = 0; d < dimension; d++)
                for (size_t j = 0; j < n; j++) K[d * CK_PANEL + t + j] = k[(i + j) * stride + d];
            for (size_t j = 0; j < n; j++) memcpy(V + (t + j) * dimension, v + (i + j) * stride, dimension * 4);
        } else {
            uint32_t *K = (uint32_t *)page;
            uint16_t *V = (uint16_t *)page + CK_PANEL * dimension;
            for (size_t j = 0; j < n; j++) from_float(k + (i + j) * stride, CK_BF16, dimension, narrow[j]);
            for (size_t d = 0; d < dimension; d += 2)
                for (size_t j = 0; j < n; j++) memcpy(K + d / 2 * CK_PANEL + t + j, &narrow[j][d], 4);
            for (size_t j = 0; j < n;) {
                const float *row = v + (i + j) * stride;
                uint16_t *pair = V + (t + j) / 2 * 2 * dimension;
                if ((t + j) % 2 == 0 && j + 1 < n) {
                    size_t d = 0;
                    for (; d + 16 <= dimension; d += 16) v_store_pairs(pair + d * 2, v_load(row + d), v_load(row + stride + d));
                    for (; d < dimension; d++) {
                        pair[d * 2] = ck_float_bf16(row[d]);
                        pair[d * 2 + 1] = ck_float_bf16(row[stride + d]);
                    }
                    j += 2;
                } else {
                    from_float(row, CK_BF16, dimension, narrow[0]);
                    for (size_t d = 0; d < dimension; d++) pair[d * 2 + (t + j) % 2] = narrow[0][d];
                    j += 1;
                }
            }
        }
        i += n;
    }
}

// c[rows][c_stride] = start + a[rows][k] . w: a product with a K or V panel in place of weights. `columns` exist in w; c is
// written in whole units, what does not exist as zero. Meanwhile the panel of the same shape at t.next is fetched.
static void panel_product(Tile t, ck_type type, size_t rows, size_t columns) {
    _Alignas(64) float wide[CK_MAX_HEAD * 64];
    const int kind = product_kind(type);
    const size_t width = UNITS_AT(rows);
    t.tail = 16;
    t.keep = wide;
    t.step = t.w_columns * ck_size(type) * 2;
    const char *w = t.w;
    float *c = t.c;
    for (size_t column = 0; column < columns; column += width * 16) {
        const size_t units = smaller(width, (columns - column + 15) / 16), n = smaller(units * 16, columns - column);
        Tile part = t;
        part.w = w + column * 4;
        part.c = c + column;
        part.next = t.next + column * 4;
        if (n % 16 == 0) {
            run_rows(part, rows, units, kind, 0);
            continue;
        }
        // A head that is not whole units: its last columns are copied in front of zeros.
        if (kind == DOTS) {
            memset(wide, 0, t.k / 2 * units * 16 * 4);
            for (size_t k = 0; k < t.k / 2; k++) memcpy(wide + k * units * 16, (const float *)part.w + k * t.w_columns, n * 4);
        } else {
            expand(part.w, type, t.w_columns, t.k, n, wide);
        }
        part.w = wide;
        part.w_columns = units * 16;
        run_rows(part, rows, units, kind == DOTS ? DOTS : FLOATS, 0);
    }
}

// Sixteen weights of keys as operands.
INLINE void put_weights(ck_type type, void *row, size_t j, V w) {
    if (product_kind(type) == PAIRS) v_store((float *)row + j, v_fma(w, v_all(-CK_WEIGHT_SPLIT), v_fma(w, v_all(CK_WEIGHT_SPLIT), w)));
    else put_operand(type, row, j, w, 16);
}

// One row of 64 scores against its running maximum and sum: scores become weights 2^(s - m) as operands, returns the factor for
// what was summed before. Keys visible.. are masked.
INLINE float soften(float *s, size_t visible, float *maximum, float *sum, ck_type type, void *weights) {
    V x[4];
    if (visible >= CK_PANEL) {
        UNROLL for (size_t u = 0; u < 4; u++) x[u] = v_load(s + u * 16);
    } else {
        UNROLL for (size_t u = 0; u < 4; u++) {
            const size_t n = visible <= u * 16 ? 0 : smaller(16, visible - u * 16);
            x[u] = v_keep_n(v_load(s + u * 16), n, v_all(CK_NOTHING));
        }
    }
    float greatest = v_greatest(v_max(v_max(x[0], x[1]), v_max(x[2], x[3])));
    if (!(greatest > *maximum)) greatest = *maximum;
    V m = v_all(greatest), lanes = v_zero();
    if (type == CK_BF16) {
        UNROLL for (size_t u = 0; u < 4; u++) {
            V w = v_weight(v_sub(x[u], m));
            lanes = v_add(lanes, w);
            put_weights(CK_BF16, weights, u * 16, w);
        }
    } else {
        UNROLL for (size_t u = 0; u < 4; u++) {
            V w = v_exp2(v_sub(x[u], m));
            lanes = v_add(lanes, w);
            put_weights(CK_F32, weights, u * 16, w);
        }
    }
    float factor = 1.0f;
    if (*maximum != greatest) factor = v_first(v_exp2(v_all(*maximum - greatest)));
    *maximum = greatest;
    *sum = fmaf(*sum, factor, v_sum(lanes));
    return factor;
}

// What products with the first `seen` keys of a block do not reach of the next two panels.
static void fetch_rest(const ck_attention *a, const char *next, size_t seen) {
    const size_t bytes = panel_bytes(a), row = CK_PANEL * ck_size(a->type) * 2, covered = (seen + 15) / 16 * 64;
    for (size_t k = 0; k < bytes; k += row)
        for (size_t line = covered; line < row; line += 64) __builtin_prefetch(next + k + line, 0, 2);
    for (size_t line = bytes / CK_PANEL * seen / 64 * 64; line < bytes; line += 64) __builtin_prefetch(next + bytes + line, 0, 2);
}

static void attend_span(const ck_attention *a, size_t span, float *state) {
    const size_t D = a->dimension, stride = ck_state_stride(D), end = a->row0 + a->rows;
    const float scale = ck_score_scale(D);
    _Alignas(64) float q[CK_ATTENTION_ROWS * (CK_MAX_HEAD)], s[CK_ATTENTION_ROWS * CK_PANEL], factors[CK_ATTENTION_ROWS];
#ifdef NARROW_OPERANDS
    _Alignas(64) uint16_t narrow[CK_ATTENTION_ROWS * CK_PANEL];
    void *const p = product_kind(a->type) == DOTS ? (void *)narrow : s;
#else
    void *const p = s;      // scores become weights in place
#endif

    for (size_t r = 0; r < a->rows; r++) {
        size_t row = a->row0 + r;
        const float *from = a->q + row / a->group * a->q_stride + row % a->group * D;
        void *to = operand_row(a->type, q, r * D);
        for (size_t d = 0; d < D; d += 16) {
            size_t n = piece(D, d);
            put_operand(a->type, to, d, v_mul(v_load_n(from + d, n), v_all(scale)), n);
        }
        memset(state + r * stride, 0, stride * sizeof(float));
        state[r * stride] = CK_NOTHING;
    }

    const size_t last = a->position + (end - 1) / a->group;
    for (size_t first = span * CK_SPAN; first < (span + 1) * CK_SPAN && first <= last; first += CK_PANEL) {
        const char *K = (const char *)ck_page(a->kv, a->page_bytes, a->pages, first), *V = K + panel_bytes(a);
        // Pages are scattered, so no hardware knows what comes next.
        const bool more = first + CK_PANEL <= last;
        const char *next = more ? (const char *)ck_page(a->kv, a->page_bytes, a->pages, first + CK_PANEL) : a->next ? a->next : K;
        // Rows of tokens before this block see none of it.
        size_t r0 = first > a->position ? (first - a->position) * a->group : 0;
        r0 = r0 > a->row0 ? r0 - a->row0 : 0;
        const size_t rows = a->rows - r0, seen = smaller(CK_PANEL, last - first + 1);
        if (seen < CK_PANEL && next != K) fetch_rest(a, next, seen);
        Tile scores = {
            .a = operand_row(a->type, q, r0 * D), .a_stride = D, .w = K, .w_columns = CK_PANEL,
            .c = s + r0 * CK_PANEL, .c_stride = CK_PANEL, .k = D, .start = FROM_ZERO, .next = next,
        };
        panel_product(scores, a->type, rows, (seen + 15) / 16 * 16);
        for (size_t r = r0; r < a->rows; r++) {
            const size_t visible = smaller(CK_PANEL, a->position + (a->row0 + r) / a->group - first + 1);
            float *own = state + r * stride;
            factors[r] = soften(s + r * CK_PANEL, visible, own, own + 1, a->type, operand_row(a->type, p, r * CK_PANEL));
        }
        Tile values = {
            .a = operand_row(a->type, p, r0 * CK_PANEL), .a_stride = CK_PANEL, .w = V, .w_columns = D,
            .c = state + r0 * stride + CK_STATE_HEAD, .c_stride = stride, .k = (seen + 1) / 2 * 2,
            .start = FROM_C_SCALED, .scale = factors + r0, .next = next + panel_bytes(a),
        };
        panel_product(values, a->type, rows, D);
    }
}

static void join(size_t rows, size_t dimension, const float *later, float *into) {
    const size_t stride = ck_state_stride(dimension);
    for (size_t r = 0; r < rows; r++, later += stride, into += stride) {
        const float maximum = later[0] > into[0] ? later[0] : into[0];
        const V old = v_exp2(v_all(into[0] - maximum)), new = v_exp2(v_all(later[0] - maximum));
        into[0] = maximum;
        into[1] = fmaf(later[1], v_first(new), into[1] * v_first(old));
        for (size_t d = CK_STATE_HEAD; d < stride; d += 16)
            v_store(into + d, v_fma(v_load(later + d), new, v_mul(v_load(into + d), old)));
    }
}

static void finish(const ck_attention *a, const float *state) {
    const size_t D = a->dimension, stride = ck_state_stride(D);
    for (size_t r = 0; r < a->rows; r++) {
        const size_t row = a->row0 + r;
        void *to = operand_row(a->type, a->out, row / a->group * a->out_stride + row % a->group * D);
        const V scale = v_all(1.0f / state[r * stride + 1]);
        for (size_t d = 0; d < D; d += 16)
            put_operand(a->type, to, d, v_mul(v_load(state + r * stride + CK_STATE_HEAD + d), scale), piece(D, d));
    }
}
