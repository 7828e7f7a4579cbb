// Compares the codecs of one instruction set with the scalar twin: equal bytes, equal elements, equal verdicts on what is no block.
// Usage: codec_twins <number of ck_isa>. An instruction set that the machine lacks is emulated or left out (see the script).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ckcodecs.h"

static ck_isa isa;
static int failures;
static size_t refused, accepted;

static uint64_t state = 88172645463325252u;
static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static void fail(const char *what, const char *kind, ck_type type, size_t count) {
    printf("DIFFERS %s: %s, type %d, %zu elements\n", what, kind, (int)type, count);
    failures++;
}

static size_t size_of(ck_type type) { return type == CK_F32 ? 4 : 2; }

// A codec under test.
typedef struct Codec {
    const char *name;
    size_t (*bound)(ck_type, size_t);
    size_t (*encode)(ck_isa, ck_type, const void *, size_t, void *);
    bool (*decode)(ck_isa, ck_type, const void *, size_t, size_t, void *);
} Codec;

// ENEC with parameters that fit the elements, or any others.
static ck_enec parameters;
static size_t enec_encode(ck_isa with, ck_type type, const void *elements, size_t count, void *block) {
    return ck_enec_encode(with, type, parameters, elements, count, block);
}
static bool enec_decode(ck_isa with, ck_type type, const void *block, size_t bytes, size_t count, void *elements) {
    return ck_enec_decode(with, type, parameters, block, bytes, count, elements);
}
static void choose_parameters(ck_type type, const void *elements, size_t count, bool fitting) {
    uint64_t counts[256] = {0};
    ck_exponent_histogram(CK_SCALAR, type, elements, count, counts);
    parameters = ck_enec_search(counts);
    if (!fitting) {
        parameters.n = (uint8_t)(1 + next() % 8), parameters.m = (uint8_t)(1 + next() % parameters.n);
        parameters.l = (uint8_t)(16 << next() % 4), parameters.b += (uint8_t)(next() % 3);
    }
    if (!ck_enec_valid(parameters)) exit(2);
}

// ---- Elements -----------------------------------------------------------------------------------------------------------------

// About normally distributed exponents below `top`; `spread` halves the probability of the next lower one.
static unsigned falling(unsigned top, unsigned spread) {
    const unsigned fall = (unsigned)__builtin_ctzll(next() | 1ull << 40) * spread / 2;
    return fall > top ? 0 : top - fall;
}

enum { WEIGHTS, RANDOM, ZERO, EQUAL, ALTERNATING, PATTERNS, WIDE, PRUNED, TWO_SCALES, SCATTERED, SPECIAL, KINDS };
static const char *const kinds[KINDS] = {"weights", "random bits", "zeros", "equal", "alternating exponents", "all patterns",
                                         "wide exponents", "pruned", "two scales", "scattered exponents",
                                         "special values"};

static void fill(uint8_t *elements, ck_type type, size_t count, int kind, size_t seed) {
    const unsigned bits = type == CK_F16 ? 5 : 8, mantissa = type == CK_F16 ? 10 : type == CK_BF16 ? 7 : 23;
    const unsigned middle = type == CK_F16 ? 12 : 122;
    for (size_t i = 0; i < count; i++) {
        uint64_t r = next(), e = 0, m = r & ((1u << mantissa) - 1), s = r >> 40 & 1;
        switch (kind) {
        case WEIGHTS: e = falling(middle + seed % 3, 2); break;
        case RANDOM: e = r >> 50; break;
        case ZERO: e = m = s = 0; break;
        case EQUAL: e = middle, m = 3, s = 1; break;
        case ALTERNATING: e = i % 2 ? (1u << bits) - 1 : 0; break;
        case PATTERNS: e = (i + seed * CK_CODEC_BLOCK) >> (type == CK_F16 ? 10 : 7), m = i + seed * CK_CODEC_BLOCK, s = (i + seed * CK_CODEC_BLOCK) >> 15; break;
        case WIDE: e = falling((1u << bits) - 2, 5 + seed % 5); break;
        case PRUNED: e = next() % 3 ? 0 : falling(middle, 2), m = e ? m : 0, s = e ? s : 0; break;
        case TWO_SCALES: e = i / 64 % 16 == 4 + seed % 9 ? falling(middle + 8, 4) : falling(middle, 1 + (i / 64 % 9 == 7)); break;
        case SCATTERED: e = r >> 32 & 3 ? middle : r >> 50; break;
        case SPECIAL: e = r >> 20 & 3 ? falling(middle, 2) : r >> 22 & 1 ? (1u << bits) - 1 : 0, m = r >> 23 & 1 ? m : r >> 24 & 1; break;
        }
        e &= (1u << bits) - 1, m &= (1u << mantissa) - 1, s &= 1;
        uint32_t x = (uint32_t)(s << (mantissa + bits) | e << mantissa | m);
        memcpy(elements + i * size_of(type), &x, size_of(type));
    }
}

// ---- Comparisons --------------------------------------------------------------------------------------------------------------

// Memory whose last byte is followed by a page that may not be touched.
static uint8_t *guarded(size_t bytes) {
    const size_t all = (bytes + 4095) / 4096 * 4096;
    uint8_t *p = mmap(NULL, all + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mprotect(p + all, 4096, PROT_NONE)) exit(2);
    return p + all - bytes;
}

#define LARGEST (CK_CODEC_BLOCK * 4 + 4096)
static uint8_t elements[LARGEST], first[LARGEST], second[LARGEST], *inputs, *outputs;

// Decodes bytes that end where memory and slack end, to memory that ends with the elements.
static bool decode(const Codec *codec, ck_isa with, ck_type type, const uint8_t *block, size_t bytes, size_t count, uint8_t **out) {
    uint8_t *at = inputs + LARGEST - CK_CODEC_SLACK - bytes;
    memcpy(at, block, bytes);
    memset(at + bytes, (int)next(), CK_CODEC_SLACK);
    *out = outputs + LARGEST - count * size_of(type);
    memset(*out - 64, 0xa5, 64);
    const bool taken = codec->decode(with, type, at, bytes, count, *out);
    for (int i = -64; i < 0; i++)
        if ((*out)[i] != 0xa5) fail(codec->name, "wrote before the elements", type, count);
    return taken;
}

// What is no block any more: both must agree on the verdict, and on the elements if it is still one.
static void damage(const Codec *codec, ck_type type, size_t bytes, size_t count) {
    static uint8_t broken[LARGEST], kept[LARGEST];
    memcpy(broken, first, bytes);
    size_t length = bytes;
    switch (next() % 5) {
    case 0: length = next() % bytes; break;
    case 1: length += 1 + next() % 20; memset(broken + bytes, (int)next(), 20); break;
    case 2: broken[next() % (bytes < 24 ? bytes : 24)] ^= (uint8_t)(1 << next() % 8); break;
    case 3: broken[next() % bytes] ^= (uint8_t)(1 << next() % 8); break;
    default:
        for (size_t i = next() % bytes, end = i + next() % 300; i < end && i < bytes; i++) broken[i] = (uint8_t)next();
    }
    uint8_t *out;
    const bool expected = decode(codec, CK_SCALAR, type, broken, length, count, &out);
    memcpy(kept, out, count * size_of(type));
    if (decode(codec, isa, type, broken, length, count, &out) != expected) fail(codec->name, "verdict on a broken block", type, count);
    else if (expected && memcmp(kept, out, count * size_of(type))) fail(codec->name, "elements of a broken block", type, count);
    if (expected && length != bytes) fail(codec->name, "took a block of another length", type, count);
    if (expected) accepted++;
    else refused++;
}

static void check(const Codec *codec, ck_type type, size_t count, int kind, size_t seed, size_t damages) {
    const size_t bound = codec->bound(type, count), bytes = count * size_of(type);
    fill(elements, type, count, kind, seed);
    choose_parameters(type, elements, count, seed % 2 == 0);
    memset(first, 0x5a, LARGEST), memset(second, 0x5a, LARGEST);
    const size_t a = codec->encode(CK_SCALAR, type, elements, count, first), b = codec->encode(isa, type, elements, count, second);
    if (a != b || memcmp(first, second, a)) fail(codec->name, kinds[kind], type, count);
    if (a > bound) fail(codec->name, "more than its bound", type, count);
    for (size_t i = bound + CK_CODEC_SLACK; i < bound + CK_CODEC_SLACK + 256; i++)
        if (second[i] != 0x5a) fail(codec->name, "wrote behind the slack", type, count);
    uint8_t *out;
    if (!decode(codec, CK_SCALAR, type, first, a, count, &out) || memcmp(out, elements, bytes)) fail(codec->name, "scalar round trip", type, count);
    if (!decode(codec, isa, type, first, a, count, &out) || memcmp(out, elements, bytes)) fail(codec->name, "round trip", type, count);
    for (size_t i = 0; i < damages; i++) damage(codec, type, a, count);
}

static void histograms(ck_type type) {
    for (size_t count = 0; count < 5000; count = count * 3 + 1) {
        uint64_t a[256] = {0}, b[256] = {0};
        fill(elements, type, count, count % 2 ? WEIGHTS : RANDOM, 0);
        ck_exponent_histogram(CK_SCALAR, type, elements, count, a);
        ck_exponent_histogram(isa, type, elements, count, b);
        if (memcmp(a, b, sizeof a)) fail("histogram", "counts", type, count);
    }
}

static void run(const Codec *codec) {
    static const size_t counts[] = {1, 2, 63, 64, 65, 127, 2047, 2048, 2049, 4160, CK_CODEC_BLOCK - 1, CK_CODEC_BLOCK};
    for (int type = 0; type < 3; type++)
        for (int kind = 0; kind < KINDS; kind++) {
            for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) check(codec, (ck_type)type, counts[i], kind, i, 40);
            for (size_t seed = 0; seed < 4; seed++) check(codec, (ck_type)type, CK_CODEC_BLOCK, kind, seed, 10);
        }
}

int main(int count, char **arguments) {
    if (count != 2) return 2;
    isa = (ck_isa)atoi(arguments[1]);
    inputs = guarded(LARGEST), outputs = guarded(LARGEST);
    static const Codec codecs[] = {{"cascade", ck_cascade_bound, ck_cascade_encode, ck_cascade_decode},
                                   {"enec", ck_enec_bound, enec_encode, enec_decode}};
    for (int type = 0; type < 3; type++) histograms((ck_type)type);
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++) run(&codecs[i]);
    printf("codecs, instruction set %d: %d differences; of broken blocks %zu refused, %zu taken\n", (int)isa, failures, refused, accepted);
    return failures != 0;
}
