// The public functions of the KV kernels but for rANS: argument checks, the choice of an instruction set.
#include "kv.h"
#include "chunk.h"

#if defined(__x86_64__)
#define CHOICE(kind, highest)                                                                                                              \
    static const ck_kv_##kind *kind##_on(ck_isa isa) {                                                                                     \
        switch (ck_codec_level(isa)) {                                                                                                     \
        case CK_SCALAR: return &ck_kv_##kind##_scalar;                                                                                     \
        case CK_AVX2: return &ck_kv_##kind##_avx2;                                                                                         \
        default: return &ck_kv_##kind##_##highest;                                                                                         \
        }                                                                                                                                  \
    }
#else
#define CHOICE(kind, highest)                                                                                                              \
    static const ck_kv_##kind *kind##_on(ck_isa isa) {                                                                                     \
        (void)isa;                                                                                                                         \
        return &ck_kv_##kind##_scalar;                                                                                                     \
    }
#endif
CHOICE(planes, avx512)
CHOICE(transforms, avx512)
CHOICE(quantisers, avx512)
CHOICE(codes, avx2)

// ---- Planes -----------------------------------------------------------------------------------------------------------------

#define in_page(first, tokens) ((tokens) <= CK_PANEL && (first) <= CK_PANEL - (tokens))
#define is_plane(stride, rows, columns) ((columns) <= (stride) || (rows) <= 1)

void ck_kv_load(ck_isa isa, ck_side side, const uint16_t *panel, size_t first, size_t tokens, size_t dimension, bool transposed,
                float *plane, size_t stride) {
    assert(in_page(first, tokens) && dimension % 2 == 0);
    assert(transposed ? is_plane(stride, dimension, tokens) : is_plane(stride, tokens, dimension));
    planes_on(isa)->load(side, panel, first, tokens, dimension, transposed, plane, stride);
}

void ck_kv_store(ck_isa isa, ck_side side, const float *plane, size_t stride, bool transposed, size_t first, size_t tokens,
                 size_t dimension, uint16_t *panel) {
    assert(in_page(first, tokens) && dimension % 2 == 0);
    assert(transposed ? is_plane(stride, dimension, tokens) : is_plane(stride, tokens, dimension));
    planes_on(isa)->store(side, plane, stride, transposed, first, tokens, dimension, panel);
}

void ck_kv_unpack(ck_isa isa, ck_side side, const uint16_t *panel, size_t first, size_t tokens, size_t dimension, uint16_t *out,
                  size_t out_stride) {
    assert(in_page(first, tokens) && dimension % 2 == 0 && is_plane(out_stride, dimension, tokens));
    planes_on(isa)->unpack(side, panel, first, tokens, dimension, out, out_stride);
}

void ck_kv_pack(ck_isa isa, ck_side side, const uint16_t *in, size_t in_stride, size_t first, size_t tokens, size_t dimension,
                uint16_t *panel) {
    assert(in_page(first, tokens) && dimension % 2 == 0 && is_plane(in_stride, dimension, tokens));
    planes_on(isa)->pack(side, in, in_stride, first, tokens, dimension, panel);
}

void ck_kv_transpose(ck_isa isa, const float *in, size_t in_stride, size_t rows, size_t columns, float *out, size_t out_stride) {
    assert(is_plane(in_stride, rows, columns) && is_plane(out_stride, columns, rows));
    planes_on(isa)->transpose(in, in_stride, rows, columns, out, out_stride);
}

void ck_kv_transpose_symbols(ck_isa isa, const uint8_t *in, size_t rows, size_t columns, uint8_t *out) {
    planes_on(isa)->transpose_symbols(in, rows, columns, out);
}

// ---- Transforms and ranges --------------------------------------------------------------------------------------------------

void ck_kv_hadamard(ck_isa isa, float *plane, size_t stride, size_t rows, size_t columns, const uint32_t *signs, bool inverse) {
    assert(is_plane(stride, rows, columns));
    transforms_on(isa)->hadamard(plane, stride, rows, columns, signs, inverse);
}

void ck_kv_affine_columns(ck_isa isa, float *plane, size_t stride, size_t rows, size_t columns, const float *factor, const float *term) {
    assert(is_plane(stride, rows, columns));
    transforms_on(isa)->affine_columns(plane, stride, rows, columns, factor, term);
}

void ck_kv_affine_rows(ck_isa isa, float *plane, size_t stride, size_t rows, size_t columns, const float *factor, const float *term) {
    assert(is_plane(stride, rows, columns));
    transforms_on(isa)->affine_rows(plane, stride, rows, columns, factor, term);
}

void ck_kv_product(ck_isa isa, const float *in, size_t in_stride, size_t rows, size_t inner, const float *matrix, size_t columns,
                   float *out, size_t out_stride) {
    assert(is_plane(in_stride, rows, inner) && is_plane(out_stride, rows, columns));
    transforms_on(isa)->product(in, in_stride, rows, inner, matrix, columns, out, out_stride);
}

void ck_kv_range_rows(ck_isa isa, const float *plane, size_t stride, size_t rows, size_t columns, float *least, float *greatest) {
    assert(is_plane(stride, rows, columns));
    transforms_on(isa)->range_rows(plane, stride, rows, columns, least, greatest);
}

void ck_kv_range_columns(ck_isa isa, const float *plane, size_t stride, size_t rows, size_t columns, float *least, float *greatest) {
    assert(is_plane(stride, rows, columns));
    transforms_on(isa)->range_columns(plane, stride, rows, columns, least, greatest);
}

void ck_kv_energy_rows(ck_isa isa, const float *plane, size_t stride, size_t rows, size_t columns, float *energy) {
    assert(is_plane(stride, rows, columns));
    transforms_on(isa)->energy_rows(plane, stride, rows, columns, energy);
}

// ---- Quantisers -------------------------------------------------------------------------------------------------------------

void ck_kv_quantise_rows(ck_isa isa, const float *plane, size_t stride, size_t rows, size_t columns, const float *factor,
                         const float *bias, unsigned top, uint8_t *symbols) {
    assert(is_plane(stride, rows, columns) && top <= 255);
    quantisers_on(isa)->quantise_rows(plane, stride, rows, columns, factor, bias, top, symbols);
}

void ck_kv_quantise_columns(ck_isa isa, const float *plane, size_t stride, size_t rows, size_t columns, const float *factor,
                            const float *bias, unsigned top, uint8_t *symbols) {
    assert(is_plane(stride, rows, columns) && top <= 255);
    quantisers_on(isa)->quantise_columns(plane, stride, rows, columns, factor, bias, top, symbols);
}

void ck_kv_dequantise_rows(ck_isa isa, const uint8_t *symbols, size_t rows, size_t columns, const float *step, const float *offset,
                           float *plane, size_t stride) {
    assert(is_plane(stride, rows, columns));
    quantisers_on(isa)->dequantise_rows(symbols, rows, columns, step, offset, plane, stride);
}

void ck_kv_dequantise_columns(ck_isa isa, const uint8_t *symbols, size_t rows, size_t columns, const float *step, const float *offset,
                              float *plane, size_t stride) {
    assert(is_plane(stride, rows, columns));
    quantisers_on(isa)->dequantise_columns(symbols, rows, columns, step, offset, plane, stride);
}

size_t ck_kv_deadzone(ck_isa isa, const float *plane, size_t stride, size_t rows, size_t columns, const float *factor, float rounding,
                      uint8_t *symbols, int16_t *wide) {
    assert(is_plane(stride, rows, columns) && rounding >= 0 && rounding <= 0.5f);
    return quantisers_on(isa)->deadzone(plane, stride, rows, columns, factor, rounding, symbols, wide);
}

bool ck_kv_undeadzone(ck_isa isa, const uint8_t *symbols, size_t rows, size_t columns, const float *step, float pull, const int16_t *wide,
                      size_t count, float *plane, size_t stride) {
    assert(is_plane(stride, rows, columns) && pull >= 0 && pull <= 0.5f);
    return quantisers_on(isa)->undeadzone(symbols, rows, columns, step, pull, wide, count, plane, stride);
}

void ck_kv_codebook(ck_isa isa, const float *plane, size_t stride, size_t rows, size_t columns, const float *factor,
                    const float *thresholds, size_t count, uint8_t *symbols) {
    assert(is_plane(stride, rows, columns) && count <= 255);
    quantisers_on(isa)->codebook(plane, stride, rows, columns, factor, thresholds, count, symbols);
}

void ck_kv_look_up(ck_isa isa, const uint8_t *symbols, size_t rows, size_t columns, const float levels[256], const float *step,
                    float *plane, size_t stride) {
    assert(is_plane(stride, rows, columns));
    quantisers_on(isa)->look_up(symbols, rows, columns, levels, step, plane, stride);
}

void ck_kv_to_fp8(ck_isa isa, const float *plane, size_t stride, size_t rows, size_t columns, const float *row, const float *column,
                  uint8_t *symbols) {
    assert(is_plane(stride, rows, columns));
    quantisers_on(isa)->to_fp8(plane, stride, rows, columns, row, column, symbols);
}

void ck_kv_from_fp8(ck_isa isa, const uint8_t *symbols, size_t rows, size_t columns, const float *row, const float *column, float *plane,
                    size_t stride) {
    assert(is_plane(stride, rows, columns));
    quantisers_on(isa)->from_fp8(symbols, rows, columns, row, column, plane, stride);
}

size_t ck_kv_predict(ck_isa isa, const float *plane, size_t stride, size_t rows, size_t columns, float bound, uint8_t *symbols,
                     uint16_t *exact) {
    assert(is_plane(stride, rows, columns));
    return quantisers_on(isa)->predict(plane, stride, rows, columns, bound, symbols, exact);
}

bool ck_kv_unpredict(ck_isa isa, const uint8_t *symbols, size_t rows, size_t columns, float bound, const uint16_t *exact, size_t count,
                     float *plane, size_t stride) {
    assert(is_plane(stride, rows, columns));
    return quantisers_on(isa)->unpredict(symbols, rows, columns, bound, exact, count, plane, stride);
}

// ---- Fixed-length codes and counts --------------------------------------------------------------------------------------------

size_t ck_kv_packed_bytes(size_t count, unsigned bits) { return kv_line(count) * bits; }

void ck_kv_pack_bits(ck_isa isa, const uint8_t *symbols, size_t count, unsigned bits, uint8_t *out) {
    assert(bits >= 1 && bits <= 8);
    codes_on(isa)->pack_bits(symbols, count, bits, out);
}

void ck_kv_unpack_bits(ck_isa isa, const uint8_t *in, size_t count, unsigned bits, uint8_t *symbols) {
    assert(bits >= 1 && bits <= 8);
    codes_on(isa)->unpack_bits(in, count, bits, symbols);
}

void ck_kv_count(ck_isa isa, const uint8_t *symbols, size_t count, uint32_t counts[256]) { codes_on(isa)->count(symbols, count, counts); }
