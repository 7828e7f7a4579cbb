// Compares the kernels of one instruction set with the scalar twin: equal bits, or close where bf16 instructions differ. Also that
// rows of a product and tokens of a sequence do not depend on what is computed beside them. Usage: twins <number of ck_isa>.
// The instruction set is called without asking whether the machine has it: emulate-avx512.sh links an emulated one.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckernels.h"

static ck_isa isa;
static int failures;

static uint64_t state = 88172645463325252u;
static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}
static float number(void) { return (float)((int)(next() >> 40) - (1 << 23)) / (1 << 23); }
static float *numbers(size_t n, float scale) {
    float *x = malloc(n * 4);
    for (size_t i = 0; i < n; i++) x[i] = number() * scale;
    return x;
}

static void fail(const char *what, const char *shape) {
    printf("DIFFERS %s: %s\n", what, shape);
    failures++;
}

// `twin` are floats of the scalar twin, `found` floats or (narrow) bf16 of the other.
static void compare(const char *what, const char *shape, const float *twin, const void *found, size_t n, bool narrow) {
    double error = 0, greatest = 0, allowed = isa == CK_AVX512BF16 ? 0.01 : 0;
    for (size_t i = 0; i < n; i++) {
        float x = twin[i], y;
        if (narrow) ck_to_float(CK_SCALAR, (const uint16_t *)found + i, CK_BF16, 1, &y);
        else y = ((const float *)found)[i];
        if (memcmp(&x, &y, 4) == 0) continue;
        double d = fabs((double)x - y);
        error = d == d ? fmax(error, d) : INFINITY;
        greatest = fmax(greatest, fabs(x));
    }
    if (error > allowed * (greatest + 1)) fail(what, shape);
}

static void products(ck_type type) {
    static const int rows[] = {1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 16, 17, 23, 24, 25, 32, 33, 47, 127};
    static const int outputs[] = {1, 15, 16, 17, 40, 64, 65, 100, 128, 192}, inputs[] = {2, 6, 16, 62, 130, 300, 1200};
    const bool narrow = ck_operand_type(isa, type) == CK_BF16;
    const size_t most = 127;
    for (size_t ni = 0; ni < 10; ni++)
        for (size_t ki = 0; ki < 7; ki++) {
            const size_t N = outputs[ni], K = inputs[ki], stride = (K + 31) / 32 * 32, bytes = (N + 63) / 64 * 64 * K * 4;
            float *w = numbers(N * K, 1), *x = numbers(most * stride, 1);
            void *panels = aligned_alloc(64, bytes), *a = calloc(most * stride, 4), *b = calloc(most * stride, 4);
            memset(panels, 0, bytes);
            ck_pack_rows(w, CK_F32, K, N, K, panels, type, 0);
            ck_operand(CK_SCALAR, type, x, stride, NULL, most, K, a, stride);
            ck_operand(isa, type, x, stride, NULL, most, K, b, stride);
            const size_t c_stride = N + 3;
            float *first = NULL;
            for (int r = 19; r >= 0; r--) {
                const size_t M = rows[r];
                char shape[80];
                snprintf(shape, sizeof shape, "type %d, %zu x %zu x %zu", type, M, N, K);
                for (int accumulate = 1; accumulate >= 0; accumulate--) {
                    float *c = malloc(M * c_stride * 4), *d = malloc(M * c_stride * 4);
                    for (size_t i = 0; i < M * c_stride; i++) c[i] = d[i] = (float)(i % 7);
                    ck_product p = {.a = a, .a_stride = stride, .w = panels, .c = c, .c_stride = c_stride, .m = M, .k = K,
                                    .n = N, .n0 = 0, .n1 = N, .type = type, .accumulate = accumulate, .next = r % 3 ? panels : NULL};
                    if (M < 8 || ki % 3 == 0) ck_multiply(CK_SCALAR, &p);
                    const size_t cut = M % 2 ? N / 2 / 16 * 16 : 0;
                    p.a = b;
                    p.c = d;
                    if (cut) {
                        p.n1 = cut;
                        ck_multiply(isa, &p);
                    }
                    p.n0 = cut;
                    p.n1 = N;
                    ck_multiply(isa, &p);
                    if (M < 8 || ki % 3 == 0) compare("product", shape, c, d, M * c_stride, false);
                    if (!accumulate) {
                        if (!first) {
                            first = d;
                            d = NULL;
                        } else {
                            for (size_t i = 0; i < M; i++)
                                if (memcmp(first + i * c_stride, d + i * c_stride, N * 4)) fail("rows depend on others", shape);
                        }
                    }
                    free(c);
                    free(d);
                }
            }
            free(first), free(w), free(x), free(panels), free(a), free(b);
        }
    (void)narrow;
}

static void rows(ck_type type) {
    static const int lengths[] = {1, 8, 15, 16, 17, 31, 33, 64, 80, 576};
    const bool narrow = ck_operand_type(isa, type) == CK_BF16;
    for (size_t i = 0; i < 10; i++) {
        const size_t n = lengths[i], count = 3, x_stride = 2 * n + 5, stride = (n + 31) / 32 * 32;
        char shape[40];
        snprintf(shape, sizeof shape, "type %d, %zu columns", type, n);
        float *x = numbers(count * x_stride, 3), *w = numbers(n, 1), *y = malloc(count * x_stride * 4);
        float *a = calloc(count * stride, 4), *b = calloc(count * stride, 4);
        const int32_t pick[] = {2, 0, 0}, position[] = {5, 0, 7};
        for (int picked = 0; picked < 2; picked++) {
            ck_rms_norm(CK_SCALAR, type, x, x_stride, picked ? pick : NULL, count, n, w, 1e-5f, a, stride);
            ck_rms_norm(isa, type, x, x_stride, picked ? pick : NULL, count, n, w, 1e-5f, b, stride);
            compare("norm", shape, a, b, count * stride, narrow);
        }
        ck_silu_multiply(CK_SCALAR, type, x, x_stride, count, n, a, stride);
        ck_silu_multiply(isa, type, x, x_stride, count, n, b, stride);
        compare("silu", shape, a, b, count * stride, narrow);
        for (size_t many = 0; many < 2; many++) {
            const size_t length = many ? n + 2 * CK_LOGIT_BLOCK : n;
            float *logits = numbers(length, 9), *v = malloc(length * 4), *w = malloc(length * 4);
            double sums[2][4];
            ck_largest one = ck_find_largest(CK_SCALAR, logits, length), two = ck_find_largest(isa, logits, length);
            if (one.value != two.value || one.index != two.index || one.nan || two.nan) fail("largest", shape);
            double all = ck_exponentiate(CK_SCALAR, logits, length, one.value, 1.5f, 0.01f, v, sums[0]);
            if (all != ck_exponentiate(isa, logits, length, one.value, 1.5f, 0.01f, w, sums[1]) || memcmp(v, w, length * 4) ||
                memcmp(sums[0], sums[1], (length + CK_LOGIT_BLOCK - 1) / CK_LOGIT_BLOCK * sizeof(double)))
                fail("exponentials", shape);
            logits[length / 2] = NAN;
            if (!ck_find_largest(isa, logits, length).nan) fail("NaN", shape);
            free(logits);
            free(v);
            free(w);
        }
        if (n % 2 == 0) {
            float *cosine = numbers(8 * n, 1), *sine = numbers(8 * n, 1);
            memcpy(y, x, count * x_stride * 4);
            ck_rotate(CK_SCALAR, x, x_stride, count, 2, n, n / 2, cosine, sine, position);
            ck_rotate(isa, y, x_stride, count, 2, n, n / 2, cosine, sine, position);
            compare("rotation", shape, x, y, count * x_stride, false);
            memcpy(y, x, count * x_stride * 4);
            ck_head_norm(CK_SCALAR, x, x_stride, count, 2, n, w, 1e-6f);
            ck_head_norm(isa, y, x_stride, count, 2, n, w, 1e-6f);
            compare("head norm", shape, x, y, count * x_stride, false);
            free(cosine), free(sine);
        }
        free(x), free(w), free(y), free(a), free(b);
    }
}

static void attention(ck_type type) {
    static const int dimensions[] = {8, 10, 64, 80, 96, 128, 256};
    const bool narrow = ck_operand_type(isa, type) == CK_BF16;
    for (size_t di = 0; di < 7; di++)
        for (size_t group = 1; group <= 7; group += 2) {
            const size_t D = dimensions[di], tokens = D == 64 && group == 3 ? 1300 : 150, pages = (tokens + 63) / 64;
            const size_t page_bytes = 2 * 64 * D * (type == CK_F32 ? 4 : 2), stride = group * D, width = narrow ? 2 : 4;
            char shape[60];
            snprintf(shape, sizeof shape, "type %d, heads of %zu, group of %zu", type, D, group);
            uint8_t *kv = calloc(pages, page_bytes), *twin = calloc(pages, page_bytes);
            int32_t page[32];
            for (size_t i = 0; i < pages; i++) page[i] = (int32_t)(pages - 1 - i);
            float *k = numbers(tokens * D, 2), *v = numbers(tokens * D, 1), *q = numbers(tokens * stride, 4);
            ck_write_kv(CK_SCALAR, type, k, v, D, tokens, D, twin, page_bytes, page, 0);
            for (size_t i = 0; i < tokens;) {
                size_t n = 1 + next() % 40;
                if (n > tokens - i) n = tokens - i;
                ck_write_kv(isa, type, k + i * D, v + i * D, D, n, D, kv, page_bytes, page, i);
                i += n;
            }
            if (memcmp(kv, twin, pages * page_bytes)) fail("pages", shape);
            float *a = calloc(tokens * stride, 4);
            uint8_t *b = calloc(tokens * stride, 4), *alone = calloc(tokens * stride, 4);
            const size_t step = CK_ATTENTION_ROWS / group * group, from = tokens > 1000 ? (tokens - 2 * step) * group : 0;
            for (size_t r = from; r < tokens * group; r += step) {
                ck_attention call = {.q = q, .q_stride = stride, .kv = twin, .page_bytes = page_bytes, .pages = page, .out = a,
                                     .out_stride = stride, .row0 = r, .rows = tokens * group - r < step ? tokens * group - r : step,
                                     .dimension = D, .group = group, .type = type};
                ck_attend(CK_SCALAR, &call);
                call.out = b;
                ck_attend(isa, &call);
            }
            const size_t begin = from / group * stride, end = tokens * stride;
            compare("attention", shape, a + begin, b + begin * width, end - begin, narrow);
            for (size_t i = from / group; i < tokens; i++) {
                ck_attention call = {.q = q + i * stride, .q_stride = stride, .kv = twin, .page_bytes = page_bytes, .pages = page,
                                     .out = alone + i * stride * width, .out_stride = stride, .position = i, .rows = group,
                                     .dimension = D, .group = group, .type = type};
                ck_attend(isa, &call);
            }
            if (memcmp(b + begin * width, alone + begin * width, (end - begin) * width)) fail("tokens depend on the chunk", shape);
            free(kv), free(twin), free(k), free(v), free(q), free(a), free(b), free(alone);
        }
}

static void conversions(void) {
    const size_t n = 1 << 18;
    uint32_t *x = malloc(n * 4);
    for (size_t i = 0; i < n; i++) x[i] = (uint32_t)(next() >> 13);
    uint16_t *a = malloc(n * 2), *b = malloc(n * 2);
    float *f = malloc(n * 4), *g = malloc(n * 4);
    for (int type = CK_BF16; type <= CK_F16; type += CK_F16 - CK_BF16) {
        ck_from_float(CK_SCALAR, (float *)x, type, n - 3, a);
        ck_from_float(isa, (float *)x, type, n - 3, b);
        if (memcmp(a, b, 2 * (n - 3))) fail("conversion from float", type == CK_F16 ? "f16" : "bf16");
        for (size_t i = 0; i < 65536; i++) a[i] = (uint16_t)i;
        ck_to_float(CK_SCALAR, a, type, 65533, f);
        ck_to_float(isa, a, type, 65533, g);
        if (memcmp(f, g, 4 * 65533)) fail("conversion to float", type == CK_F16 ? "f16" : "bf16");
    }
    free(x), free(a), free(b), free(f), free(g);
}

int main(int count, char **arguments) {
    if (count != 2) return 2;
    isa = (ck_isa)atoi(arguments[1]);
    for (ck_type type = CK_BF16; type <= CK_F32; type++) {
        products(type);
        rows(type);
        attention(type);
    }
    conversions();
    printf("instruction set %d: %d differences\n", (int)isa, failures);
    return failures != 0;
}
