// Products with weights in planes3 beside those with the same weights in bf16, turn by turn; included by micro.c.

#include <math.h>

#include "ckplanes3.h"

typedef struct Planes {
    Products dense;                 // all rows in one chunk
    const uint8_t *coded;
    const uint32_t *panels;         // of all copies, one behind another
} Planes;

static void planes_chunk(const void *argument, size_t chunk) {
    const Planes *s = argument;
    const ck_product *d = &s->dense.product;
    const size_t across = (d->n + s->dense.columns_per_chunk - 1) / s->dense.columns_per_chunk, each = (d->n + 63) / 64;
    const size_t copy = chunk / across, column = chunk % across * s->dense.columns_per_chunk;
    ck_planes3_multiply(isa, &(ck_planes3_product){
        .a = d->a, .a_stride = d->a_stride, .w = s->coded, .panels = s->panels + copy * each, .c = d->c, .c_stride = d->c_stride, .m = d->m,
        .k = d->k, .n = d->n, .n0 = column, .n1 = d->n - column < s->dense.columns_per_chunk ? d->n : column + s->dense.columns_per_chunk,
    });
}
static void planes_work(const void *argument) {
    const Planes *s = argument;
    run(s->dense.copies * ((s->dense.product.n + s->dense.columns_per_chunk - 1) / s->dense.columns_per_chunk), planes_chunk, s);
}

// Normal numbers times a scale of the row, as models have them.
static void fill_model(uint16_t *w, size_t rows, size_t columns) {
    for (size_t i = 0; i < rows; i++) {
        float scale = 0;
        for (int j = 0; j < 4; j++) scale += (float)(next() >> 40) * 0x1p-24f;
        scale = 0.02f * exp2f(0.75f * (scale - 2));
        for (size_t j = 0; j < columns; j++) {
            const uint64_t word = next();
            const float sum = (float)(word & 0xffff) + (float)(word >> 16 & 0xffff) + (float)(word >> 32 & 0xffff) + (float)(word >> 48);
            const float value = (sum - 131070) * 0x1p-15f * scale;
            ck_from_float(CK_SCALAR, &value, CK_BF16, 1, w + i * columns + j);
        }
    }
}

static void planes3(void) {
    static const struct { size_t n, k; } shapes[] = {{960, 576}, {3072, 576}, {576, 1536}, {49152, 576}, {896, 4864}, {8192, 2048}};
    static const size_t rows[] = {1, 2, 4, 6, 8, 12, 16, 64, 512};
    void *a = memory(512 * 4928 * 4);
    if (operand_bytes() == 2) fill_bf16(a, 512 * 4928 * 4);
    else fill_floats(a, 512 * 4928);
    float *c = memory((size_t)512 * 16384 * 4);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const size_t n = shapes[i].n, k = shapes[i].k, bytes = n * k * 2, copies = (160u << 20) / bytes ? (160u << 20) / bytes : 1, each = (n + 63) / 64;
        uint16_t *w = memory(bytes), *dense = memory(copies * bytes);
        uint8_t *coded = memory(copies * bytes);
        uint32_t *panels = memory(copies * each * 4);
        fill_model(w, n, k);
        size_t end = 0;
        for (size_t p = 0; p < copies * each; p++) {
            if (p % each == 0) ck_pack_rows(w, CK_BF16, k, n, k, dense + p / each * n * k, CK_BF16, 0);
            panels[p] = (uint32_t)(end / 64);
            end += ck_planes3_encode(isa, w + p % each * 64 * k, k, n - p % each * 64 < 64 ? n - p % each * 64 : 64, k, coded + end);
        }
        for (size_t j = 0; j < sizeof rows / sizeof *rows; j++) {
            const size_t m = rows[j];
            if (n > 16384 && m > 32) continue;
            // About 8 GFLOP.
            const size_t most = (size_t)(8e9 / (2.0 * (double)(n * k * m))), count = copies < most ? copies : most ? most : 1;
            Planes s = {
                .dense = {
                    .product = {.a = a, .a_stride = odd_lines(k * operand_bytes()) / operand_bytes(), .w = dense, .c = c,
                                .c_stride = odd_lines(n * 4) / 4, .m = m, .k = k, .n = n, .type = CK_BF16},
                    .copies = count, .row_bytes = odd_lines(k * operand_bytes()), .rows_per_chunk = m <= 32 || team.threads == 1 ? m : 126,
                    .columns_per_chunk = team.threads == 1 ? n : n > 2048 ? 512 : 64,
                },
                .coded = coded, .panels = panels,
            };
            double slow[MOST_REPEATS], fast[MOST_REPEATS], ratio[MOST_REPEATS];
            for (size_t r = 0; r < repeats; r++) {
                slow[r] = seconds(product_work, &s.dense, 1);
                fast[r] = seconds(planes_work, &s, 1);
                ratio[r] = slow[r] / fast[r];
            }
            const double all = (double)(bytes * count) * 1e-9;
            printf(json ? "{\"kernel\":\"planes3\",\"shape\":\"%zu x %zu x %zu\",\"bf16_gbytes\":%.2f,\"planes3_gbytes\":%.2f,\"ratio\":%.3f,"
                          "\"size_ratio\":%.4f}\n"
                        : "planes3    %4zu x %6zu x %4zu   bf16 %7.2f GB/s   planes3 %7.2f GB/s of bf16   %6.3f times as fast, %.4f times smaller\n",
                   m, n, k, all / median(slow, repeats), all / median(fast, repeats), median(ratio, repeats), (double)(copies * bytes) / (double)end);
            fflush(stdout);
        }
        munmap(w, bytes), munmap(dense, copies * bytes), munmap(coded, copies * bytes), munmap(panels, copies * each * 4);
    }
}
