// Speed of each kernel beside what the machine can do, measured in alternation. Usage: micro [--isa NAME] [--threads N]
// [--repeats N] [--only products|int8|planes3|attention|rows|kv] [--json]
#define _GNU_SOURCE
#include "team.h"

enum { MOST_REPEATS = 99 };
static const char *const names[] = {"scalar", "avx2", "avx512", "avx512vnni", "avx512bf16"};
static ck_isa isa;
static size_t repeats = 7;
static bool json;
static volatile uint64_t sink;

// One measurement. The limit is the slower of `flops` at the arithmetic peak and `bytes` at the rate of a plain read of `from`.
typedef struct Case {
    const char *kernel;
    char shape[64];
    double flops, bytes;
    const char *from;
    size_t from_bytes;
    void (*work)(const void *);
    void (*twin)(const void *);     // the scalar twin, on a part of the work
    double part;
    const void *argument;
    bool int8;                      // the arithmetic peak is that of bytes
} Case;

typedef struct Probe {
    uint64_t rounds;
    bool int8;
} Probe;

static uint64_t arithmetic(const Probe *p, float *x) {
    return p->int8 ? ck_int8_probe_arithmetic(isa, p->rounds, x) : ck_probe_arithmetic(isa, CK_BF16, p->rounds, x);
}
static void probe_arithmetic(const void *argument, size_t chunk) {
    float x = (float)chunk;
    arithmetic(argument, &x);
    sink += (uint64_t)x;
}

enum { READ_CHUNK = 256 << 10 };
static void probe_read(const void *argument, size_t chunk) {
    const Case *c = argument;
    size_t at = chunk * READ_CHUNK, left = c->from_bytes - at;
    sink += ck_probe_read(isa, c->from + at, left < READ_CHUNK ? left : READ_CHUNK);
}

static double seconds(void (*work)(const void *), const void *argument, size_t times) {
    double start = now();
    for (size_t i = 0; i < times; i++) work(argument);
    return (now() - start) / (double)times;
}

static void measure(const Case *c) {
    const Probe probe = {1 << 14, c->int8}, one = {1, c->int8};
    const size_t reads = (c->from_bytes + READ_CHUNK - 1) / READ_CHUNK;
    float x = 0;
    const double probe_flops = (double)arithmetic(&one, &x) * (double)probe.rounds * (double)(team.threads * 4);
    double time[MOST_REPEATS], share[MOST_REPEATS], peak[MOST_REPEATS], read[MOST_REPEATS];
    double once = seconds(c->work, c->argument, 1);
    size_t times = once < 2e-4 ? (size_t)(2e-4 / once) + 1 : 1;
    for (size_t r = 0; r < repeats; r++) {
        double start = now();
        run(team.threads * 4, probe_arithmetic, &probe);
        peak[r] = probe_flops / (now() - start);
        start = now();
        for (size_t i = 0; i < times; i++) run(reads, probe_read, c);
        read[r] = (double)c->from_bytes * (double)times / (now() - start);
        time[r] = seconds(c->work, c->argument, times);
        double arithmetic = c->flops / peak[r], reading = c->bytes / read[r];
        share[r] = (arithmetic > reading ? arithmetic : reading) / time[r];
    }
    const bool by_arithmetic = c->flops / median(peak, repeats) > c->bytes / median(read, repeats);
    const double t = median(time, repeats), twin = seconds(c->twin, c->argument, 1) / c->part;
    if (json)
        printf("{\"kernel\":\"%s\",\"shape\":\"%s\",\"isa\":\"%s\",\"threads\":%zu,\"us\":%.2f,\"gflops\":%.2f,\"gbytes\":%.3f,"
               "\"peak_gflops\":%.1f,\"read_gbytes\":%.2f,\"limit\":\"%s\",\"of_limit\":%.3f,\"times_scalar\":%.1f}\n",
               c->kernel, c->shape, names[isa], team.threads, t * 1e6, c->flops / t * 1e-9, c->bytes / t * 1e-9,
               median(peak, repeats) * 1e-9, median(read, repeats) * 1e-9, by_arithmetic ? "arithmetic" : "read",
               median(share, repeats), twin / t);
    else
        printf("%-10s %-32s %11.1f us %8.1f GFLOP/s %7.2f GB/s %7.1f x scalar %6.1f %% of %s\n", c->kernel, c->shape, t * 1e6,
               c->flops / t * 1e-9, c->bytes / t * 1e-9, twin / t, median(share, repeats) * 100, by_arithmetic ? "peak" : "read");
    fflush(stdout);
}

static uint64_t state = 88172645463325252u;
static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}
// Small numbers of both signs, none of them denormal.
static void fill_bf16(void *p, size_t bytes) {
    for (size_t i = 0; i < bytes / 8; i++) ((uint64_t *)p)[i] = (next() & 0x80ff80ff80ff80ff) + 0x3c003c003c003c00;
}
static void fill_floats(float *p, size_t count) {
    for (size_t i = 0; i < count; i++) p[i] = (float)((int)(next() >> 50) - (1 << 13)) / (1 << 12);
}
static size_t operand_bytes(void) { return ck_operand_type(isa, CK_BF16) == CK_BF16 ? 2 : 4; }
static size_t odd_lines(size_t bytes) { return ((bytes + 63) / 64 | 1) * 64; }

// ---- Products ---------------------------------------------------------------------------------------------------------------

// `copies` products of the same shape with weights of their own, so that none is in a cache.
typedef struct Products {
    ck_product product;
    size_t copies, rows_per_chunk, columns_per_chunk, row_bytes;
    void *scalar_a;
} Products;

static void product_chunk(const void *argument, size_t chunk) {
    const Products *s = argument;
    ck_product p = s->product;
    const size_t across = (p.n + s->columns_per_chunk - 1) / s->columns_per_chunk, down = (p.m + s->rows_per_chunk - 1) / s->rows_per_chunk;
    const size_t copy = chunk / (across * down), row = chunk / across % down * s->rows_per_chunk, column = chunk % across * s->columns_per_chunk;
    p.w = (const char *)p.w + copy * p.n * p.k * 2;
    p.a = (const char *)p.a + row * s->row_bytes;
    p.c += row * p.c_stride;
    p.m = p.m - row < s->rows_per_chunk ? p.m - row : s->rows_per_chunk;
    p.n0 = column;
    p.n1 = p.n - column < s->columns_per_chunk ? p.n : column + s->columns_per_chunk;
    ck_multiply(isa, &p);
}
static void product_work(const void *argument) {
    const Products *s = argument;
    const size_t across = (s->product.n + s->columns_per_chunk - 1) / s->columns_per_chunk;
    run(s->copies * across * ((s->product.m + s->rows_per_chunk - 1) / s->rows_per_chunk), product_chunk, s);
}
static void product_twin(const void *argument) {
    const Products *s = argument;
    ck_product p = s->product;
    p.a = s->scalar_a;
    p.m = 1;
    p.n1 = 64;
    ck_multiply(CK_SCALAR, &p);
}

static void products(void) {
    static const struct { size_t n, k; } shapes[] = {
        {960, 576}, {576, 576}, {3072, 576}, {576, 1536}, {49152, 576},         // SmolLM2-135M
        {1152, 896}, {896, 896}, {9728, 896}, {896, 4864}, {151936, 896},       // Qwen2.5-0.5B
    };
    static const size_t rows[] = {1, 2, 4, 6, 8, 12, 16, 32, 64, 128, 512};
    const size_t most = 320u << 20;
    char *w = memory(most);
    fill_bf16(w, most);
    void *a = memory(512 * 4928 * 4);
    if (operand_bytes() == 2) fill_bf16(a, 512 * 4928 * 4);
    else fill_floats(a, 512 * 4928);
    float *c = memory((size_t)512 * 16384 * 4), *scalar_a = memory(4928 * 4);
    fill_floats(scalar_a, 4928);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (size_t j = 0; j < sizeof rows / sizeof *rows; j++) {
            const size_t n = shapes[i].n, k = shapes[i].k, m = rows[j], bytes = n * k * 2;
            if (n > 16384 && m > 32) continue;      // heads see few rows
            // About 64 MB of weights, or 8 GFLOP.
            size_t copies = (64u << 20) / bytes, by_work = (size_t)(8e9 / (2.0 * (double)(n * k * m)));
            if (copies > by_work) copies = by_work;
            if (copies < 1) copies = 1;
            Products s = {
                .product = {.a = a, .a_stride = odd_lines(k * operand_bytes()) / operand_bytes(), .w = w, .c = c,
                            .c_stride = odd_lines(n * 4) / 4, .m = m, .k = k, .n = n, .type = CK_BF16},
                .copies = copies, .row_bytes = odd_lines(k * operand_bytes()), .scalar_a = scalar_a,
                .rows_per_chunk = m <= 32 || team.threads == 1 ? m : 126,
                .columns_per_chunk = team.threads == 1 ? n : n > 2048 ? 512 : 64,
            };
            Case x = {.kernel = "multiply", .flops = 2.0 * (double)(m * n * k * copies), .bytes = (double)(bytes * copies), .from = w,
                      .from_bytes = bytes * copies, .work = product_work, .twin = product_twin,
                      .part = 64.0 / (double)(n * m * copies), .argument = &s};
            snprintf(x.shape, sizeof x.shape, "%zu x %zu x %zu", m, n, k);
            measure(&x);
        }
}

// ---- Products of int8 ---------------------------------------------------------------------------------------------------------

typedef struct Int8Products {
    ck_int8_product product;
    size_t copies, panel_bytes, rows_per_chunk, columns_per_chunk;
} Int8Products;

static void int8_chunk(const void *argument, size_t chunk) {
    const Int8Products *s = argument;
    ck_int8_product p = s->product;
    const size_t across = (p.n + s->columns_per_chunk - 1) / s->columns_per_chunk, down = (p.m + s->rows_per_chunk - 1) / s->rows_per_chunk;
    const size_t copy = chunk / (across * down), row = chunk / across % down * s->rows_per_chunk, column = chunk % across * s->columns_per_chunk;
    p.w = (const char *)p.w + copy * s->panel_bytes;
    p.a = (const char *)p.a + row * p.a_stride;
    p.c += row * p.c_stride;
    p.m = p.m - row < s->rows_per_chunk ? p.m - row : s->rows_per_chunk;
    p.n0 = column;
    p.n1 = p.n - column < s->columns_per_chunk ? p.n : column + s->columns_per_chunk;
    ck_int8_multiply(isa, &p);
}
static void int8_work(const void *argument) {
    const Int8Products *s = argument;
    const size_t across = (s->product.n + s->columns_per_chunk - 1) / s->columns_per_chunk;
    run(s->copies * across * ((s->product.m + s->rows_per_chunk - 1) / s->rows_per_chunk), int8_chunk, s);
}
static void int8_twin(const void *argument) {
    ck_int8_product p = ((const Int8Products *)argument)->product;
    p.m = 1;
    p.n1 = 64;
    ck_int8_multiply(CK_SCALAR, &p);
}

static void int8_products(void) {
    static const struct { size_t n, k; } shapes[] = {{960, 576}, {3072, 576}, {576, 1536}, {49152, 576}, {9728, 896}, {896, 4864}};
    static const size_t rows[] = {1, 2, 4, 8, 16, 32, 64, 128, 512};
    const size_t most = 96u << 20;
    char *w = memory(most), *a = memory(512 * odd_lines(ck_int8_operand_bytes(4864)));
    float *c = memory((size_t)512 * 16384 * 4), *x = memory(512 * 4864 * 4);
    fill_floats(x, 512 * 4864);
    for (int form = CK_INT8_ROW; form <= CK_INT8_GROUPS; form++)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            const size_t n = shapes[i].n, k = shapes[i].k, bytes = ck_int8_panel_bytes((ck_int8)form, n, k), all = (64u << 20) / bytes + 1;
            const size_t stride = odd_lines(ck_int8_operand_bytes(k));
            ck_int8_operand(isa, CK_F32, x, k, NULL, 512, k, a, stride);
            // Panels of the same 64 rows: what they hold is of no account, but denormal scales would be.
            const size_t panel = ck_int8_panel_bytes((ck_int8)form, 64, k);
            ck_int8_pack_rows((ck_int8)form, x, CK_F32, k, 64, k, w, 0);
            for (size_t at = panel; at + panel <= bytes * all && at + panel <= most; at += panel) memcpy(w + at, w, panel);
            for (size_t j = 0; j < sizeof rows / sizeof *rows; j++) {
                const size_t m = rows[j];
                if (n > 16384 && m > 32) continue;      // heads see few rows
                size_t copies = all, by_work = (size_t)(8e9 / (2.0 * (double)(n * k * m)));
                if (copies > by_work) copies = by_work;
                if (copies < 1) copies = 1;
                Int8Products s = {
                    .product = {.a = a, .a_stride = stride, .w = w, .c = c, .c_stride = odd_lines(n * 4) / 4, .m = m, .k = k, .n = n,
                                .form = (ck_int8)form},
                    .copies = copies, .panel_bytes = bytes, .rows_per_chunk = m <= 32 || team.threads == 1 ? m : 126,
                    .columns_per_chunk = team.threads == 1 ? n : n > 2048 ? 512 : 64,
                };
                s.product.n1 = n;
                Case y = {.kernel = form == CK_INT8_ROW ? "int8" : "int8g32", .flops = 2.0 * (double)(m * n * k * copies),
                          .bytes = (double)(bytes * copies), .from = w, .from_bytes = bytes * copies, .work = int8_work, .twin = int8_twin,
                          .part = 64.0 / (double)(n * m * copies), .argument = &s, .int8 = true};
                snprintf(y.shape, sizeof y.shape, "%zu x %zu x %zu", m, n, k);
                measure(&y);
            }
        }
}

#include "planes3.h"

// ---- Attention --------------------------------------------------------------------------------------------------------------

typedef struct Attention {
    ck_attention call;              // of the first sequence, first head
    size_t sequences, tokens, heads, layers, tile, row_bytes, sequence_bytes;
    void *out;
} Attention;

static void attention_chunk(const void *argument, size_t chunk) {
    const Attention *s = argument;
    ck_attention a = s->call;
    const size_t rows = s->tokens * a.group, tiles = (rows + s->tile - 1) / s->tile, D = a.dimension;
    const size_t head = chunk % s->heads, tile = chunk / s->heads % tiles, sequence = chunk / s->heads / tiles % s->sequences;
    const size_t layer = chunk / s->heads / tiles / s->sequences;
    a.kv = (const char *)a.kv + sequence * s->sequence_bytes + (layer * s->heads + head) * 256 * D;
    a.q += head * a.group * D;
    a.out = (char *)a.out + head * a.group * D * operand_bytes();
    a.row0 = (tiles - 1 - tile) * s->tile;
    a.rows = rows - a.row0 < s->tile ? rows - a.row0 : s->tile;
    ck_attend(isa, &a);
}
static void attention_work(const void *argument) {
    const Attention *s = argument;
    run(s->layers * s->sequences * ((s->tokens * s->call.group + s->tile - 1) / s->tile) * s->heads, attention_chunk, s);
}
// The last token of one head.
static void attention_twin(const void *argument) {
    const Attention *s = argument;
    ck_attention a = s->call;
    a.out = s->out;
    a.row0 = (s->tokens - 1) * a.group;
    a.rows = a.group;
    ck_attend(CK_SCALAR, &a);
}

static void attention(void) {
    static const struct { size_t position, tokens, sequences; } shapes[] = {
        {0, 512, 1}, {1536, 512, 1}, {7680, 512, 1}, {255, 1, 1}, {255, 1, 4}, {255, 1, 16}, {2047, 1, 1}, {2047, 1, 4}, {2047, 1, 16},
    };
    static const struct { size_t group, heads; } models[] = {{3, 3}, {7, 2}};
    const size_t D = 64, most = 400u << 20;
    char *kv = memory(most);
    fill_bf16(kv, most);
    float *q = memory(512 * 14 * D * 4);
    fill_floats(q, 512 * 14 * D);
    void *out = memory(512 * 14 * D * 4), *twin = memory(512 * 14 * D * 4);
    int32_t pages[128];
    for (int i = 0; i < 128; i++) pages[i] = i;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (size_t j = 0; j < 2; j++) {
            const size_t group = models[j].group, heads = models[j].heads, position = shapes[i].position, tokens = shapes[i].tokens;
            const size_t layers = tokens > 1 ? 1 : 12, page_bytes = layers * heads * 256 * D, count = (position + tokens + 63) / 64;
            const size_t width = heads * group * D, sequences = shapes[i].sequences;
            Attention s = {
                .call = {.q = q, .q_stride = width, .kv = kv, .page_bytes = page_bytes, .pages = pages, .out = out, .out_stride = width,
                         .position = position, .dimension = D, .group = group, .type = CK_BF16},
                .sequences = sequences, .tokens = tokens, .heads = heads, .layers = layers,
                .tile = CK_ATTENTION_ROWS / group * group, .sequence_bytes = count * page_bytes, .out = twin,
            };
            // Useful work: what a token may not see does not count.
            const double seen = (double)tokens * ((double)position + (double)(tokens + 1) / 2);
            Case x = {.kernel = "attend", .flops = 4.0 * (double)(D * width / D * sequences * layers) * seen,
                      .bytes = (double)(sequences * s.sequence_bytes), .from = kv, .from_bytes = sequences * s.sequence_bytes,
                      .work = attention_work, .twin = attention_twin, .argument = &s};
            x.part = 4.0 * (double)(D * group * (position + tokens)) / x.flops;
            snprintf(x.shape, sizeof x.shape, "%zu x %zu tokens at %zu, group %zu", sequences, tokens, position, group);
            measure(&x);
        }
}

// ---- Rows -------------------------------------------------------------------------------------------------------------------

typedef struct Rows {
    float *x, *weight, *cosine, *sine, *weights;
    double *sums;
    void *out, *kv;
    int32_t position[64];
} Rows;

enum { ROWS = 64, HIDDEN = 576, INNER = 1536, STRIDE = 3088, VOCABULARY = 49152 };

#define ROW_KERNELS(X)                                                                                                         \
    X(rms_norm, 64 x 576, ROWS * HIDDEN * 4,                                                                                   \
      ck_rms_norm(isa, CK_BF16, s->x, STRIDE, NULL, ROWS, HIDDEN, s->weight, 1e-5f, s->out, INNER))                            \
    X(head_norm, 64 x 12 heads of 64, ROWS * 768 * 4, ck_head_norm(isa, s->x, STRIDE, ROWS, 12, 64, s->weight, 1e-5f))         \
    X(rotate, 64 x 12 heads of 64, ROWS * 768 * 4,                                                                             \
      ck_rotate(isa, s->x, STRIDE, ROWS, 12, 64, 32, s->cosine, s->sine, s->position))                                       \
    X(silu, 64 x 1536, ROWS * INNER * 8, ck_silu_multiply(isa, CK_BF16, s->x, STRIDE, ROWS, INNER, s->out, INNER))             \
    X(write_kv, 64 tokens of 64, ROWS * 64 * 8,                                                                                \
      ck_write_kv(isa, CK_BF16, s->x, s->x + 64, STRIDE, ROWS, 64, s->kv, 1 << 14, s->position, 0))                            \
    X(largest, 49152, VOCABULARY * 4, sink += ck_find_largest(isa, s->x, VOCABULARY).index)                                    \
    X(exponentiate, 49152, VOCABULARY * 4,                                                                                     \
      sink += (uint64_t)ck_exponentiate(isa, s->x, VOCABULARY, 2, 1, 0, s->weights, s->sums))                                  \
    X(from_float, 49152, VOCABULARY * 4, ck_from_float(isa, s->x, CK_BF16, VOCABULARY, s->out))

#define ROW_FUNCTIONS(name, shape, bytes, call)                                                                                \
    static void name##_on(const ck_isa isa, const Rows *s) { call; }                                                           \
    static void name##_work(const void *s) { name##_on(isa, s); }                                                              \
    static void name##_twin(const void *s) { name##_on(CK_SCALAR, s); }
ROW_KERNELS(ROW_FUNCTIONS)

// On one thread, in the second-level cache; the limit is a plain read of the bytes that the kernel reads.
static void rows(void) {
    Rows s = {.x = memory(ROWS * STRIDE * 4), .weight = memory(HIDDEN * 4), .cosine = memory(32 * 4), .sine = memory(32 * 4),
              .out = memory(ROWS * STRIDE * 4), .kv = memory(1 << 14), .weights = memory(VOCABULARY * 4),
              .sums = (double *)memory(VOCABULARY / CK_LOGIT_BLOCK * 8)};
    fill_floats(s.x, ROWS * STRIDE);
    // What works in place must not drift to zero or infinity.
    for (size_t i = 0; i < HIDDEN; i++) s.weight[i] = 1;
    for (size_t i = 0; i < 32; i++) s.cosine[i] = 0.6f, s.sine[i] = 0.8f;
#define ROW_CASE(name, size, count, call)                                                                                      \
    measure(&(Case){.kernel = #name, .shape = #size, .bytes = count, .from = (const char *)s.x, .from_bytes = count,           \
                    .work = name##_work, .twin = name##_twin, .part = 1, .argument = &s});
    ROW_KERNELS(ROW_CASE)
}

#include "kv.h"

int main(int count, char **arguments) {
    const char *only = NULL;
    size_t threads = 1;
    isa = ck_fastest();
    for (int i = 1; i < count; i++) {
        const char *word = arguments[i], *value = i + 1 < count ? arguments[i + 1] : "";
        if (!strcmp(word, "--json")) { json = true; continue; }
        i++;
        if (!strcmp(word, "--threads")) threads = strtoul(value, NULL, 10);
        else if (!strcmp(word, "--repeats")) repeats = strtoul(value, NULL, 10);
        else if (!strcmp(word, "--only")) only = value;
        else if (!strcmp(word, "--isa")) {
            isa = CK_SCALAR;
            while (isa <= CK_AVX512BF16 && strcmp(names[isa], value)) isa++;
        } else threads = 0;
    }
    if (threads < 1 || threads > 256 || repeats < 1 || repeats > MOST_REPEATS || isa > CK_AVX512BF16 || !ck_supported(isa)) {
        fprintf(stderr, "usage: micro [--isa scalar|avx2|avx512|avx512vnni|avx512bf16] [--threads 1..256] [--repeats 1..%d] "
                        "[--only products|int8|planes3|attention|rows|kv] [--json]; the instruction set must be one of this machine's\n", MOST_REPEATS);
        return 2;
    }
    start_team(threads);
    if (!json) printf("%s, %zu threads, medians of %zu\n", names[isa], threads, repeats);
    if (!only || !strcmp(only, "products")) products();
    if (!only || !strcmp(only, "int8")) int8_products();
    if (!only || !strcmp(only, "planes3")) planes3();
    if (!only || !strcmp(only, "attention")) attention();
    if ((!only && threads == 1) || (only && !strcmp(only, "rows"))) rows();
    if ((!only && threads == 1) || (only && !strcmp(only, "kv"))) kv_block();
    return 0;
}
