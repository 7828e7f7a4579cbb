// The stages of the KV codec and chains of them, in GB/s of the bf16 that they code, beside a copy of the same bytes; included by micro.c.
// One thread; a block of 128 tokens, head by head, some rows (tokens) of a head at a time.

#include <math.h>

#include "ckkv.h"

enum { KV_HEADS = 4, KV_LANES = 128, KV_ROWS = CK_KV_TOKENS, KV_MOST = KV_ROWS * 128, KV_PARTS = 64 };

// A part is some rows of the keys or the values of a head.
static struct {
    size_t dimension, rows, parts, each;                // each: elements of a part
    unsigned levels, bits;
    uint16_t *panels, *copy, *halves;                   // [head][side][page]
    float *plane, *other, *matrix;
    float least[KV_ROWS], greatest[KV_ROWS], factor[KV_ROWS], bias[KV_ROWS], step[KV_ROWS], values[KV_ROWS];
    uint8_t *symbols, *many, *turned, *near, *predicted, *packed, *coded, *many_coded;
    int16_t *wide;
    uint16_t *exact;
    uint32_t signs[4], counts[256];
    ck_rans_table *few_table, *many_table;
    size_t coded_bytes, many_bytes, wide_count, exact_count;
} kv;

#define ONE_PART static void
#define PLANE kv.plane, kv.dimension, kv.rows, kv.dimension
#define SYMBOLS (kv.symbols + part * kv.each), kv.rows, kv.dimension
#define OTHER kv.other, kv.dimension

// The panel that has the rows from `row` on of a part.
typedef struct Place {
    ck_side side;
    size_t panel, first, tokens;
} Place;
static Place place_of(size_t part, size_t row) {
    const size_t token = part * kv.rows + row, head = token / KV_ROWS;
    return (Place){(ck_side)(head % 2), token / 64 * 64 * kv.dimension, token % 64, kv.rows < 64 ? kv.rows : 64};
}

static void load_part(size_t part, bool transposed) {
    const size_t stride = transposed ? kv.rows : kv.dimension, step = transposed ? 1 : stride;
    for (size_t row = 0; row < kv.rows; row += 64) {
        const Place p = place_of(part, row);
        ck_kv_load(isa, p.side, kv.panels + p.panel, p.first, p.tokens, kv.dimension, transposed, kv.plane + row * step, stride);
    }
}
static void store_part(size_t part, bool transposed) {
    const size_t stride = transposed ? kv.rows : kv.dimension, step = transposed ? 1 : stride;
    for (size_t row = 0; row < kv.rows; row += 64) {
        const Place p = place_of(part, row);
        ck_kv_store(isa, p.side, kv.plane + row * step, stride, transposed, p.first, p.tokens, kv.dimension, kv.copy + p.panel);
    }
}
ONE_PART kv_load(size_t part) { load_part(part, false); }
ONE_PART kv_load_transposed(size_t part) { load_part(part, true); }
ONE_PART kv_store(size_t part) { store_part(part, false); }
ONE_PART kv_store_transposed(size_t part) { store_part(part, true); }
ONE_PART kv_unpack(size_t part) {
    for (size_t row = 0; row < kv.rows; row += 64) {
        const Place p = place_of(part, row);
        ck_kv_unpack(isa, p.side, kv.panels + p.panel, p.first, p.tokens, kv.dimension, kv.halves + row, kv.rows);
    }
}
ONE_PART kv_pack(size_t part) {
    for (size_t row = 0; row < kv.rows; row += 64) {
        const Place p = place_of(part, row);
        ck_kv_pack(isa, p.side, kv.halves + row, kv.rows, p.first, p.tokens, kv.dimension, kv.copy + p.panel);
    }
}
ONE_PART kv_transpose(size_t part) { (void)part, ck_kv_transpose(isa, PLANE, kv.other, kv.rows); }
ONE_PART kv_transpose_symbols(size_t part) { ck_kv_transpose_symbols(isa, SYMBOLS, kv.turned); }

ONE_PART kv_forwards(size_t part) { (void)part, ck_kv_hadamard(isa, PLANE, kv.signs, false); }
ONE_PART kv_backwards(size_t part) { (void)part, ck_kv_hadamard(isa, PLANE, kv.signs, true); }
ONE_PART kv_affine(size_t part) { (void)part, ck_kv_affine_columns(isa, PLANE, kv.matrix, kv.matrix + 128); }
ONE_PART kv_product(size_t part) { (void)part, ck_kv_product(isa, PLANE, kv.matrix, kv.dimension, OTHER); }
ONE_PART kv_range(size_t part) { (void)part, ck_kv_range_rows(isa, PLANE, kv.least, kv.greatest); }
ONE_PART kv_range_columns(size_t part) { (void)part, ck_kv_range_columns(isa, PLANE, kv.values, kv.values); }
ONE_PART kv_energy(size_t part) { (void)part, ck_kv_energy_rows(isa, PLANE, kv.values); }

// Factors and biases of ranges, steps of levels.
ONE_PART kv_scales(size_t part) {
    const float top = (float)(kv.levels - 1);
    (void)part;
    for (size_t i = 0; i < kv.rows; i++) {
        const float width = kv.greatest[i] - kv.least[i], factor = width > 0 ? top / width : 0;
        kv.factor[i] = factor;
        kv.bias[i] = -kv.least[i] * factor;
        kv.step[i] = width / top;
    }
}
ONE_PART kv_quantise(size_t part) { ck_kv_quantise_rows(isa, PLANE, kv.factor, kv.bias, kv.levels - 1, kv.symbols + part * kv.each); }
ONE_PART kv_quantise_columns(size_t part) { (void)part, ck_kv_quantise_columns(isa, PLANE, kv.factor, kv.bias, kv.levels - 1, kv.turned); }
ONE_PART kv_dequantise(size_t part) { ck_kv_dequantise_rows(isa, SYMBOLS, kv.step, kv.least, kv.plane, kv.dimension); }
ONE_PART kv_dequantise_columns(size_t part) { ck_kv_dequantise_columns(isa, SYMBOLS, kv.step, kv.least, OTHER); }
ONE_PART kv_deadzone(size_t part) { (void)part, kv.wide_count = ck_kv_deadzone(isa, PLANE, kv.factor, 0.4f, kv.near, kv.wide); }
ONE_PART kv_undeadzone(size_t part) {
    (void)part, sink += ck_kv_undeadzone(isa, kv.near, kv.rows, kv.dimension, kv.step, 0.1f, kv.wide, kv.wide_count, OTHER);
}
ONE_PART kv_codebook(size_t part) { (void)part, ck_kv_codebook(isa, PLANE, kv.factor, kv.matrix, 15, kv.turned); }
ONE_PART kv_look_up(size_t part) { ck_kv_look_up(isa, SYMBOLS, kv.matrix, kv.step, OTHER); }
ONE_PART kv_to_fp8(size_t part) { (void)part, ck_kv_to_fp8(isa, PLANE, kv.factor, kv.step, kv.turned); }
ONE_PART kv_from_fp8(size_t part) { ck_kv_from_fp8(isa, SYMBOLS, kv.factor, kv.step, OTHER); }
ONE_PART kv_predict(size_t part) { (void)part, kv.exact_count = ck_kv_predict(isa, PLANE, 0.02f, kv.predicted, kv.exact); }
ONE_PART kv_unpredict(size_t part) {
    (void)part, sink += ck_kv_unpredict(isa, kv.predicted, kv.rows, kv.dimension, 0.02f, kv.exact, kv.exact_count, OTHER);
}

static uint8_t *packed_of(size_t part) { return kv.packed + part * ck_kv_packed_bytes(kv.each, kv.bits); }
ONE_PART kv_pack_bits(size_t part) { ck_kv_pack_bits(isa, kv.symbols + part * kv.each, kv.each, kv.bits, packed_of(part)); }
ONE_PART kv_unpack_bits(size_t part) { ck_kv_unpack_bits(isa, packed_of(part), kv.each, kv.bits, kv.symbols + part * kv.each); }
ONE_PART kv_count(size_t part) { ck_kv_count(isa, kv.symbols + part * kv.each, kv.each, kv.counts); }

typedef ck_rans_run Runs[KV_PARTS];
static void runs_of(Runs runs, const ck_rans_table *table) {
    for (size_t i = 0; i < kv.parts; i++) runs[i] = (ck_rans_run){table, (uint32_t)kv.each};
}
static void kv_encode(void) {
    Runs runs;
    runs_of(runs, kv.few_table);
    kv.coded_bytes = ck_rans_encode(isa, KV_LANES, kv.symbols, runs, kv.parts, NULL, kv.coded + CK_KV_SLACK);
}
static void kv_decode(void) {
    Runs runs;
    runs_of(runs, kv.few_table);
    if (!ck_rans_decode(isa, KV_LANES, kv.coded + CK_KV_SLACK, kv.coded_bytes, runs, kv.parts, kv.symbols, NULL)) abort();
}
static void kv_encode_many(void) {
    Runs runs;
    runs_of(runs, kv.many_table);
    kv.many_bytes = ck_rans_encode(isa, KV_LANES, kv.many, runs, kv.parts, NULL, kv.many_coded + CK_KV_SLACK);
}
static void kv_decode_many(void) {
    Runs runs;
    runs_of(runs, kv.many_table);
    if (!ck_rans_decode(isa, KV_LANES, kv.many_coded + CK_KV_SLACK, kv.many_bytes, runs, kv.parts, kv.many, NULL)) abort();
}
static void kv_copy(void) { memcpy(kv.copy, kv.panels, kv.parts * kv.each * 2); }

// What is done once before, with each part one after the other, and once behind.
typedef struct Stage {
    const char *name;
    void (*before)(void), (*each[8])(size_t part), (*behind)(void);
} Stage;

static const Stage stages[] = {
    {"copy", kv_copy, {NULL}, NULL},
    {"load", NULL, {kv_load}, NULL},
    {"load transposed", NULL, {kv_load_transposed}, NULL},
    {"store", NULL, {kv_store}, NULL},
    {"store transposed", NULL, {kv_store_transposed}, NULL},
    {"unpack", NULL, {kv_unpack}, NULL},
    {"pack", NULL, {kv_pack}, NULL},
    {"transpose", NULL, {kv_transpose}, NULL},
    {"transpose symbols", NULL, {kv_transpose_symbols}, NULL},
    {"hadamard", NULL, {kv_forwards}, NULL},
    {"hadamard back", NULL, {kv_backwards}, NULL},
    {"affine", NULL, {kv_affine}, NULL},
    {"product", NULL, {kv_product}, NULL},
    {"range of rows", NULL, {kv_range}, NULL},
    {"range of columns", NULL, {kv_range_columns}, NULL},
    {"energy", NULL, {kv_energy}, NULL},
    {"scales", NULL, {kv_scales}, NULL},
    {"quantise rows", NULL, {kv_quantise}, NULL},
    {"quantise columns", NULL, {kv_quantise_columns}, NULL},
    {"dequantise rows", NULL, {kv_dequantise}, NULL},
    {"dequantise columns", NULL, {kv_dequantise_columns}, NULL},
    {"dead zone", NULL, {kv_deadzone}, NULL},
    {"dead zone back", NULL, {kv_undeadzone}, NULL},
    {"codebook", NULL, {kv_codebook}, NULL},
    {"look up", NULL, {kv_look_up}, NULL},
    {"to fp8", NULL, {kv_to_fp8}, NULL},
    {"from fp8", NULL, {kv_from_fp8}, NULL},
    {"predict", NULL, {kv_predict}, NULL},
    {"predict back", NULL, {kv_unpredict}, NULL},
    {"pack bits", NULL, {kv_pack_bits}, NULL},
    {"unpack bits", NULL, {kv_unpack_bits}, NULL},
    {"count", NULL, {kv_count}, NULL},
    {"rans encode", kv_encode, {NULL}, NULL},
    {"rans decode", kv_decode, {NULL}, NULL},
    {"rans encode, 12 bits", kv_encode_many, {NULL}, NULL},
    {"rans decode, 12 bits", kv_decode_many, {NULL}, NULL},
    {"quantise, bits", NULL, {kv_load, kv_range, kv_scales, kv_quantise, kv_pack_bits}, NULL},
    {"bits, dequantise", NULL, {kv_unpack_bits, kv_dequantise, kv_store}, NULL},
    {"hadamard, quantise, bits", NULL, {kv_load, kv_forwards, kv_range, kv_scales, kv_quantise, kv_pack_bits}, NULL},
    {"bits, dequantise, hadamard", NULL, {kv_unpack_bits, kv_dequantise, kv_backwards, kv_store}, NULL},
    {"quantise, rans", NULL, {kv_load, kv_range, kv_scales, kv_quantise}, kv_encode},
    {"rans, dequantise", kv_decode, {kv_dequantise, kv_store}, NULL},
    {"hadamard, quantise, rans", NULL, {kv_load, kv_forwards, kv_range, kv_scales, kv_quantise}, kv_encode},
    {"rans, dequantise, hadamard", kv_decode, {kv_dequantise, kv_backwards, kv_store}, NULL},
};

static void kv_stage(const void *argument) {
    const Stage *s = argument;
    if (s->before) s->before();
    for (size_t part = 0; part < kv.parts && s->each[0]; part++)
        for (size_t i = 0; i < 8 && s->each[i]; i++) s->each[i](part);
    if (s->behind) s->behind();
}

static const ck_rans_logs *logs(void) {
    static ck_rans_logs logs;
    if (logs.log2[2] == 0) ck_rans_prepare_logs(&logs);
    return &logs;
}

static void fit_table(const uint8_t *symbols, size_t most, unsigned bits, ck_rans_table *table) {
    uint32_t counts[256] = {0};
    uint16_t frequencies[256];
    ck_kv_count(isa, symbols, kv.parts * kv.each, counts);
    ck_rans_fit(logs(), counts, most, bits, frequencies);
    if (!ck_rans_prepare(table, bits, frequencies, most)) abort();
}

static void prepare_kv(size_t dimension, unsigned levels, size_t rows) {
    kv.dimension = dimension, kv.levels = levels, kv.bits = 32 - (unsigned)__builtin_clz(levels - 1);
    kv.rows = rows, kv.parts = 2 * KV_HEADS * KV_ROWS / rows, kv.each = rows * dimension;
    fill_model(kv.panels, kv.parts * rows * dimension / 64, 64);
    fill_floats(kv.matrix, 128 * 128);
    for (size_t i = 1; i < 16; i++) kv.matrix[i] = kv.matrix[i - 1] + 0.3f;
    for (size_t i = 0; i < 4; i++) kv.signs[i] = (uint32_t)next();
    for (size_t part = 0; part < kv.parts; part++)
        kv_load(part), kv_forwards(part), kv_range(part), kv_scales(part), kv_quantise(part);
    for (size_t i = 0; i < kv.parts * kv.each; i++) {
        const uint64_t word = next();
        kv.many[i] = (uint8_t)(((word & 0xff) + (word >> 8 & 0xff) + (word >> 16 & 0xff) + (word >> 24 & 0xff)) >> 2);
    }
    fit_table(kv.symbols, levels, 8, kv.few_table);
    fit_table(kv.many, 256, 12, kv.many_table);
    kv_deadzone(0), kv_predict(0), kv_encode(), kv_encode_many();
    for (size_t part = 0; part < kv.parts; part++) kv_pack_bits(part);
}

static void kv_measure(const Stage *s) {
    double work[MOST_REPEATS], copy[MOST_REPEATS];
    const double bytes = (double)(kv.parts * kv.each * 2);
    seconds(kv_stage, s, 2);
    for (size_t r = 0; r < repeats; r++) {
        copy[r] = bytes / seconds(kv_stage, &stages[0], 8);
        work[r] = bytes / seconds(kv_stage, s, 8);
    }
    printf(json ? "{\"kernel\":\"%s\",\"isa\":\"%s\",\"dimension\":%zu,\"levels\":%u,\"rows\":%zu,\"gbytes\":%.3f,\"copy_gbytes\":%.3f}\n"
                : "%-28s %-10s dimension %3zu, %2u levels, %3zu rows %8.2f GB/s of bf16   copy %6.1f GB/s\n",
           s->name, names[isa], kv.dimension, kv.levels, kv.rows, median(work, repeats) * 1e-9, median(copy, repeats) * 1e-9);
    fflush(stdout);
}

static void kv_block(void) {
    const size_t all = 2 * KV_HEADS * KV_MOST;
    kv.panels = memory(all * 2), kv.copy = memory(all * 2), kv.halves = memory(KV_MOST * 2);
    kv.plane = memory(KV_MOST * 4), kv.other = memory(KV_MOST * 4), kv.matrix = memory(128 * 128 * 4);
    kv.symbols = memory(all), kv.many = memory(all), kv.turned = memory(all), kv.near = memory(KV_MOST), kv.predicted = memory(KV_MOST);
    kv.packed = memory(all), kv.coded = memory(all * 2 + 4096), kv.many_coded = memory(all * 2 + 4096);
    kv.wide = memory(KV_MOST * 2), kv.exact = memory(KV_MOST * 2);
    kv.few_table = memory(sizeof *kv.few_table), kv.many_table = memory(sizeof *kv.many_table);
    static const struct { size_t dimension, rows; unsigned levels; } shapes[] = {
        {64, 128, 16}, {64, 32, 16}, {64, 32, 8}, {128, 128, 16}, {128, 32, 16},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (size_t s = 0; s < sizeof stages / sizeof *stages; s++) {
            // What works in place must not drift.
            prepare_kv(shapes[i].dimension, shapes[i].levels, shapes[i].rows);
            kv_measure(&stages[s]);
        }
}
