// Compares planes3 on one instruction set with the scalar twin: equal bytes, equal weights, equal products with ck_multiply over the same
// weights. Usage: planes3_twins <number of ck_isa>. The instruction set is called without asking whether the machine has it:
// emulate-avx512.sh links an emulated one.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckplanes3.h"

static ck_isa isa;
static int failures;

static uint64_t state = 88172645463325252u;
static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}
static float number(void) { return (float)((int)(next() >> 40) - (1 << 23)) / (1 << 23); }

static void expect(bool holds, const char *what, const char *kind, size_t rows, size_t columns) {
    if (holds) return;
    printf("DIFFERS %s: %s, %zu x %zu\n", what, kind, rows, columns);
    failures++;
}

static uint16_t bf16(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

// Weights of several natures; `kind` 0 as models have them, 1 any bits, 2 one exponent, 3 zeros, 4 the extremes in turn, 5 all patterns.
static uint16_t weight(int kind, size_t row, size_t i) {
    switch (kind) {
    case 0: {
        float sum = 0;
        for (int j = 0; j < 6; j++) sum += number();
        return bf16(sum * 0.02f * (1 + (float)(row % 7)));
    }
    case 1: return (uint16_t)next();
    case 2: return (uint16_t)(0x3f80 | (next() & 0x807f));
    case 3: return 0;
    case 4: return i % 2 ? 0x7fff : 0x8000;
    default: return (uint16_t)(row * 4096 + i);
    }
}
static const char *const kinds[] = {"model", "bits", "exponent", "zeros", "extremes", "patterns"};

static void panel(int kind, size_t rows, size_t columns) {
    const size_t bound = ck_planes3_bound(rows, columns), stride = columns + 3;
    uint16_t *w = malloc(rows * stride * 2), *back = malloc(rows * stride * 2);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < stride; j++) w[i * stride + j] = j < columns ? weight(kind, i, j) : 0xdead;
    uint8_t *a = aligned_alloc(64, bound + 64), *b = aligned_alloc(64, bound + 64);
    memset(a, 0x55, bound + 64);
    memset(b, 0xaa, bound + 64);
    const size_t size = ck_planes3_encode(CK_SCALAR, w, stride, rows, columns, a);
    expect(ck_planes3_encode(isa, w, stride, rows, columns, b) == size && memcmp(a, b, size) == 0, "encode", kinds[kind], rows, columns);
    for (size_t i = size; i < bound + 64; i++) expect(b[i] == 0xaa, "bytes behind", kinds[kind], rows, columns);
    expect(size <= bound && size % 64 == 0 && ck_planes3_size(isa, w, stride, rows, columns) == size, "size", kinds[kind], rows, columns);
    expect(ck_planes3_check(isa, a, size, rows, columns), "check", kinds[kind], rows, columns);
    // One code more or less than there are escapes.
    const size_t block = size - CK_PLANES3_BLOCK;
    a[block] ^= 7;
    expect(ck_planes3_check(isa, a, size, rows, columns) == ck_planes3_check(CK_SCALAR, a, size, rows, columns), "check of a changed one",
           kinds[kind], rows, columns);
    a[block] ^= 7;
    memset(back, 0x77, rows * stride * 2);
    ck_planes3_decode(isa, a, rows, columns, back, stride);
    for (size_t i = 0; i < rows; i++) {
        expect(memcmp(back + i * stride, w + i * stride, columns * 2) == 0, "decode", kinds[kind], rows, columns);
        expect(back[i * stride + columns] == 0x7777, "decode behind a row", kinds[kind], rows, columns);
    }
    const size_t dense = (columns + 1) / 2 * 2 * CK_PANEL * 2;
    uint16_t *x = aligned_alloc(64, (dense + 63) / 64 * 64 + 64), *y = aligned_alloc(64, (dense + 63) / 64 * 64 + 64);
    memset(y, 0, dense);
    ck_pack_rows(w, CK_BF16, stride, rows, columns, y, CK_BF16, 0);
    memset(x, 0x33, dense + 2);
    ck_planes3_expand(isa, a, rows, columns, x);
    expect(memcmp(x, y, dense) == 0 && x[dense / 2] == 0x3333, "expand", kinds[kind], rows, columns);
    float *f = malloc(columns * 4), *g = malloc(columns * 4);
    for (size_t r = 0; r < rows; r += 13) {
        ck_planes3_unpack_row(isa, a, rows, columns, r, f);
        ck_unpack_row(y, CK_BF16, columns, r, g);
        expect(memcmp(f, g, columns * 4) == 0, "row", kinds[kind], rows, columns);
    }
    free(w); free(back); free(a); free(b); free(x); free(y); free(f); free(g);
}

static void product(size_t n, size_t k) {
    const size_t panels = (n + 63) / 64, stride = (k + 31) / 32 * 32 + 32, most = 70;
    uint16_t *w = malloc(n * k * 2), *dense = aligned_alloc(64, panels * 64 * (k + 1) / 2 * 2 * 2 + 64);
    for (size_t i = 0; i < n * k; i++) w[i] = i % 97 ? weight(0, i / k, i % k) : bf16(number() * 1e-6f);
    memset(dense, 0, panels * 64 * (k + 1) / 2 * 2 * 2);
    ck_pack_rows(w, CK_BF16, k, n, k, dense, CK_BF16, 0);
    uint8_t *coded = aligned_alloc(64, panels * ck_planes3_bound(64, k));
    uint32_t *index = malloc(panels * 4);
    size_t end = 0;
    for (size_t p = 0; p < panels; p++) {
        const size_t rows = n - p * 64 < 64 ? n - p * 64 : 64;
        index[p] = (uint32_t)(end / 64);
        end += ck_planes3_encode(isa, w + p * 64 * k, k, rows, k, coded + end);
    }
    float *x = calloc(most * stride, 4);
    for (size_t i = 0; i < most; i++)
        for (size_t j = 0; j < k; j++) x[i * stride + j] = number();
    void *a = calloc(most * stride, 4);
    ck_operand(isa, CK_BF16, x, stride, NULL, most, k, a, stride);
    float *c = malloc(most * n * 4), *d = malloc(most * n * 4);
    static const size_t rows[] = {1, 2, 3, 4, 5, 6, 7, 8, 11, 13, 16, 17, 31, 70};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (int accumulate = 0; accumulate < 2; accumulate++)
            for (int part = 0; part < 2; part++) {
                const size_t m = rows[r], n0 = part ? n / 3 / 16 * 16 : 0, n1 = part && n > 32 ? n / 16 * 16 - 16 : n;
                if (n0 > n1) continue;
                for (size_t i = 0; i < m * n; i++) c[i] = d[i] = (float)i;
                ck_multiply(isa, &(ck_product){.a = a, .a_stride = stride, .w = dense, .c = c, .c_stride = n, .m = m, .k = (k + 1) / 2 * 2, .n = n,
                                               .n0 = n0, .n1 = n1, .type = CK_BF16, .accumulate = accumulate});
                ck_planes3_multiply(isa, &(ck_planes3_product){.a = a, .a_stride = stride, .w = coded, .panels = index, .c = d, .c_stride = n,
                                                               .m = m, .k = k, .n = n, .n0 = n0, .n1 = n1, .accumulate = accumulate,
                                                               .next = part ? coded : NULL});
                expect(memcmp(c, d, m * n * 4) == 0, accumulate ? "accumulating product" : "product", part ? "part" : "whole", n, k);
            }
    free(w); free(dense); free(coded); free(index); free(x); free(a); free(c); free(d);
}

int main(int count, char **words) {
    if (count != 2) return 2;
    isa = (ck_isa)atoi(words[1]);
    static const size_t rows[] = {1, 15, 16, 17, 33, 63, 64}, columns[] = {1, 2, 31, 32, 33, 64, 100, 288};
    for (int kind = 0; kind < 6; kind++)
        for (size_t r = 0; r < 7; r++)
            for (size_t c = 0; c < 8; c++) panel(kind, rows[r], columns[c]);
    panel(5, 16, 4096);
    panel(0, 64, 9000);
    static const size_t outputs[] = {1, 16, 17, 40, 64, 65, 130, 192}, inputs[] = {1, 2, 31, 32, 64, 96, 130, 224, 416};
    for (size_t n = 0; n < 8; n++)
        for (size_t k = 0; k < 9; k++) product(outputs[n], inputs[k]);
    printf("planes3 on instruction set %d: %s\n", isa, failures ? "DIFFERS" : "equal");
    return failures > 0;
}
