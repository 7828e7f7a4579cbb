// Kernels on single rows for one instruction set; included by its file, which supplies V and the v_ functions, and may define
// NARROW_OPERANDS with v_store_narrow if operands of bf16 products are stored as bf16.

// Lanes of the piece that begins at element j of n.
INLINE size_t piece(size_t n, size_t j) { return n - j < 16 ? n - j : 16; }

// One piece of an operand row: element j of `row`.
INLINE void put_operand(ck_type type, void *row, size_t j, V x, size_t n) {
#ifdef NARROW_OPERANDS
    if (type == CK_BF16) {
        v_store_narrow((uint16_t *)row + j, x, n);
        return;
    }
#endif
    v_store_n((float *)row + j, type == CK_BF16 ? v_round_bf16(x) : x, n);
}

INLINE void *operand_row(ck_type type, void *out, size_t elements) {
#ifdef NARROW_OPERANDS
    if (type == CK_BF16) return (uint16_t *)out + elements;
#endif
    (void)type;
    return (float *)out + elements;
}

static float sum_of_squares(const float *x, size_t n) {
    V sum = v_zero();
    for (size_t j = 0; j < n; j += 16) {
        V a = v_load_n(x + j, piece(n, j));
        sum = v_fma(a, a, sum);
    }
    return v_sum(sum);
}

static void operand_rows(ck_type type, const float *x, size_t x_stride, const int32_t *pick, size_t rows, size_t columns, void *out,
                         size_t out_stride) {
    for (size_t i = 0; i < rows; i++) {
        const float *row = x + (pick ? (size_t)pick[i] : i) * x_stride;
        void *to = operand_row(type, out, i * out_stride);
        for (size_t j = 0; j < columns; j += 16) {
            size_t n = piece(columns, j);
            put_operand(type, to, j, v_load_n(row + j, n), n);
        }
    }
}

static void rms_norm(ck_type type, const float *x, size_t x_stride, const int32_t *pick, size_t rows, size_t columns,
                     const float *weight, float epsilon, void *out, size_t out_stride) {
    for (size_t i = 0; i < rows; i++) {
        const float *row = x + (pick ? (size_t)pick[i] : i) * x_stride;
        void *to = operand_row(type, out, i * out_stride);
        V scale = v_all(1.0f / sqrtf(sum_of_squares(row, columns) / (float)columns + epsilon));
        for (size_t j = 0; j < columns; j += 16) {
            size_t n = piece(columns, j);
            put_operand(type, to, j, v_mul(v_mul(v_load_n(row + j, n), scale), v_load_n(weight + j, n)), n);
        }
    }
}

static void head_norm(float *x, size_t x_stride, size_t rows, size_t heads, size_t dimension, const float *weight, float epsilon) {
    for (size_t i = 0; i < rows; i++)
        for (size_t h = 0; h < heads; h++) {
            float *head = x + i * x_stride + h * dimension;
            V scale = v_all(1.0f / sqrtf(sum_of_squares(head, dimension) / (float)dimension + epsilon));
            for (size_t j = 0; j < dimension; j += 16) {
                size_t n = piece(dimension, j);
                v_store_n(head + j, v_mul(v_mul(v_load_n(head + j, n), scale), v_load_n(weight + j, n)), n);
            }
        }
}

static void rotate(float *x, size_t x_stride, size_t rows, size_t heads, size_t dimension, size_t half, const float *cosine,
                   const float *sine, const int32_t *position) {
    for (size_t i = 0; i < rows; i++) {
        const float *c = cosine + (size_t)position[i] * half, *s = sine + (size_t)position[i] * half;
        for (size_t h = 0; h < heads; h++) {
            float *head = x + i * x_stride + h * dimension;
            for (size_t j = 0; j < half; j += 16) {
                size_t n = piece(half, j);
                V a = v_load_n(head + j, n), b = v_load_n(head + half + j, n), cos = v_load_n(c + j, n), sin = v_load_n(s + j, n);
                v_store_n(head + j, v_fms(a, cos, v_mul(b, sin)), n);
                v_store_n(head + half + j, v_fma(b, cos, v_mul(a, sin)), n);
            }
        }
    }
}

static void silu_multiply(ck_type type, const float *x, size_t x_stride, size_t rows, size_t columns, void *out, size_t out_stride) {
    const V one = v_all(1.0f), log2e = v_all((float)-CK_LOG2E);
    for (size_t i = 0; i < rows; i++) {
        const float *gate = x + i * x_stride, *up = gate + columns;
        void *to = operand_row(type, out, i * out_stride);
        for (size_t j = 0; j < columns; j += 16) {
            size_t n = piece(columns, j);
            V g = v_load_n(gate + j, n), silu = v_div(g, v_add(one, v_exp2(v_mul(g, log2e))));
            put_operand(type, to, j, v_mul(silu, v_load_n(up + j, n)), n);
        }
    }
}

static void to_float(const void *source, ck_type type, size_t count, float *out) {
    const uint16_t *half = source;
    if (type == CK_F32) {
        memcpy(out, source, count * 4);
        return;
    }
    for (size_t j = 0; j < count; j += 16) {
        size_t n = piece(count, j);
        uint16_t part[16] = {0};
        const uint16_t *from = n == 16 ? half + j : memcpy(part, half + j, n * 2);
        v_store_n(out + j, type == CK_BF16 ? v_load_bf16(from) : v_load_f16(from), n);
    }
}

static void from_float(const float *source, ck_type type, size_t count, void *out) {
    uint16_t *half = out;
    if (type == CK_F32) {
        memcpy(out, source, count * 4);
        return;
    }
    for (size_t j = 0; j < count; j += 16) {
        size_t n = piece(count, j);
        V x = v_load_n(source + j, n);
        uint16_t part[16], *to = n == 16 ? half + j : part;
        if (type == CK_BF16) v_store_bf16(to, x);
        else v_store_f16(to, x);
        if (n < 16) memcpy(half + j, part, n * 2);
    }
}

static ck_largest find_largest(const float *x, size_t count) {
    V greatest = v_all(-INFINITY);
    uint32_t nan = 0;
    for (size_t j = 0; j < count; j += 16) {
        const size_t n = piece(count, j);
        V a = n == 16 ? v_load(x + j) : v_keep_n(v_load_n(x + j, n), n, greatest);
        nan |= v_nan(a);
        greatest = v_max(a, greatest);
    }
    const float value = v_greatest(greatest);
    for (size_t j = 0; j < count; j += 16) {
        const size_t n = piece(count, j);
        uint32_t equal = v_equal(v_load_n(x + j, n), value) & (0xffffu >> (16 - n));
        if (equal) return (ck_largest){value, j + (size_t)__builtin_ctz(equal), nan != 0};
    }
    return (ck_largest){value, 0, nan != 0};
}

static void exponentiate(const float *x, size_t count, float maximum, float factor, float floor, float *weights, double *sums) {
    const V m = v_all(maximum), f = v_all(factor), least = v_all(floor);
    for (size_t first = 0; first < count; first += CK_LOGIT_BLOCK) {
        const size_t end = count - first < CK_LOGIT_BLOCK ? count : first + CK_LOGIT_BLOCK;
        V lanes = v_zero();
        for (size_t j = first; j < end; j += 16) {
            const size_t n = piece(end, j);
            V w = v_zero_below(v_exp2(v_mul(v_sub(v_load_n(x + j, n), m), f)), least);
            lanes = v_add(lanes, n == 16 ? w : v_keep_n(w, n, v_zero()));
            if (weights) v_store_n(weights + j, w, n);
        }
        sums[first / CK_LOGIT_BLOCK] = (double)v_sum(lanes);
    }
}
