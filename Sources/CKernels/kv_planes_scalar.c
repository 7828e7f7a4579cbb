// Planes and panels: the specification.
#include "kv.h"

static void load(ck_side side, const uint16_t *panel, size_t first, size_t tokens, size_t dimension, bool transposed, float *plane,
                 size_t stride) {
    for (size_t t = 0; t < tokens; t++)
        for (size_t d = 0; d < dimension; d++)
            plane[transposed ? d * stride + t : t * stride + d] = ck_bf16_float(panel[kv_place(side, first + t, d, dimension)]);
}

static void store(ck_side side, const float *plane, size_t stride, bool transposed, size_t first, size_t tokens, size_t dimension,
                  uint16_t *panel) {
    for (size_t t = 0; t < tokens; t++)
        for (size_t d = 0; d < dimension; d++)
            panel[kv_place(side, first + t, d, dimension)] = ck_float_bf16(plane[transposed ? d * stride + t : t * stride + d]);
}

static void unpack(ck_side side, const uint16_t *panel, size_t first, size_t tokens, size_t dimension, uint16_t *out, size_t out_stride) {
    for (size_t d = 0; d < dimension; d++)
        for (size_t t = 0; t < tokens; t++) out[d * out_stride + t] = panel[kv_place(side, first + t, d, dimension)];
}

static void pack(ck_side side, const uint16_t *in, size_t in_stride, size_t first, size_t tokens, size_t dimension, uint16_t *panel) {
    for (size_t d = 0; d < dimension; d++)
        for (size_t t = 0; t < tokens; t++) panel[kv_place(side, first + t, d, dimension)] = in[d * in_stride + t];
}

static void transpose(const float *in, size_t in_stride, size_t rows, size_t columns, float *out, size_t out_stride) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) out[c * out_stride + r] = in[r * in_stride + c];
}

static void transpose_symbols(const uint8_t *in, size_t rows, size_t columns, uint8_t *out) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) out[c * rows + r] = in[r * columns + c];
}

const ck_kv_planes ck_kv_planes_scalar = {load, store, unpack, pack, transpose, transpose_symbols};
