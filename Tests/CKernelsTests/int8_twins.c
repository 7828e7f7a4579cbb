// Compares the int8 kernels of one instruction set with the scalar twin: equal bits, always. Usage: int8_twins <number of ck_isa>.
// An instruction set that the machine lacks is left out: nothing emulates these.
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
static float *numbers(size_t n, float scale) {
    float *x = malloc(n * 4);
    for (size_t i = 0; i < n; i++) x[i] = scale * (float)((int)(next() >> 40) - (1 << 23)) / (1 << 23);
    return x;
}

static void same(const char *what, const char *shape, const void *a, const void *b, size_t bytes) {
    if (memcmp(a, b, bytes) == 0) return;
    printf("DIFFERS %s: %s\n", what, shape);
    failures++;
}

static void products(ck_int8 form) {
    static const int rows[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 17, 23, 24, 32, 33, 47, 127, 260};
    static const int outputs[] = {1, 15, 16, 17, 40, 64, 65, 112, 192}, inputs[] = {1, 3, 4, 31, 32, 33, 64, 100, 300, 1200};
    const size_t most = 260;
    for (size_t ni = 0; ni < 9; ni++)
        for (size_t ki = 0; ki < 10; ki++) {
            const size_t N = outputs[ni], K = inputs[ki], stride = ck_int8_operand_bytes(K) + 64, c_stride = N + 3;
            float *w = numbers(N * K, 1), *x = numbers(most * K, 3);
            for (size_t j = 0; j < K; j++) x[j] = 5, w[j] = -1;       // greatest sums
            for (size_t j = 0; j < K && most > 2; j++) x[2 * K + j] = 0;
            void *panels = aligned_alloc(64, ck_int8_panel_bytes(form, N, K));
            memset(panels, 0, ck_int8_panel_bytes(form, N, K));
            ck_int8_pack_rows(form, w, CK_F32, K, N, K, panels, 0);
            uint8_t *a = aligned_alloc(64, most * stride), *b = aligned_alloc(64, most * stride);
            memset(a, 7, most * stride), memset(b, 7, most * stride);
            ck_int8_operand(CK_SCALAR, CK_F32, x, K, NULL, most, K, a, stride);
            ck_int8_operand(isa, CK_F32, x, K, NULL, most, K, b, stride);
            char shape[80];
            snprintf(shape, sizeof shape, "%zu columns", K);
            same("operand", shape, a, b, most * stride);
            float *c = malloc(most * c_stride * 4), *d = malloc(most * c_stride * 4);
            for (int accumulate = 0; accumulate < 2; accumulate++) {
                for (size_t i = 0; i < most * c_stride; i++) c[i] = (float)(i % 7);
                ck_int8_product p = {.a = a, .a_stride = stride, .w = panels, .c = c, .c_stride = c_stride, .m = most, .k = K,
                                     .n = N, .n0 = 0, .n1 = N, .form = form, .accumulate = accumulate, .next = accumulate ? a : NULL};
                ck_int8_multiply(CK_SCALAR, &p);
                for (size_t r = 0; r < 19; r++) {
                    const size_t M = rows[r], cut = M % 2 ? N / 2 / 16 * 16 : 0;
                    snprintf(shape, sizeof shape, "form %d, %zu x %zu x %zu", form, M, N, K);
                    for (size_t i = 0; i < M * c_stride; i++) d[i] = (float)(i % 7);
                    p.c = d;
                    p.m = M;
                    if (cut) {
                        p.n0 = 0, p.n1 = cut;
                        ck_int8_multiply(isa, &p);
                    }
                    p.n0 = cut, p.n1 = N;
                    ck_int8_multiply(isa, &p);
                    same("product", shape, c, d, M * c_stride * 4);
                }
            }
            free(w), free(x), free(panels), free(a), free(b), free(c), free(d);
        }
}

static void rows(void) {
    static const int lengths[] = {1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 576, 1000};
    for (size_t i = 0; i < 12; i++) {
        const size_t n = lengths[i], count = 7, x_stride = 2 * n + 5, stride = ck_int8_operand_bytes(n);
        char shape[40];
        snprintf(shape, sizeof shape, "%zu columns", n);
        float *x = numbers(count * x_stride, 3), *w = numbers(n, 1);
        x[0] = NAN, x[x_stride] = INFINITY, x[2 * x_stride + n - 1] = -INFINITY;
        for (size_t j = 0; j < n; j++) x[3 * x_stride + j] *= 0x1p-110f, x[4 * x_stride + j] *= 0x1p100f, x[5 * x_stride + j] = -0.0f;
        uint8_t *a = aligned_alloc(64, count * stride), *b = aligned_alloc(64, count * stride);
        memset(a, 7, count * stride), memset(b, 7, count * stride);
        const int32_t pick[] = {2, 6, 1, 1, 3, 5, 4};
        for (int picked = 0; picked < 2; picked++) {
            ck_int8_operand(CK_SCALAR, CK_F32, x, x_stride, picked ? pick : NULL, count, n, a, stride);
            ck_int8_operand(isa, CK_F32, x, x_stride, picked ? pick : NULL, count, n, b, stride);
            same("operand", shape, a, b, count * stride);
            ck_int8_rms_norm(CK_SCALAR, x, x_stride, picked ? pick : NULL, count, n, w, 1e-5f, a, stride);
            ck_int8_rms_norm(isa, x, x_stride, picked ? pick : NULL, count, n, w, 1e-5f, b, stride);
            same("norm", shape, a, b, count * stride);
        }
        ck_int8_silu_multiply(CK_SCALAR, x, x_stride, count, n, a, stride);
        ck_int8_silu_multiply(isa, x, x_stride, count, n, b, stride);
        same("silu", shape, a, b, count * stride);
        uint16_t *narrow = malloc(count * n * 2);
        for (size_t j = 0; j < count; j++) ck_from_float(CK_SCALAR, x + j * x_stride, CK_BF16, n, narrow + j * n);
        ck_int8_operand(CK_SCALAR, CK_BF16, narrow, n, pick, count, n, a, stride);
        ck_int8_operand(isa, CK_BF16, narrow, n, pick, count, n, b, stride);
        same("operand of bf16", shape, a, b, count * stride);
        free(x), free(w), free(a), free(b), free(narrow);
    }
}

int main(int count, char **arguments) {
    if (count != 2) return 2;
    isa = (ck_isa)atoi(arguments[1]);
    if (!ck_supported(isa)) {
        printf("int8, instruction set %d: not here\n", (int)isa);
        return 0;
    }
    products(CK_INT8_ROW);
    products(CK_INT8_GROUPS);
    rows();
    printf("int8, instruction set %d: %d differences\n", (int)isa, failures);
    return failures != 0;
}
