// The public functions: check the arguments, look up the instruction set, and what no instruction set speeds up.
#include "kernels.h"

static const ck_table *const tables[] = {
    [CK_SCALAR] = &ck_scalar_table,
#if defined(__x86_64__)
    [CK_AVX2] = &ck_avx2_table,
    [CK_AVX512] = &ck_avx512_table,
    [CK_AVX512VNNI] = &ck_avx512_table,
    [CK_AVX512BF16] = &ck_avx512bf16_table,
#endif
};

const ck_table *ck_table_of(ck_isa isa) { return tables[isa]; }

bool ck_supported(ck_isa isa) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    switch (isa) {
    case CK_SCALAR: return true;
    case CK_AVX2: return avx2;
    case CK_AVX512: return avx512;
    case CK_AVX512VNNI: return avx512 && __builtin_cpu_supports("avx512vnni");
    case CK_AVX512BF16: return avx512 && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
    }
    return false;
#else
    return isa == CK_SCALAR;
#endif
}

ck_isa ck_fastest(void) {
#if defined(__x86_64__)
    // Intel's vdpbf16ps starts every second cycle: half of the fp32 rate. AMD's starts with every multiply-add: twice that rate.
    if (ck_supported(CK_AVX512BF16) && !__builtin_cpu_is("intel")) return CK_AVX512BF16;
    if (ck_supported(CK_AVX512VNNI)) return CK_AVX512VNNI;
    if (ck_supported(CK_AVX512)) return CK_AVX512;
    if (ck_supported(CK_AVX2)) return CK_AVX2;
#endif
    return CK_SCALAR;
}

ck_type ck_operand_type(ck_isa isa, ck_type weights) {
    return isa == CK_AVX512BF16 && weights == CK_BF16 ? CK_BF16 : CK_F32;
}

#define computes(type) ((type) == CK_BF16 || (type) == CK_F32)     // not just a source

void ck_multiply(ck_isa isa, const ck_product *p) {
    assert(computes(p->type) && p->k % 2 == 0 && p->k <= p->a_stride);
    assert(p->n0 % CK_COLUMN_UNIT == 0 && p->n0 <= p->n1 && (p->n1 % CK_COLUMN_UNIT == 0 || p->n1 == p->n));
    assert(p->n1 <= p->n && (p->n1 <= p->c_stride || p->m <= 1));
    if (p->m == 0 || p->n0 == p->n1) return;
    tables[isa]->multiply(p);
}

typedef uint32_t ck_words __attribute__((vector_size(16)));

/// Four words of each of four rows, transposed: `in` has rows of `width` words, `out` of CK_PANEL.
static void transpose_words(const uint32_t *in, size_t width, uint32_t *out) {
    ck_words a, b, c, d;
    memcpy(&a, in, 16);
    memcpy(&b, in + width, 16);
    memcpy(&c, in + 2 * width, 16);
    memcpy(&d, in + 3 * width, 16);
    ck_words low1 = __builtin_shufflevector(a, b, 0, 4, 1, 5), low2 = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    ck_words high1 = __builtin_shufflevector(a, b, 2, 6, 3, 7), high2 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    a = __builtin_shufflevector(low1, low2, 0, 1, 4, 5);
    b = __builtin_shufflevector(low1, low2, 2, 3, 6, 7);
    c = __builtin_shufflevector(high1, high2, 0, 1, 4, 5);
    d = __builtin_shufflevector(high1, high2, 2, 3, 6, 7);
    memcpy(out, &a, 16);
    memcpy(out + CK_PANEL, &b, 16);
    memcpy(out + 2 * CK_PANEL, &c, 16);
    memcpy(out + 3 * CK_PANEL, &d, 16);
}

/// A whole panel of bf16 as it is: pairs of columns are words, and the panel is the matrix of words transposed. Sixteen words of each row, a
/// cache line, are fetched before any is written: rows of a power of two would push one another out of the cache.
static void pack_panel(const uint16_t *source, size_t stride, size_t columns, uint16_t *panel) {
    enum { WORDS = 16 };
    uint32_t block[CK_PANEL][WORDS], out[WORDS][CK_PANEL];
    for (size_t j = 0; j < columns; j += 2 * WORDS) {
        size_t count = columns - j < 2 * WORDS ? columns - j : 2 * WORDS, words = (count + 1) / 2;
        if (count < 2 * WORDS) {
            memset(block, 0, sizeof block);
            for (size_t i = 0; i < CK_PANEL; i++) memcpy(block[i], source + i * stride + j, count * 2);
        } else {
            for (size_t i = 0; i < CK_PANEL; i++) memcpy(block[i], source + i * stride + j, 4 * WORDS);
        }
        for (size_t i = 0; i < CK_PANEL; i += 4)
            for (size_t w = 0; w < WORDS; w += 4) transpose_words(&block[i][w], WORDS, &out[w][i]);
        memcpy(panel + j * CK_PANEL, out, words * sizeof out[0]);
    }
}

void ck_pack_rows(const void *source, ck_type source_type, size_t source_stride, size_t rows, size_t columns, void *panels,
                  ck_type type, size_t first) {
    assert(computes(type) && columns <= source_stride);
    size_t k = (columns + 1) / 2 * 2;
    for (size_t i = 0; i < rows; i++) {
        if (type == CK_BF16 && source_type == CK_BF16 && (first + i) % CK_PANEL == 0 && rows - i >= CK_PANEL) {
            pack_panel((const uint16_t *)source + i * source_stride, source_stride, columns, (uint16_t *)panels + (first + i) * k);
            i += CK_PANEL - 1;
            continue;
        }
        size_t panel = (first + i) / CK_PANEL * CK_PANEL * k, within = (first + i) % CK_PANEL;
        const uint8_t *row = (const uint8_t *)source + i * source_stride * ck_size(source_type);
        uint16_t *narrow = (uint16_t *)panels + panel + within * 2;
        float *wide = (float *)panels + panel + within;
        for (size_t j = 0; j < k; j++) {
            uint16_t bits = 0;
            float value = 0;
            if (j < columns) {
                if (source_type == CK_F32) memcpy(&value, row + j * 4, 4);
                else memcpy(&bits, row + j * 2, 2);
                if (source_type == CK_BF16) value = ck_bf16_float(bits);
                if (source_type == CK_F16) value = ck_f16_float(bits);
            }
            if (type == CK_F32) wide[j * CK_PANEL] = value;
            else narrow[j / 2 * CK_PANEL * 2 + j % 2] = source_type == CK_BF16 ? bits : ck_float_bf16(value);
        }
    }
}

void ck_unpack_row(const void *panels, ck_type type, size_t columns, size_t row, float *out) {
    size_t panel = row / CK_PANEL * CK_PANEL * ((columns + 1) / 2 * 2), within = row % CK_PANEL;
    const uint16_t *narrow = (const uint16_t *)panels + panel + within * 2;
    const float *wide = (const float *)panels + panel + within;
    for (size_t j = 0; j < columns; j++)
        out[j] = type == CK_F32 ? wide[j * CK_PANEL] : ck_bf16_float(narrow[j / 2 * CK_PANEL * 2 + j % 2]);
}

void ck_operand(ck_isa isa, ck_type type, const float *x, size_t x_stride, const int32_t *pick, size_t rows, size_t columns,
                void *out, size_t out_stride) {
    assert(computes(type) && columns <= out_stride);
    tables[isa]->operand(type, x, x_stride, pick, rows, columns, out, out_stride);
}

void ck_rms_norm(ck_isa isa, ck_type type, const float *x, size_t x_stride, const int32_t *pick, size_t rows, size_t columns,
                 const float *weight, float epsilon, void *out, size_t out_stride) {
    assert(computes(type) && columns <= out_stride);
    tables[isa]->rms_norm(type, x, x_stride, pick, rows, columns, weight, epsilon, out, out_stride);
}

void ck_head_norm(ck_isa isa, float *x, size_t x_stride, size_t rows, size_t heads, size_t dimension, const float *weight,
                  float epsilon) {
    assert(heads * dimension <= x_stride || rows <= 1);
    tables[isa]->head_norm(x, x_stride, rows, heads, dimension, weight, epsilon);
}

void ck_rotate(ck_isa isa, float *x, size_t x_stride, size_t rows, size_t heads, size_t dimension, size_t half, const float *cosine,
               const float *sine, const int32_t *position) {
    assert(2 * half <= dimension && (heads * dimension <= x_stride || rows <= 1));
    tables[isa]->rotate(x, x_stride, rows, heads, dimension, half, cosine, sine, position);
}

void ck_silu_multiply(ck_isa isa, ck_type type, const float *x, size_t x_stride, size_t rows, size_t columns, void *out,
                      size_t out_stride) {
    assert(computes(type) && 2 * columns <= x_stride && columns <= out_stride);
    tables[isa]->silu_multiply(type, x, x_stride, rows, columns, out, out_stride);
}

void ck_to_float(ck_isa isa, const void *source, ck_type type, size_t count, float *out) {
    tables[isa]->to_float(source, type, count, out);
}

void ck_from_float(ck_isa isa, const float *source, ck_type type, size_t count, void *out) {
    tables[isa]->from_float(source, type, count, out);
}

void ck_write_kv(ck_isa isa, ck_type type, const float *k, const float *v, size_t stride, size_t tokens, size_t dimension, void *kv,
                 size_t page_bytes, const int32_t *pages, size_t position) {
    assert(computes(type) && dimension % 2 == 0 && dimension <= CK_MAX_HEAD);
    tables[isa]->write_kv(type, k, v, stride, tokens, dimension, kv, page_bytes, pages, position);
}

static void check(const ck_attention *a) {
    assert(computes(a->type) && a->rows > 0 && a->rows <= CK_ATTENTION_ROWS && a->group > 0);
    assert(a->dimension % 2 == 0 && a->dimension >= 8 && a->dimension <= CK_MAX_HEAD);
    (void)a;
}

static void make_empty(const ck_attention *a, float *state) {
    size_t stride = ck_state_stride(a->dimension);
    memset(state, 0, a->rows * stride * sizeof(float));
    for (size_t r = 0; r < a->rows; r++) state[r * stride] = CK_NOTHING;
}

#define STATE_FLOATS (CK_ATTENTION_ROWS * (CK_STATE_HEAD + CK_MAX_HEAD))

void ck_attend(ck_isa isa, const ck_attention *a) {
    check(a);
    _Alignas(64) float all[STATE_FLOATS], one[STATE_FLOATS];
    make_empty(a, all);
    for (size_t span = 0; span < ck_spans(a); span++) {
        tables[isa]->attend_span(a, span, one);
        tables[isa]->join(a->rows, a->dimension, one, all);
    }
    tables[isa]->finish(a, all);
}

void ck_attend_span(ck_isa isa, const ck_attention *a, size_t span, float *state) {
    check(a);
    tables[isa]->attend_span(a, span, state);
}

void ck_attend_join(ck_isa isa, const ck_attention *a, size_t spans, float *states) {
    check(a);
    _Alignas(64) float all[STATE_FLOATS];
    make_empty(a, all);
    for (size_t span = 0; span < spans; span++)
        tables[isa]->join(a->rows, a->dimension, states + span * a->rows * ck_state_stride(a->dimension), all);
    tables[isa]->finish(a, all);
}

ck_largest ck_find_largest(ck_isa isa, const float *x, size_t count) {
    assert(count > 0);
    return tables[isa]->find_largest(x, count);
}

double ck_exponentiate(ck_isa isa, const float *x, size_t count, float maximum, float factor, float floor, float *weights, double *sums) {
    tables[isa]->exponentiate(x, count, maximum, factor, floor, weights, sums);
    double sum = 0;
    for (size_t i = 0; i < (count + CK_LOGIT_BLOCK - 1) / CK_LOGIT_BLOCK; i++) sum += sums[i];
    return sum;
}

uint64_t ck_probe_arithmetic(ck_isa isa, ck_type type, uint64_t rounds, float *sink) {
    return tables[isa]->probe_arithmetic(type, rounds, sink);
}

uint64_t ck_probe_read(ck_isa isa, const void *bytes, size_t count) { return tables[isa]->probe_read(bytes, count); }
