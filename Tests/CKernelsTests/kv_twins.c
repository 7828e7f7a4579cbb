// Compares the KV kernels of one instruction set with the scalar twin: equal bits of everything they write, nothing written beside it,
// nothing read behind what they are given. Usage: kv_twins <number of ck_isa>. An instruction set that the machine lacks is emulated or
// left out (see emulate-avx512.sh).
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ckkv.h"

static ck_isa isa;
static int failures;

static uint64_t state = 88172645463325252u;
static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}
static float number(void) { return (float)((int)(next() >> 40) - (1 << 23)) / (1 << 21); }

static void expect(bool holds, const char *what, const char *kind, size_t rows, size_t columns) {
    if (holds) return;
    if (failures++ < 50) printf("DIFFERS %s: %s, %zu x %zu\n", what, kind, rows, columns);
}

// ---- Memory -------------------------------------------------------------------------------------------------------------------

#define MOST (300u * 320 * 4)
#define MARGIN 256

// Memory whose last byte is followed by a page that may not be touched.
static uint8_t *guarded(void) {
    const size_t all = (MOST + 4095) / 4096 * 4096;
    uint8_t *p = mmap(NULL, all + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mprotect(p + all, 4096, PROT_NONE)) exit(2);
    return p + all;
}

static uint8_t *ends[8];

// The last `bytes` bytes before the end of region i.
static void *before_end(int i, size_t bytes) { return ends[i] - bytes; }

// Two equal results, each followed by a margin that is compared too.
static uint8_t first[MOST + MARGIN], second[MOST + MARGIN];

static void clear(void) {
    memset(first, 0x5a, sizeof first);
    memset(second, 0x5a, sizeof second);
}

static bool same_bytes(void) { return memcmp(first, second, sizeof first) == 0; }

// NaN are equal, whichever they are.
static bool same_floats(void) {
    if (same_bytes()) return true;
    for (size_t i = 0; i < sizeof first / 4; i++) {
        float a, b;
        memcpy(&a, first + 4 * i, 4);
        memcpy(&b, second + 4 * i, 4);
        if (memcmp(&a, &b, 4) && !(a != a && b != b)) return false;
    }
    return true;
}

// ---- Planes -------------------------------------------------------------------------------------------------------------------

enum { MODEL, SPECIAL, BITS, ZEROS, TIES, KINDS };
static const char *const kinds[KINDS] = {"model", "special values", "any bits", "zeros", "ties"};

static float value(int kind) {
    static const float special[] = {0, -0.0f, INFINITY, -INFINITY, NAN, 1e-40f, -3e-42f, 1e-45f, 3.4e38f, -3.4e38f,
                                    0x1p-126f, 448, 464, 480, -465, 0x1p-9f, 0x1p-10f, 0x1.8p-10f};
    uint32_t bits;
    float f;
    switch (kind) {
    case MODEL: return number() * 0.7f;
    case SPECIAL: return next() % 4 ? number() : special[next() % (sizeof special / sizeof *special)];
    case ZEROS: return next() % 2 ? 0 : -0.0f;
    case TIES: return (float)((int)(next() % 61) - 30) * 0.25f;
    default:
        bits = (uint32_t)next();
        memcpy(&f, &bits, 4);
        return f;
    }
}

typedef struct Shape {
    size_t rows, columns, stride;
    int kind;
} Shape;

static size_t plane_bytes(const Shape *s) { return s->rows && s->columns ? ((s->rows - 1) * s->stride + s->columns) * 4 : 0; }

// A plane before the end of region i.
static float *plane(int i, const Shape *s, bool bf16) {
    float *p = before_end(i, plane_bytes(s));
    for (size_t j = 0; j < plane_bytes(s) / 4; j++) {
        p[j] = value(s->kind);
        if (!bf16) continue;
        uint32_t bits;
        memcpy(&bits, p + j, 4);
        bits &= 0xffff0000;
        memcpy(p + j, &bits, 4);
    }
    return p;
}

static float *floats(int i, size_t count, int kind) {
    float *p = before_end(i, count * 4);
    for (size_t j = 0; j < count; j++) p[j] = value(kind);
    return p;
}

static uint8_t *bytes(int i, size_t count, unsigned most) {
    uint8_t *p = before_end(i, count);
    for (size_t j = 0; j < count; j++) p[j] = (uint8_t)(next() % (most + 1));
    return p;
}

#define BOTH(call_scalar, call_isa, same, what)                                                                                            \
    do {                                                                                                                                   \
        clear();                                                                                                                           \
        { const ck_isa on = CK_SCALAR; uint8_t *to = first; (void)on; (void)to; call_scalar; }                                             \
        { const ck_isa on = isa; uint8_t *to = second; (void)on; (void)to; call_isa; }                                                     \
        expect(same(), what, kinds[s->kind], s->rows, s->columns);                                                                         \
    } while (0)
#define CHECK(same, what, ...) BOTH(__VA_ARGS__, __VA_ARGS__, same, what)

// In place: a copy of the plane in each result.
#define IN_PLACE(what, call)                                                                                                               \
    do {                                                                                                                                   \
        clear();                                                                                                                           \
        memcpy(first, p, plane_bytes(s));                                                                                                  \
        memcpy(second, p, plane_bytes(s));                                                                                                 \
        { const ck_isa on = CK_SCALAR; float *x = (float *)first; call; }                                                                  \
        {                                                                                                                                  \
            const ck_isa on = isa;                                                                                                         \
            float *x = memcpy(before_end(7, plane_bytes(s)), p, plane_bytes(s));                                                           \
            call;                                                                                                                          \
            memcpy(second, x, plane_bytes(s));                                                                                             \
        }                                                                                                                                  \
        expect(same_floats(), what, kinds[s->kind], s->rows, s->columns);                                                                  \
    } while (0)

static void transforms(const Shape *s) {
    const size_t R = s->rows, C = s->columns;
    float *p = plane(0, s, false), *term = floats(2, R > C ? R : C, MODEL);
    uint32_t *signs = before_end(3, (C + 31) / 32 * 4);
    for (size_t i = 0; i < (C + 31) / 32; i++) signs[i] = (uint32_t)next();
    IN_PLACE("hadamard", ck_kv_hadamard(on, x, s->stride, R, C, signs, false));
    IN_PLACE("inverse hadamard", ck_kv_hadamard(on, x, s->stride, R, C, signs, true));
    float *of_columns = floats(1, C, s->kind), *term_columns = term + (R > C ? R : C) - C;
    IN_PLACE("affine columns", ck_kv_affine_columns(on, x, s->stride, R, C, of_columns, term_columns));
    float *of_rows = floats(1, R, s->kind), *term_rows = term + (R > C ? R : C) - R;
    IN_PLACE("affine rows", ck_kv_affine_rows(on, x, s->stride, R, C, of_rows, term_rows));
    CHECK(same_floats, "range of rows", ck_kv_range_rows(on, p, s->stride, R, C, (float *)to, (float *)to + R + 3));
    CHECK(same_floats, "range of columns", ck_kv_range_columns(on, p, s->stride, R, C, (float *)to, (float *)to + C + 3));
    CHECK(same_floats, "energy", ck_kv_energy_rows(on, p, s->stride, R, C, (float *)to));
    CHECK(same_floats, "transpose", ck_kv_transpose(on, p, s->stride, R, C, (float *)to, R + 2));
    const uint8_t *symbols = bytes(4, R * C, 255);
    CHECK(same_bytes, "transpose symbols", ck_kv_transpose_symbols(on, symbols, R, C, to));
    const size_t inner = C > 40 ? 40 : C, out = C / 2 + 1;
    const float *matrix = floats(2, inner * out, MODEL);
    const Shape narrow = {R, inner, inner + 1, s->kind};
    const float *in = plane(0, &narrow, false);
    CHECK(same_floats, "product", ck_kv_product(on, in, inner + 1, R, inner, matrix, out, (float *)to, out + 1));
}

// Products that take several panels of a matrix, and all kinds of tiles.
static void wide_product(void) {
    enum { R = 29, INNER = 600, OUT = 37 };
    static float in[R * INNER], matrix[INNER * OUT], expected[R * OUT], found[R * OUT];
    for (size_t inner = 0; inner <= INNER; inner += inner == 0 ? 255 : 115)
        for (size_t rows = 1; rows <= R; rows += 7) {
            for (size_t i = 0; i < R * INNER; i++) in[i] = (float)(next() % 2001) / 1000 - 1;
            for (size_t i = 0; i < INNER * OUT; i++) matrix[i] = (float)(next() % 2001) / 1000 - 1;
            memset(expected, 0xff, sizeof expected), memset(found, 0xff, sizeof found);
            ck_kv_product(CK_SCALAR, in, INNER, rows, inner, matrix, OUT, expected, OUT);
            ck_kv_product(isa, in, INNER, rows, inner, matrix, OUT, found, OUT);
            expect(memcmp(expected, found, sizeof found) == 0, "wide product", kinds[0], rows, inner);
        }
}

// Hadamard back is the inverse, and keeps lengths.
static void orthonormal(size_t columns) {
    float x[256], y[256];
    uint32_t signs[8];
    double before = 0, after = 0, apart = 0;
    for (size_t i = 0; i < 8; i++) signs[i] = (uint32_t)next();
    for (size_t i = 0; i < columns; i++) before += (double)(x[i] = y[i] = number()) * x[i];
    ck_kv_hadamard(isa, y, columns, 1, columns, signs, false);
    for (size_t i = 0; i < columns; i++) after += (double)y[i] * y[i];
    ck_kv_hadamard(isa, y, columns, 1, columns, signs, true);
    for (size_t i = 0; i < columns; i++) apart += fabs((double)x[i] - y[i]);
    expect(fabs(before - after) <= 1e-5 * before && apart <= 1e-5 * (double)columns, "orthonormal hadamard", "model", 1, columns);
}

// ---- Quantisers ---------------------------------------------------------------------------------------------------------------

#define ROOM (128u * 320)       // for what stands behind the symbols in a result

static void quantisers(const Shape *s) {
    const size_t R = s->rows, C = s->columns, n = R * C;
    float *p = plane(0, s, false);
    float *rows1 = floats(1, R, s->kind), *rows2 = floats(2, R, MODEL), *columns1 = floats(3, C, s->kind), *columns2 = floats(4, C, MODEL);
    for (int i = 0; i < 2; i++) {
        const unsigned top = i ? 255 : (unsigned)(next() % 256);
        CHECK(same_bytes, "quantise rows", ck_kv_quantise_rows(on, p, s->stride, R, C, rows1, rows2, top, to));
        CHECK(same_bytes, "quantise columns", ck_kv_quantise_columns(on, p, s->stride, R, C, columns1, columns2, top, to));
    }
    const uint8_t *symbols = bytes(5, n, 255);
    CHECK(same_floats, "dequantise rows", ck_kv_dequantise_rows(on, symbols, R, C, rows1, rows2, (float *)to, s->stride));
    CHECK(same_floats, "dequantise columns", ck_kv_dequantise_columns(on, symbols, R, C, columns1, columns2, (float *)to, s->stride));
    CHECK(same_bytes, "to fp8", ck_kv_to_fp8(on, p, s->stride, R, C, rows1, columns2, to));
    CHECK(same_floats, "from fp8", ck_kv_from_fp8(on, symbols, R, C, rows1, columns2, (float *)to, s->stride));
    static const size_t counts[] = {0, 1, 3, 7, 15, 16, 31, 100, 255};
    const size_t count = counts[next() % 9];
    float *thresholds = before_end(6, count * 4), *levels = floats(6, 256, s->kind);
    CHECK(same_floats, "look up", ck_kv_look_up(on, symbols, R, C, levels, rows1, (float *)to, s->stride));
    const uint8_t *few = bytes(5, n, 15);
    CHECK(same_floats, "look up of few", ck_kv_look_up(on, few, R, C, levels, rows1, (float *)to, s->stride));
    for (size_t i = 0; i < count; i++) thresholds[i] = (float)(i / 2 * 2) / (float)count * 8 - 4;
    CHECK(same_bytes, "codebook", ck_kv_codebook(on, p, s->stride, R, C, rows1, thresholds, count, to));
}

// Factors that leave few, some or all symbols of a dead zone wide.
static void dead_zones(const Shape *s) {
    const size_t R = s->rows, C = s->columns, n = R * C;
    float *p = plane(0, s, false), *factor = floats(1, R, s->kind);
    const float scale = (float[]){0.5f, 2, 7, 1000}[next() % 4], rounding = (float[]){0, 0.25f, 0.33f, 0.5f}[next() % 4];
    for (size_t r = 0; r < R; r++) factor[r] = fabsf(factor[r]) * scale;
    size_t a = 0, b = 0;
    clear();
    a = ck_kv_deadzone(CK_SCALAR, p, s->stride, R, C, factor, rounding, first, (int16_t *)(first + ROOM));
    b = ck_kv_deadzone(isa, p, s->stride, R, C, factor, rounding, second, (int16_t *)(second + ROOM));
    memset(first + ROOM + 2 * a, 0, 2 * n - 2 * a);
    memset(second + ROOM + 2 * b, 0, 2 * n - 2 * b);
    expect(a == b && same_bytes(), "dead zone", kinds[s->kind], R, C);
    // Back, with the right count and others, and with a symbol that is none.
    uint8_t *symbols = before_end(2, n);
    int16_t *wide = before_end(3, a * 2);
    memcpy(symbols, first, n);
    memcpy(wide, first + ROOM, a * 2);
    const float pull = rounding / 2;
    for (int i = 0; i < 4; i++) {
        const size_t count = i == 1 && a ? a - 1 : a;
        if (i == 2 && n) symbols[next() % n] = 15;
        if (i == 3 && n) symbols[next() % n] = (uint8_t)(16 + next() % 240);
        clear();
        const bool x = ck_kv_undeadzone(CK_SCALAR, symbols, R, C, factor, pull, wide + (a - count), count, (float *)first, s->stride);
        const bool y = ck_kv_undeadzone(isa, symbols, R, C, factor, pull, wide + (a - count), count, (float *)second, s->stride);
        expect(x == y, "verdict on a dead zone", kinds[s->kind], R, C);
        expect(i > 0 || x, "dead zone refused", kinds[s->kind], R, C);
        if (x && y) expect(same_floats(), "back from a dead zone", kinds[s->kind], R, C);
    }
}

static void predictors(const Shape *s) {
    const size_t R = s->rows, C = s->columns, n = R * C;
    float *p = plane(0, s, true);
    const float bound = (float[]){0, 0.01f, 0.1f, 1, 0x1p-140f}[next() % 5];
    clear();
    const size_t a = ck_kv_predict(CK_SCALAR, p, s->stride, R, C, bound, first, (uint16_t *)(first + ROOM));
    const size_t b = ck_kv_predict(isa, p, s->stride, R, C, bound, second, (uint16_t *)(second + ROOM));
    memset(first + ROOM + 2 * a, 0, 2 * n - 2 * a);
    memset(second + ROOM + 2 * b, 0, 2 * n - 2 * b);
    expect(a == b && same_bytes(), "predict", kinds[s->kind], R, C);
    uint8_t *symbols = before_end(2, n);
    uint16_t *exact = before_end(3, a * 2);
    memcpy(symbols, first, n);
    memcpy(exact, first + ROOM, a * 2);
    for (int i = 0; i < 3; i++) {
        const size_t count = i == 1 && a ? a - 1 : a;
        if (i == 2 && n) symbols[next() % n] ^= 0x80;
        clear();
        const bool x = ck_kv_unpredict(CK_SCALAR, symbols, R, C, bound, exact + (a - count), count, (float *)first, s->stride);
        const bool y = ck_kv_unpredict(isa, symbols, R, C, bound, exact + (a - count), count, (float *)second, s->stride);
        expect(x == y, "verdict on a prediction", kinds[s->kind], R, C);
        expect(i > 0 || x, "prediction refused", kinds[s->kind], R, C);
        if (!x || !y) continue;
        expect(same_floats(), "back from a prediction", kinds[s->kind], R, C);
        if (i == 0)
            for (size_t r = 0; r < R; r++)
                for (size_t c = 0; c < C; c++) {
                    const float was = p[r * s->stride + c], is = ((float *)first)[r * s->stride + c];
                    const bool holds = fabsf(was - is) <= bound || was == is || (was != was && is != is);
                    expect(holds, "bound of a prediction", kinds[s->kind], R, C);
                }
    }
}

// ---- Panels -------------------------------------------------------------------------------------------------------------------

static void panels(size_t dimension, size_t from, size_t tokens, int kind) {
    const Shape of = {tokens, dimension, dimension + 3, kind}, *s = &of;
    const size_t bytes = 64 * dimension * 2;
    uint16_t *panel = before_end(0, bytes);
    for (size_t i = 0; i < 32 * dimension * 2; i++) panel[i] = (uint16_t)next();
    for (int side = 0; side < 2; side++) {
        for (int transposed = 0; transposed < 2; transposed++) {
            const Shape turned = transposed ? (Shape){dimension, tokens, tokens + 5, kind} : of;
            CHECK(same_bytes, "load", ck_kv_load(on, (ck_side)side, panel, from, tokens, dimension, transposed, (float *)to,
                                                turned.stride));
            const size_t stride = turned.stride;
            const float *p = plane(1, &turned, false);
            CHECK(same_bytes, "store", ck_kv_store(on, (ck_side)side, p, stride, transposed, from, tokens, dimension, (uint16_t *)to));
        }
        CHECK(same_bytes, "unpack", ck_kv_unpack(on, (ck_side)side, panel, from, tokens, dimension, (uint16_t *)to, tokens + 3));
        uint16_t *in = before_end(2, dimension && tokens ? ((dimension - 1) * (tokens + 3) + tokens) * 2 : 0);
        for (uint8_t *x = (uint8_t *)in; x < ends[2]; x++) *x = (uint8_t)next();
        CHECK(same_bytes, "pack", ck_kv_pack(on, (ck_side)side, in, tokens + 3, from, tokens, dimension, (uint16_t *)to));
    }
}

// ---- Codes --------------------------------------------------------------------------------------------------------------------

static void codes(size_t count) {
    const Shape of = {1, count, count, BITS}, *s = &of;
    const uint8_t *symbols = bytes(0, count, 255);
    uint8_t *back = before_end(3, count);
    for (unsigned bits = 1; bits <= 8; bits++) {
        const size_t size = ck_kv_packed_bytes(count, bits);
        expect(size == (count + 7) / 8 * bits, "packed bytes", "any bits", 1, count);
        CHECK(same_bytes, "pack bits", ck_kv_pack_bits(on, symbols, count, bits, to));
        uint8_t *packed = before_end(1, size);
        memcpy(packed, first, size);
        CHECK(same_bytes, "unpack bits", ck_kv_unpack_bits(on, packed, count, bits, to));
        ck_kv_unpack_bits(isa, packed, count, bits, back);
        for (size_t i = 0; i < count; i++)
            if (back[i] != (symbols[i] & ((1u << bits) - 1))) expect(false, "bits back", "any bits", bits, count);
    }
    for (unsigned most = 0; most < 256; most = most * 2 + 1) {
        const uint8_t *some = bytes(0, count, most);
        CHECK(same_bytes, "count", memset(to, 1, 1024); ck_kv_count(on, some, count, (uint32_t *)to));
    }
}

// ---- Known values ---------------------------------------------------------------------------------------------------------------

static float fp8_number(unsigned code) {
    const unsigned exponent = code >> 3 & 15, mantissa = code & 7;
    const float magnitude = exponent ? ldexpf(1 + (float)mantissa / 8, (int)exponent - 7) : ldexpf((float)mantissa / 8, -6);
    return code & 0x80 ? -magnitude : magnitude;
}

static void known_fp8(void) {
    const float one = 1;
    float x;
    uint8_t code;
    for (unsigned c = 0; c < 256; c++) {
        const uint8_t in = (uint8_t)c;
        ck_kv_from_fp8(isa, &in, 1, 1, &one, &one, &x, 1);
        if ((c & 0x7f) == 0x7f) {
            expect(x != x, "fp8 NaN", "known", 1, c);
            continue;
        }
        const float value = fp8_number(c);
        expect(memcmp(&x, &value, 4) == 0, "fp8 value", "known", 1, c);
        ck_kv_to_fp8(isa, &x, 1, 1, 1, &one, &one, &code);
        expect(code == c, "fp8 code", "known", 1, c);
        if ((c & 0x7f) >= 0x7e) continue;
        // Halfway to the next, and a little to either side.
        const float half = (value + fp8_number(c + 1)) / 2, less = half * (1 - 0x1p-20f), more = half * (1 + 0x1p-20f);
        ck_kv_to_fp8(isa, &half, 1, 1, 1, &one, &one, &code);
        expect(code == c + c % 2, "fp8 tie", "known", 1, c);
        ck_kv_to_fp8(isa, &less, 1, 1, 1, &one, &one, &code);
        expect(code == c, "fp8 below a tie", "known", 1, c);
        ck_kv_to_fp8(isa, &more, 1, 1, 1, &one, &one, &code);
        expect(code == c + 1, "fp8 above a tie", "known", 1, c);
    }
    const float great[4] = {449, INFINITY, -1e30f, NAN}, ones[4] = {1, 1, 1, 1};
    uint8_t codes[4];
    ck_kv_to_fp8(isa, great, 4, 1, 4, &one, ones, codes);
    expect(codes[0] == 0x7e && codes[1] == 0x7e && codes[2] == 0xfe && codes[3] == 0x7f, "fp8 saturation", "known", 1, 4);
}

static void known_symbols(void) {
    enum { N = 40 };
    float x[N] = {0.5f, 1.5f, 2.5f, -1, -0.4f, 300, NAN, INFINITY, -INFINITY, 14.6f}, back[N];
    static const uint8_t uniform[10] = {0, 2, 2, 0, 0, 15, 0, 15, 0, 15};
    const float one = 1, zero = 0;
    uint8_t symbols[N];
    int16_t wide[N];
    ck_kv_quantise_rows(isa, x, N, 1, N, &one, &zero, 15, symbols);
    expect(memcmp(symbols, uniform, 10) == 0, "quantise", "known", 1, N);
    static const float values[10] = {0.49f, 0.5f, -0.5f, 7.4f, -7.4f, 7.5f, -8.25f, NAN, 1e9f, -INFINITY};
    static const uint8_t near[10] = {7, 8, 6, 14, 0, 15, 15, 7, 15, 15};
    static const int16_t far[4] = {8, -8, 32767, -32767};
    static const float restored[10] = {0, 1.5f, -1.5f, 13.5f, -13.5f, 15.5f, -15.5f, 0, 65533.5f, -65533.5f};
    memset(x, 0, sizeof x);
    memcpy(x, values, sizeof values);
    const size_t count = ck_kv_deadzone(isa, x, N, 1, N, &one, 0.5f, symbols, wide);
    expect(count == 4 && memcmp(wide, far, sizeof far) == 0 && memcmp(symbols, near, 10) == 0, "dead zone", "known", 1, N);
    const float two = 2;
    expect(ck_kv_undeadzone(isa, symbols, 1, N, &two, 0.25f, wide, count, back, N), "dead zone taken", "known", 1, N);
    expect(memcmp(back, restored, sizeof restored) == 0, "dead zone back", "known", 1, N);
}

// The format of packed bits, byte by byte.
static void golden_bits(void) {
    uint8_t symbols[20], packed[16];
    for (int i = 0; i < 20; i++) symbols[i] = (uint8_t)(i * 11);
    static const uint8_t three[9] = {0xe4, 0x93, 0x4e, 0x24, 0x13, 0x0e, 0x70, 0x1e, 0x03};
    ck_kv_pack_bits(isa, symbols, 20, 3, packed);
    for (int i = 0; i < 9; i++) {
        // Lines of three bytes: bits 0 and 1 of symbols by, by + 3, .. of the first half, of the second half, bit 2 of all.
        unsigned expected = 0;
        for (int j = 0; j < (i < 6 ? 4 : 8); j++) {
            const int at = i % 3 + 3 * (i < 3 ? j : i < 6 ? j + 4 : j);
            const unsigned symbol = at < 20 ? symbols[at] : 0;
            expected |= i < 6 ? (symbol & 3) << 2 * j : (symbol >> 2 & 1) << j;
        }
        expect(packed[i] == expected, "format of bits", "golden", 1, (size_t)i);
        expect(packed[i] == three[i], "golden bits", "golden", 1, (size_t)i);
    }
}

int main(int count, char **words) {
    if (count != 2) return 2;
    isa = (ck_isa)atoi(words[1]);
    for (int i = 0; i < 8; i++) ends[i] = guarded();
    golden_bits();
    known_fp8();
    known_symbols();
    static const size_t rows[] = {0, 1, 2, 3, 8, 17, 37, 64, 128};
    static const size_t columns[] = {0, 1, 2, 3, 7, 8, 9, 16, 31, 37, 64, 65, 96, 100, 128, 130, 256};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
            for (int kind = 0; kind < KINDS; kind++)
                for (int gap = 0; gap < 2; gap++) {
                    const Shape s = {rows[r], columns[c], columns[c] + (size_t)gap * 5, kind};
                    transforms(&s);
                    quantisers(&s);
                    dead_zones(&s);
                    predictors(&s);
                }
    for (size_t c = 1; c <= 256; c++) orthonormal(c);
    wide_product();
    static const size_t dimensions[] = {0, 2, 4, 8, 16, 36, 64, 80, 96, 100, 128, 256};
    static const struct { size_t from, tokens; } tokens[] = {{0, 64}, {0, 0}, {64, 0}, {0, 1}, {63, 1}, {1, 1}, {3, 37}, {5, 8},
                                                             {16, 32}, {32, 32}, {0, 63}, {1, 63}, {0, 17}, {8, 16}, {24, 40}, {2, 30}, {0, 48}};
    for (size_t d = 0; d < sizeof dimensions / sizeof *dimensions; d++)
        for (size_t t = 0; t < sizeof tokens / sizeof *tokens; t++)
            for (int kind = 0; kind < KINDS; kind++) panels(dimensions[d], tokens[t].from, tokens[t].tokens, kind);
    for (size_t n = 0; n < 600; n++) codes(n);
    for (size_t n = 1000; n < 9000; n += 777) codes(n);
    printf("kv on instruction set %d: %d differences\n", (int)isa, failures);
    return failures > 0;
}
