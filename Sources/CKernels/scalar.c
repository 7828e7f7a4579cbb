// The specification: every kernel in plain C, one operation after the other. The other instruction sets are tested against it.
#include "planes3.h"

#pragma clang fp contract(off)

// ---- Small parts ------------------------------------------------------------------------------------------------------------

// p * 2^n, where n stands in the low bits of `shifted`.
static float scaled(float p, float shifted) {
    uint32_t u, n;
    memcpy(&u, &p, 4);
    memcpy(&n, &shifted, 4);
    u += n << 23;
    memcpy(&p, &u, 4);
    return p;
}

static float exp2_poly(float x) {
    if (x < CK_EXP_MIN) return 0;
    if (x > CK_EXP_MAX) x = CK_EXP_MAX;
    float shifted = x + CK_ROUND, f = x - (shifted - CK_ROUND);
    float p = fmaf(CK_EXP_6, f, CK_EXP_5);
    p = fmaf(p, f, CK_EXP_4);
    p = fmaf(p, f, CK_EXP_3);
    p = fmaf(p, f, CK_EXP_2);
    p = fmaf(p, f, CK_EXP_1);
    return scaled(fmaf(p, f, 1.0f), shifted);
}

// 2^x for x <= 0: how much a key counts.
static float key_weight(ck_type type, float x) {
    if (type == CK_F32) return exp2_poly(x);
    if (x < CK_EXP_MIN) return 0;
    float shifted = x + CK_ROUND, f = x - (shifted - CK_ROUND), p = fmaf(CK_WEIGHT_4, f, CK_WEIGHT_3);
    p = fmaf(p, f, CK_WEIGHT_2);
    p = fmaf(p, f, CK_WEIGHT_1);
    return scaled(fmaf(p, f, 1.0f), shifted);
}

static float weight_operand(ck_type type, float w) {
    return type == CK_F32 ? w : fmaf(w, -CK_WEIGHT_SPLIT, fmaf(w, CK_WEIGHT_SPLIT, w));
}

static float add_lanes(float lane[16]) {
    for (size_t d = 8; d; d /= 2)
        for (size_t j = 0; j < d; j++) lane[j] += lane[j + d];
    return lane[0];
}

static float sum_of_squares(const float *x, size_t n) {
    float lane[16] = {0};
    for (size_t i = 0; i < n; i++) lane[i % 16] = fmaf(x[i], x[i], lane[i % 16]);
    return add_lanes(lane);
}

static float operand(ck_type type, float x) { return type == CK_BF16 ? ck_round_bf16(x) : x; }

// Element (row, column) of weights with `width` rows per panel; k is the (even) column count.
static float weight(const void *w, ck_type type, size_t width, size_t k, size_t row, size_t column) {
    size_t panel = row / width * width * k, within = row % width;
    if (type == CK_BF16) return ck_bf16_float(((const uint16_t *)w)[panel + (column / 2 * width + within) * 2 + column % 2]);
    return ((const float *)w)[panel + column * width + within];
}

// ---- Products ---------------------------------------------------------------------------------------------------------------

static void multiply(const ck_product *p) {
    const float *a = p->a;
    for (size_t i = 0; i < p->m; i++)
        for (size_t n = p->n0; n < p->n1; n++) {
            float sum = p->accumulate ? p->c[i * p->c_stride + n] : 0;
            for (size_t k = 0; k < p->k; k++)
                sum = fmaf(a[i * p->a_stride + k], weight(p->w, p->type, CK_PANEL, p->k, n, k), sum);
            p->c[i * p->c_stride + n] = sum;
        }
}

static void multiply_planes3(const ck_planes3_product *p, ck_planes3_decoder *decode) {
    _Alignas(64) uint16_t w[P3_STEP_WORDS];
    for (size_t first = p->n0 / CK_PANEL * CK_PANEL; first < p->n1; first += CK_PANEL) {
        const size_t rows = p->n - first < CK_PANEL ? p->n - first : CK_PANEL;
        p3_cursor at = p3_open((const uint8_t *)p->w + 64 * (size_t)p->panels[first / CK_PANEL], rows, 0, p3_parts(rows));
        const size_t n0 = p->n0 > first ? p->n0 - first : 0, n1 = p->n1 - first < rows ? p->n1 - first : rows, k = ck_round_up(p->k, 2);
        for (size_t done = 0; done < k; done += CK_PLANES3_STEP) {
            const size_t depth = k - done < CK_PLANES3_STEP ? k - done : CK_PLANES3_STEP;
            decode(&at, 1, w);
            multiply(&(ck_product){
                .a = (const float *)p->a + done, .a_stride = p->a_stride, .w = w, .c = p->c + first, .c_stride = p->c_stride, .m = p->m,
                .k = depth, .n = rows, .n0 = n0, .n1 = n1, .type = CK_BF16, .accumulate = p->accumulate || done > 0,
            });
        }
    }
}

// ---- Rows -------------------------------------------------------------------------------------------------------------------

static void operand_rows(ck_type type, const float *x, size_t x_stride, const int32_t *pick, size_t rows, size_t columns, void *out,
                         size_t out_stride) {
    for (size_t i = 0; i < rows; i++) {
        const float *row = x + (pick ? (size_t)pick[i] : i) * x_stride;
        for (size_t j = 0; j < columns; j++) ((float *)out)[i * out_stride + j] = operand(type, row[j]);
    }
}

static void rms_norm(ck_type type, const float *x, size_t x_stride, const int32_t *pick, size_t rows, size_t columns,
                     const float *w, float epsilon, void *out, size_t out_stride) {
    for (size_t i = 0; i < rows; i++) {
        const float *row = x + (pick ? (size_t)pick[i] : i) * x_stride;
        float scale = 1.0f / sqrtf(sum_of_squares(row, columns) / (float)columns + epsilon);
        for (size_t j = 0; j < columns; j++) ((float *)out)[i * out_stride + j] = operand(type, row[j] * scale * w[j]);
    }
}

static void head_norm(float *x, size_t x_stride, size_t rows, size_t heads, size_t dimension, const float *w, float epsilon) {
    for (size_t i = 0; i < rows; i++)
        for (size_t h = 0; h < heads; h++) {
            float *head = x + i * x_stride + h * dimension;
            float scale = 1.0f / sqrtf(sum_of_squares(head, dimension) / (float)dimension + epsilon);
            for (size_t j = 0; j < dimension; j++) head[j] = head[j] * scale * w[j];
        }
}

static void rotate(float *x, size_t x_stride, size_t rows, size_t heads, size_t dimension, size_t half, const float *cosine,
                   const float *sine, const int32_t *position) {
    for (size_t i = 0; i < rows; i++) {
        const float *c = cosine + (size_t)position[i] * half, *s = sine + (size_t)position[i] * half;
        for (size_t h = 0; h < heads; h++) {
            float *head = x + i * x_stride + h * dimension;
            for (size_t j = 0; j < half; j++) {
                float a = head[j], b = head[j + half];
                head[j] = fmaf(a, c[j], -(b * s[j]));
                head[j + half] = fmaf(b, c[j], a * s[j]);
            }
        }
    }
}

static void silu_multiply(ck_type type, const float *x, size_t x_stride, size_t rows, size_t columns, void *out, size_t out_stride) {
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            float gate = x[i * x_stride + j], up = x[i * x_stride + columns + j];
            float silu = gate / (1.0f + exp2_poly(gate * (float)-CK_LOG2E));
            ((float *)out)[i * out_stride + j] = operand(type, silu * up);
        }
}

// ---- Conversions ------------------------------------------------------------------------------------------------------------

static void to_float(const void *source, ck_type type, size_t count, float *out) {
    const uint16_t *half = source;
    for (size_t i = 0; i < count; i++)
        out[i] = type == CK_BF16 ? ck_bf16_float(half[i]) : type == CK_F16 ? ck_f16_float(half[i]) : ((const float *)source)[i];
}

static void from_float(const float *source, ck_type type, size_t count, void *out) {
    uint16_t *half = out;
    for (size_t i = 0; i < count; i++) {
        if (type == CK_BF16) half[i] = ck_float_bf16(source[i]);
        else if (type == CK_F16) half[i] = ck_float_f16(source[i]);
        else ((float *)out)[i] = source[i];
    }
}

// ---- KV pages and attention -------------------------------------------------------------------------------------------------

static void write_kv(ck_type type, const float *k, const float *v, size_t stride, size_t tokens, size_t dimension, void *kv,
                     size_t page_bytes, const int32_t *pages, size_t position) {
    for (size_t i = 0; i < tokens; i++) {
        size_t t = (position + i) % CK_PANEL;
        uint8_t *page = ck_page(kv, page_bytes, pages, position + i);
        for (size_t d = 0; d < dimension; d++) {
            float key = k[i * stride + d], value = v[i * stride + d];
            if (type == CK_BF16) {
                uint16_t *K = (uint16_t *)page, *V = K + CK_PANEL * dimension;
                K[(d / 2 * CK_PANEL + t) * 2 + d % 2] = ck_float_bf16(key);
                V[(t / 2 * dimension + d) * 2 + t % 2] = ck_float_bf16(value);
            } else {
                float *K = (float *)page, *V = K + CK_PANEL * dimension;
                K[d * CK_PANEL + t] = key;
                V[t * dimension + d] = value;
            }
        }
    }
}

static void attend_span(const ck_attention *a, size_t span, float *state) {
    size_t D = a->dimension, stride = ck_state_stride(D);
    float scale = ck_score_scale(D);
    for (size_t r = 0; r < a->rows; r++) {
        size_t row = a->row0 + r, token = row / a->group, last = a->position + token;    // last key this row sees
        const float *q = a->q + token * a->q_stride + row % a->group * D;
        float *s = state + r * stride, *o = s + CK_STATE_HEAD;
        memset(s, 0, stride * sizeof(float));
        s[0] = CK_NOTHING;
        for (size_t first = span * CK_SPAN; first < (span + 1) * CK_SPAN && first <= last; first += CK_PANEL) {
            const uint8_t *K = ck_page(a->kv, a->page_bytes, a->pages, first), *V = K + CK_PANEL * D * ck_size(a->type);
            size_t visible = last - first + 1 < CK_PANEL ? last - first + 1 : CK_PANEL;
            float p[CK_PANEL], maximum = s[0], lane[16] = {0};
            for (size_t j = 0; j < visible; j++) {
                p[j] = 0;
                for (size_t d = 0; d < D; d++) p[j] = fmaf(operand(a->type, q[d] * scale), weight(K, a->type, CK_PANEL, D, j, d), p[j]);
                if (p[j] > maximum) maximum = p[j];
            }
            float alpha = exp2_poly(s[0] - maximum);
            s[0] = maximum;
            for (size_t j = 0; j < CK_PANEL; j++) {
                p[j] = j < visible ? key_weight(a->type, p[j] - maximum) : 0;
                lane[j % 16] += p[j];
                p[j] = weight_operand(a->type, p[j]);
            }
            s[1] = fmaf(s[1], alpha, add_lanes(lane));
            for (size_t d = 0; d < D; d++) {
                o[d] *= alpha;
                for (size_t j = 0; j < visible; j++) o[d] = fmaf(p[j], weight(V, a->type, D, CK_PANEL, d, j), o[d]);
            }
        }
    }
}

// The later state joins `into`.
static void join(size_t rows, size_t dimension, const float *later, float *into) {
    size_t stride = ck_state_stride(dimension);
    for (size_t r = 0; r < rows; r++, later += stride, into += stride) {
        float maximum = later[0] > into[0] ? later[0] : into[0];
        float old = exp2_poly(into[0] - maximum), new = exp2_poly(later[0] - maximum);
        into[0] = maximum;
        into[1] = fmaf(later[1], new, into[1] * old);
        for (size_t d = CK_STATE_HEAD; d < stride; d++) into[d] = fmaf(later[d], new, into[d] * old);
    }
}

static void finish(const ck_attention *a, const float *state) {
    size_t D = a->dimension, stride = ck_state_stride(D);
    for (size_t r = 0; r < a->rows; r++) {
        size_t row = a->row0 + r, at = row / a->group * a->out_stride + row % a->group * D;
        float scale = 1.0f / state[r * stride + 1];
        for (size_t d = 0; d < D; d++)
            ((float *)a->out)[at + d] = operand(a->type, state[r * stride + CK_STATE_HEAD + d] * scale);
    }
}

// ---- Logits and probes ------------------------------------------------------------------------------------------------------

static ck_largest find_largest(const float *x, size_t count) {
    ck_largest largest = {-INFINITY, 0, false};
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        if (x[i] != x[i]) largest.nan = true;
        else if (!found || x[i] > largest.value) {
            largest.value = x[i];
            largest.index = i;
            found = true;
        }
    }
    return largest;
}

static void exponentiate(const float *x, size_t count, float maximum, float factor, float floor, float *weights, double *sums) {
    for (size_t first = 0; first < count; first += CK_LOGIT_BLOCK) {
        float lane[16] = {0};
        for (size_t i = first; i < count && i < first + CK_LOGIT_BLOCK; i++) {
            float w = exp2_poly((x[i] - maximum) * factor);
            if (w < floor) w = 0;
            lane[i % 16] += w;
            if (weights) weights[i] = w;
        }
        sums[first / CK_LOGIT_BLOCK] = (double)add_lanes(lane);
    }
}

static uint64_t probe_arithmetic(ck_type type, uint64_t rounds, float *sink) {
    (void)type;
    float a[8] = {0};
    for (uint64_t i = 0; i < rounds; i++)
        for (size_t j = 0; j < 8; j++) a[j] = fmaf(a[j], 0.5f, 1.0f);
    for (size_t j = 0; j < 8; j++) *sink += a[j];
    return rounds * 8 * 2;
}

static uint64_t probe_read(const void *bytes, size_t count) {
    const uint64_t *p = bytes;
    uint64_t fold = 0;
    for (size_t i = 0; i < count / 8; i++) fold ^= p[i];
    return fold;
}

const ck_table ck_scalar_table = {
    multiply, multiply_planes3, operand_rows, rms_norm, head_norm, rotate, silu_multiply, to_float, from_float, write_kv,
    attend_span, join, finish, find_largest, exponentiate, probe_arithmetic, probe_read,
};
