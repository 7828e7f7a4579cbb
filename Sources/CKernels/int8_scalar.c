// The specification of the int8 kernels.
#include "kernels.h"

#pragma clang fp contract(off)

static void operand(const float *x, size_t columns, void *out) {
    ck_int8_head *head = out;
    int8_t *values = (int8_t *)out + CK_INT8_HEAD;
    float greatest = 0;
    bool finite = true;
    for (size_t j = 0; j < columns; j++) {
        finite = finite && fabsf(x[j]) <= __FLT_MAX__;
        greatest = fabsf(x[j]) > greatest ? fabsf(x[j]) : greatest;
    }
    memset(values, 0, ck_int8_operand_bytes(columns) - CK_INT8_HEAD);
    head->offset = 0;
    float inverse = ck_int8_scale(greatest, finite, &head->scale);
    int32_t *group = (int32_t *)ck_int8_group_offsets(out, columns);
    if (inverse == 0) return;
    for (size_t j = 0; j < columns; j++) {
        values[j] = (int8_t)rintf(x[j] * inverse);
        head->offset -= 128 * values[j];
        group[j / CK_INT8_GROUP] -= 128 * values[j];
    }
}

static int32_t dot(const int8_t *a, const uint8_t *w, size_t columns) {
    int32_t sum = 0;
    for (size_t j = 0; j < columns; j++) sum += a[j] * (w[j / 4 * CK_PANEL * 4 + j % 4] - 128);
    return sum;
}

static void multiply(const ck_int8_product *p) {
    const size_t panel_bytes = ck_int8_one_panel(p->form, p->k);
    for (size_t i = 0; i < p->m; i++)
        for (size_t n = p->n0; n < p->n1; n++) {
            const char *row = (const char *)p->a + i * p->a_stride;
            const int8_t *a = (const int8_t *)row + CK_INT8_HEAD;
            const uint8_t *panel = (const uint8_t *)p->w + n / CK_PANEL * panel_bytes;
            const size_t within = n % CK_PANEL;
            const float scale = ((const ck_int8_head *)row)->scale;
            float *c = p->c + i * p->c_stride + n, start = p->accumulate ? *c : 0;
            if (p->form == CK_INT8_ROW) {
                int32_t sum = dot(a, panel + CK_PANEL * sizeof(float) + within * 4, p->k);
                *c = fmaf((float)sum * scale, ((const float *)panel)[within], start);
                continue;
            }
            float sum = 0;
            for (size_t j = 0; j < p->k; j += CK_INT8_GROUP, panel += CK_INT8_GROUP_BYTES) {
                size_t columns = p->k - j < CK_INT8_GROUP ? p->k - j : CK_INT8_GROUP;
                int32_t part = dot(a + j, panel + CK_PANEL * 2 + within * 4, columns);
                sum = fmaf((float)part, ck_bf16_float(((const uint16_t *)panel)[within]), sum);
            }
            *c = fmaf(sum, scale, start);
        }
}

static uint64_t probe_arithmetic(uint64_t rounds, float *sink) {
    int32_t sum[8] = {0};
    for (uint64_t i = 0; i < rounds; i++)
        for (size_t j = 0; j < 8; j++) sum[j] = sum[j] * 3 + 1;
    for (size_t j = 0; j < 8; j++) *sink += (float)sum[j];
    return rounds * 8 * 2;
}

const ck_int8_table ck_int8_scalar = {operand, multiply, probe_arithmetic};
