// The public functions for int8: argument checks, packing, and rows composed of the float kernels and the rounding to operands.
#include "kernels.h"

#pragma clang fp contract(off)

static const ck_int8_table *const tables[] = {
    [CK_SCALAR] = &ck_int8_scalar,
#if defined(__x86_64__)
    [CK_AVX2] = &ck_int8_avx2,
    [CK_AVX512] = &ck_int8_avx512,
    [CK_AVX512VNNI] = &ck_int8_avx512vnni,
    [CK_AVX512BF16] = &ck_int8_avx512vnni,
#endif
};

size_t ck_int8_panel_bytes(ck_int8 form, size_t rows, size_t columns) {
    return (rows + CK_PANEL - 1) / CK_PANEL * ck_int8_one_panel(form, columns);
}

size_t ck_int8_operand_bytes(size_t columns) {
    return CK_INT8_HEAD + ck_round_up(columns, 64) + ck_round_up((columns + CK_INT8_GROUP - 1) / CK_INT8_GROUP * 4, 64);
}

static float element(const uint8_t *row, ck_type type, size_t j) {
    uint16_t bits;
    float value;
    if (type == CK_F32) {
        memcpy(&value, row + j * 4, 4);
        return value;
    }
    memcpy(&bits, row + j * 2, 2);
    return type == CK_BF16 ? ck_bf16_float(bits) : ck_f16_float(bits);
}

// Elements j..end of a row become bytes 4 * CK_PANEL apart in fours, the first at `out`; `narrow` scales are rounded to bf16.
static float pack(const uint8_t *row, ck_type type, size_t j, size_t end, size_t padded_end, bool narrow, uint8_t *out) {
    float greatest = 0, scale;
    bool finite = true;
    for (size_t i = j; i < end; i++) {
        float magnitude = fabsf(element(row, type, i));
        finite = finite && magnitude <= __FLT_MAX__;
        greatest = magnitude > greatest ? magnitude : greatest;
    }
    ck_int8_scale(greatest, finite, &scale);
    if (narrow) scale = ck_round_bf16(scale);
    for (size_t i = j; i < padded_end; i++) {
        float value = i < end && scale > 0 ? rintf(element(row, type, i) / scale) : 0;
        value = value > 127 ? 127 : value < -127 ? -127 : value;
        out[(i - j) / 4 * CK_PANEL * 4 + (i - j) % 4] = (uint8_t)((int)value + 128);
    }
    return scale;
}

void ck_int8_pack_rows(ck_int8 form, const void *source, ck_type source_type, size_t source_stride, size_t rows, size_t columns,
                       void *panels, size_t first) {
    assert(columns <= source_stride && columns > 0 && columns <= CK_INT8_COLUMNS);
    for (size_t i = 0; i < rows; i++) {
        const uint8_t *row = (const uint8_t *)source + i * source_stride * ck_size(source_type);
        uint8_t *panel = (uint8_t *)panels + (first + i) / CK_PANEL * ck_int8_one_panel(form, columns);
        const size_t within = (first + i) % CK_PANEL;
        if (form == CK_INT8_ROW) {
            uint8_t *out = panel + CK_PANEL * sizeof(float) + within * 4;
            float scale = pack(row, source_type, 0, columns, ck_round_up(columns, 4), false, out);
            memcpy(panel + within * sizeof(float), &scale, sizeof(float));
            continue;
        }
        for (size_t j = 0; j < columns; j += CK_INT8_GROUP, panel += CK_INT8_GROUP_BYTES) {
            size_t end = columns - j < CK_INT8_GROUP ? columns : j + CK_INT8_GROUP;
            float scale = pack(row, source_type, j, end, j + CK_INT8_GROUP, true, panel + CK_PANEL * 2 + within * 4);
            uint16_t narrow = ck_float_bf16(scale);
            memcpy(panel + within * 2, &narrow, 2);
        }
    }
}

void ck_int8_unpack_row(ck_int8 form, const void *panels, size_t columns, size_t row, float *out) {
    const uint8_t *panel = (const uint8_t *)panels + row / CK_PANEL * ck_int8_one_panel(form, columns);
    const size_t within = row % CK_PANEL, group = form == CK_INT8_GROUPS ? CK_INT8_GROUP : columns;
    for (size_t j = 0; j < columns; j += group, panel += CK_INT8_GROUP_BYTES) {
        float scale;
        if (form == CK_INT8_GROUPS) scale = ck_bf16_float(((const uint16_t *)panel)[within]);
        else scale = ((const float *)panel)[within];
        const uint8_t *weights = panel + CK_PANEL * (form == CK_INT8_GROUPS ? 2 : sizeof(float)) + within * 4;
        for (size_t i = j; i < columns && i < j + group; i++)
            out[i] = (float)(weights[(i - j) / 4 * CK_PANEL * 4 + (i - j) % 4] - 128) * scale;
    }
}

static const void *picked(const void *x, size_t stride, const int32_t *pick, size_t i) {
    return (const char *)x + (pick ? (size_t)pick[i] : i) * stride;
}

void ck_int8_operand(ck_isa isa, ck_type x_type, const void *x, size_t x_stride, const int32_t *pick, size_t rows, size_t columns,
                     void *out, size_t out_stride) {
    assert((x_type == CK_F32 || x_type == CK_BF16) && columns > 0 && columns <= CK_INT8_COLUMNS);
    assert(ck_int8_operand_bytes(columns) <= out_stride && out_stride % 64 == 0);
    _Alignas(64) float wide[CK_INT8_COLUMNS];
    for (size_t i = 0; i < rows; i++) {
        const void *row = picked(x, x_stride * ck_size(x_type), pick, i);
        if (x_type == CK_BF16) {
            ck_to_float(isa, row, CK_BF16, columns, wide);
            row = wide;
        }
        tables[isa]->operand(row, columns, (char *)out + i * out_stride);
    }
}

void ck_int8_rms_norm(ck_isa isa, const float *x, size_t x_stride, const int32_t *pick, size_t rows, size_t columns,
                      const float *weight, float epsilon, void *out, size_t out_stride) {
    assert(columns > 0 && columns <= CK_INT8_COLUMNS && ck_int8_operand_bytes(columns) <= out_stride && out_stride % 64 == 0);
    _Alignas(64) float normal[CK_INT8_COLUMNS];
    for (size_t i = 0; i < rows; i++) {
        const float *row = picked(x, x_stride * sizeof(float), pick, i);
        ck_rms_norm(isa, CK_F32, row, columns, NULL, 1, columns, weight, epsilon, normal, columns);
        tables[isa]->operand(normal, columns, (char *)out + i * out_stride);
    }
}

void ck_int8_silu_multiply(ck_isa isa, const float *x, size_t x_stride, size_t rows, size_t columns, void *out, size_t out_stride) {
    assert(columns > 0 && columns <= CK_INT8_COLUMNS && ck_int8_operand_bytes(columns) <= out_stride && out_stride % 64 == 0);
    _Alignas(64) float product[CK_INT8_COLUMNS];
    for (size_t i = 0; i < rows; i++) {
        ck_silu_multiply(isa, CK_F32, x + i * x_stride, 2 * columns, 1, columns, product, columns);
        tables[isa]->operand(product, columns, (char *)out + i * out_stride);
    }
}

void ck_int8_multiply(ck_isa isa, const ck_int8_product *p) {
    assert(p->k > 0 && p->k <= CK_INT8_COLUMNS && ck_int8_operand_bytes(p->k) <= p->a_stride && p->a_stride % 64 == 0);
    assert(p->n0 % CK_COLUMN_UNIT == 0 && p->n0 <= p->n1 && (p->n1 % CK_COLUMN_UNIT == 0 || p->n1 == p->n));
    assert(p->n1 <= p->n && (p->n1 <= p->c_stride || p->m <= 1));
    if (p->m == 0 || p->n0 == p->n1) return;
    tables[isa]->multiply(p);
}

uint64_t ck_int8_probe_arithmetic(ck_isa isa, uint64_t rounds, float *sink) { return tables[isa]->probe_arithmetic(rounds, sink); }
