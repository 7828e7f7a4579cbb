// Size and speed of the lossless codecs on synthetic weights, beside memcpy and a plain read in the same run. Usage: codecs
// [--repeats N] [--megabytes N] [--type bf16|f16|f32] [--codec NAME] [--threads N]
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "ckcodecs.h"
#include "ckplanes3.h"

enum { MOST_REPEATS = 99, COLUMNS = 1536, PANEL_COLUMNS = 256, MOST_THREADS = 2, CACHED_BLOCKS = 4, CACHED_TIMES = 64 };
static const char *const sets[] = {"scalar", "avx2", "avx512", "avx512vnni", "avx512bf16"};
static const char *const types[] = {"bf16", "f32", "f16"};
static size_t repeats = 7, most_threads = MOST_THREADS;

// ---- Codecs -----------------------------------------------------------------------------------------------------------------

// A codec is one line of the table below. `prepare` sees the histogram of the tensor first.
typedef struct Codec {
    const char *name;
    void (*prepare)(ck_type, const uint64_t counts[256]);
    size_t (*bound)(ck_type, size_t count);
    size_t (*encode)(ck_isa, ck_type, const void *, size_t, void *);
    bool (*decode)(ck_isa, ck_type, const void *, size_t, size_t, void *);
} Codec;

static void nothing(ck_type type, const uint64_t counts[256]) { (void)type, (void)counts; }

static ck_enec parameters;
static void search(ck_type type, const uint64_t counts[256]) {
    parameters = ck_enec_search(counts);
    printf("  enec: searched for %s: b = %d, n = %d, m = %d, l = %d\n", types[type], parameters.b, parameters.n, parameters.m, parameters.l);
}
static size_t enec_encode(ck_isa isa, ck_type type, const void *elements, size_t count, void *block) {
    return ck_enec_encode(isa, type, parameters, elements, count, block);
}
static bool enec_decode(ck_isa isa, ck_type type, const void *block, size_t bytes, size_t count, void *elements) {
    return ck_enec_decode(isa, type, parameters, block, bytes, count, elements);
}

// A block is a panel of 64 rows with few columns, so that it stays in the cache: its front takes 0.6 % that it does not take of a matrix.
static size_t panel_bound(ck_type type, size_t count) { return type == CK_BF16 ? ck_planes3_bound(count / PANEL_COLUMNS, PANEL_COLUMNS) : 0; }
static size_t panel_encode(ck_isa isa, ck_type type, const void *elements, size_t count, void *block) {
    (void)type;
    return ck_planes3_encode(isa, elements, PANEL_COLUMNS, count / PANEL_COLUMNS, PANEL_COLUMNS, block);
}
static bool panel_decode(ck_isa isa, ck_type type, const void *block, size_t bytes, size_t count, void *elements) {
    (void)type;
    if (!ck_planes3_check(isa, block, bytes, count / PANEL_COLUMNS, PANEL_COLUMNS)) return false;
    ck_planes3_decode(isa, block, count / PANEL_COLUMNS, PANEL_COLUMNS, elements, PANEL_COLUMNS);
    return true;
}

static const Codec codecs[] = {
    {"cascade", nothing, ck_cascade_bound, ck_cascade_encode, ck_cascade_decode},
    {"enec", search, ck_enec_bound, enec_encode, enec_decode},
    {"planes3", nothing, panel_bound, panel_encode, panel_decode},
};

// ---- Memory, time, threads --------------------------------------------------------------------------------------------------

static void *memory(size_t bytes) {
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) { fprintf(stderr, "no %zu bytes of memory\n", bytes); exit(1); }
    madvise(p, bytes, MADV_HUGEPAGE);
    memset(p, 1, bytes);
    return p;
}

// On one thread its processor time, which a neighbour on the machine cannot stretch; otherwise what the clock says.
static double now(size_t threads) {
    struct timespec t;
    clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double median(double *x, size_t n) {
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 0 && x[j - 1] > x[j]; j--) { double t = x[j]; x[j] = x[j - 1]; x[j - 1] = t; }
    return x[n / 2];
}

// ---- Weights ----------------------------------------------------------------------------------------------------------------
// Normal times a scale of the row (lognormal, 0.30), of the column (0.15) and of each 64 of a row (Student-like, 12 degrees of freedom).

static uint64_t state = 88172645463325252u;
static double uniform(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return ((double)(state >> 12) + 0.5) * 0x1p-52;
}
static double normal(void) { return sqrt(-2 * log(uniform())) * cos(2 * 3.14159265358979323846 * uniform()); }

static void make_weights(ck_type type, size_t count, void *out) {
    double column[COLUMNS], row = 1, group = 1;
    for (size_t i = 0; i < COLUMNS; i++) column[i] = 0.02 * exp(0.15 * normal());
    for (size_t i = 0; i < count; i++) {
        if (i % COLUMNS == 0) row = exp(0.30 * normal());
        if (i % 64 == 0) {
            double product = 1;
            for (int k = 0; k < 6; k++) product *= uniform();
            group = sqrt(6 / -log(product));
        }
        const float value = (float)(normal() * row * column[i % COLUMNS] * group);
        ck_from_float(CK_SCALAR, &value, type, 1, (char *)out + i * (type == CK_F32 ? 4 : 2));
    }
}

// ---- Work -------------------------------------------------------------------------------------------------------------------

static struct {
    const Codec *codec;
    ck_isa isa;
    ck_type type;
    size_t count, blocks, size;         // elements, blocks, bytes of an element
    uint8_t *elements, *coded, *decoded;
    size_t *offsets;                    // [blocks + 1] of the blocks in `coded`, which are `spacing` apart while encoding
    size_t spacing;
} job;
static volatile uint64_t sink;
static volatile bool wrong;

static size_t elements_of(size_t block) {
    const size_t left = job.count - block * CK_CODEC_BLOCK;
    return left < CK_CODEC_BLOCK ? left : CK_CODEC_BLOCK;
}
static void encode_block(size_t i) {
    job.codec->encode(job.isa, job.type, job.elements + i * CK_CODEC_BLOCK * job.size, elements_of(i), job.decoded + i * job.spacing);
}
static void decode_block(size_t i) {
    if (!job.codec->decode(job.isa, job.type, job.coded + job.offsets[i], job.offsets[i + 1] - job.offsets[i], elements_of(i),
                           job.decoded + i * CK_CODEC_BLOCK * job.size)) wrong = true;
}
static void copy_block(size_t i) {
    memcpy(job.decoded + i * CK_CODEC_BLOCK * job.size, job.elements + i * CK_CODEC_BLOCK * job.size, elements_of(i) * job.size);
}
static void read_block(size_t i) {
    sink += ck_probe_read(ck_fastest(), job.elements + i * CK_CODEC_BLOCK * job.size, elements_of(i) * job.size);
}

typedef struct Share { void (*body)(size_t); size_t from, to, times; } Share;
static void *perform(void *argument) {
    const Share *s = argument;
    for (size_t t = 0; t < s->times; t++)
        for (size_t i = s->from; i < s->to; i++) s->body(i);
    return NULL;
}

// Bytes of elements per second over the first `blocks` blocks, consecutive ones per thread.
static double rate(void (*body)(size_t), size_t blocks, size_t times, size_t threads) {
    pthread_t helpers[MOST_THREADS];
    Share shares[MOST_THREADS];
    const double start = now(threads);
    for (size_t t = threads; t-- > 0;) {
        shares[t] = (Share){body, blocks * t / threads, blocks * (t + 1) / threads, times};
        if (t == 0) perform(&shares[t]);
        else if (pthread_create(&helpers[t], NULL, perform, &shares[t])) exit(1);
    }
    for (size_t t = 1; t < threads; t++) pthread_join(helpers[t], NULL);
    const size_t count = blocks * CK_CODEC_BLOCK < job.count ? blocks * CK_CODEC_BLOCK : job.count;
    return (double)(count * job.size * times) / (now(threads) - start) * 1e-9;
}

static void line(const char *what, const char *set, void (*body)(size_t), bool cached_too) {
    printf("    %-8s %-10s", what, set);
    double some[MOST_REPEATS];
    if (cached_too) {
        for (size_t r = 0; r < repeats; r++) some[r] = rate(body, CACHED_BLOCKS < job.blocks ? CACHED_BLOCKS : job.blocks, CACHED_TIMES, 1);
        printf("%9.2f", median(some, repeats));
    } else {
        printf("%9s", "");
    }
    for (size_t threads = 1; threads <= most_threads; threads++) {
        for (size_t r = 0; r < repeats; r++) some[r] = rate(body, job.blocks, 1, threads);
        printf("%9.2f", median(some, repeats));
    }
    printf("\n");
    fflush(stdout);
}

static double entropy(const uint64_t counts[256], size_t count) {
    double bits = 0;
    for (size_t e = 0; e < 256; e++)
        if (counts[e]) bits -= (double)counts[e] / (double)count * log2((double)counts[e] / (double)count);
    return bits;
}

static void measure(ck_type type, size_t bytes, const char *only) {
    job.type = type, job.size = type == CK_F32 ? 4 : 2;
    job.count = bytes / job.size / COLUMNS * COLUMNS, job.blocks = (job.count + CK_CODEC_BLOCK - 1) / CK_CODEC_BLOCK;
    job.elements = memory(bytes), make_weights(type, job.count, job.elements);
    uint64_t counts[256] = {0};
    ck_exponent_histogram(CK_SCALAR, type, job.elements, job.count, counts);
    const double raw = type == CK_F16 ? 11 : type == CK_BF16 ? 8 : 24, all = (double)job.size * 8;
    printf("%s, %zu x %d: entropy of exponents %.3f bits, bound of the ratio %.4f\n", types[type], job.count / COLUMNS, COLUMNS,
           entropy(counts, job.count), all / (raw + entropy(counts, job.count)));
    for (size_t c = 0; c < sizeof codecs / sizeof *codecs; c++) {
        job.codec = &codecs[c];
        // A codec that has no such type bounds nothing.
        if ((only && strcmp(only, job.codec->name)) || !job.codec->bound(type, CK_CODEC_BLOCK)) continue;
        job.codec->prepare(type, counts);
        job.spacing = (job.codec->bound(type, CK_CODEC_BLOCK) + CK_CODEC_SLACK + 63) / 64 * 64;
        const size_t room = job.blocks * job.spacing;
        job.coded = memory(room), job.decoded = memory(room), job.offsets = calloc(job.blocks + 1, sizeof(size_t));
        job.isa = ck_fastest();
        for (size_t i = 0; i < job.blocks; i++)
            job.offsets[i + 1] = job.offsets[i] + job.codec->encode(job.isa, type, job.elements + i * CK_CODEC_BLOCK * job.size,
                                                                    elements_of(i), job.coded + job.offsets[i]);
        printf("  %s: ratio %.4f\n    %-19s%9s", job.codec->name, (double)(job.count * job.size) / (double)job.offsets[job.blocks], "GB/s",
               "in L2");
        for (size_t threads = 1; threads <= most_threads; threads++) printf("%8zuT", threads);
        printf("\n");
        line("memcpy", "", copy_block, true);
        line("read", "", read_block, true);
        for (int isa = 0; isa <= CK_AVX512; isa++) {
            if (!ck_supported((ck_isa)isa)) continue;
            job.isa = (ck_isa)isa;
            memset(job.decoded, 0, room);
            line("decode", sets[isa], decode_block, true);
            if (wrong || memcmp(job.decoded, job.elements, job.count * job.size)) { printf("WRONG\n"); exit(1); }
            line("encode", sets[isa], encode_block, true);
        }
        munmap(job.coded, room), munmap(job.decoded, room), free(job.offsets);
    }
    munmap(job.elements, bytes);
}

int main(int count, char **arguments) {
    size_t megabytes = 64;
    const char *type = NULL, *codec = NULL;
    for (int i = 1; i + 1 < count; i += 2) {
        if (!strcmp(arguments[i], "--repeats")) repeats = (size_t)atoi(arguments[i + 1]);
        if (!strcmp(arguments[i], "--megabytes")) megabytes = (size_t)atoi(arguments[i + 1]);
        if (!strcmp(arguments[i], "--threads")) most_threads = (size_t)atoi(arguments[i + 1]);
        if (!strcmp(arguments[i], "--type")) type = arguments[i + 1];
        if (!strcmp(arguments[i], "--codec")) codec = arguments[i + 1];
    }
    if (repeats < 1 || repeats > MOST_REPEATS || megabytes < 1 || most_threads < 1 || most_threads > MOST_THREADS) return 2;
    static const ck_type order[] = {CK_BF16, CK_F16, CK_F32};
    for (size_t i = 0; i < 3; i++)
        if (!type || !strcmp(type, types[order[i]])) measure(order[i], megabytes << 20, codec);
    return 0;
}
