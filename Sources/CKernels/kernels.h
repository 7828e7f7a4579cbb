// Private: what an instruction set must supply, and the constants that all of them share.
#pragma once

#include <assert.h>
#include <math.h>
#include <string.h>

#include "include/ckernels.h"
#include "include/ckplanes3.h"

struct p3_cursor;

// Twin results are only equal if the compiler fuses nothing on its own.
#pragma clang fp contract(off)

// Decodes `steps` steps of a panel of planes3 to out[steps * 16][64][2], of which it writes the rows of the cursor's parts only, and moves
// the cursor on.
typedef void ck_planes3_decoder(struct p3_cursor *at, size_t steps, uint16_t *out);

typedef struct ck_table {
    void (*multiply)(const ck_product *);
    void (*multiply_planes3)(const ck_planes3_product *, ck_planes3_decoder *);
    void (*operand)(ck_type, const float *, size_t, const int32_t *, size_t, size_t, void *, size_t);
    void (*rms_norm)(ck_type, const float *, size_t, const int32_t *, size_t, size_t, const float *, float, void *, size_t);
    void (*head_norm)(float *, size_t, size_t, size_t, size_t, const float *, float);
    void (*rotate)(float *, size_t, size_t, size_t, size_t, size_t, const float *, const float *, const int32_t *);
    void (*silu_multiply)(ck_type, const float *, size_t, size_t, size_t, void *, size_t);
    void (*to_float)(const void *, ck_type, size_t, float *);
    void (*from_float)(const float *, ck_type, size_t, void *);
    void (*write_kv)(ck_type, const float *, const float *, size_t, size_t, size_t, void *, size_t, const int32_t *, size_t);
    void (*attend_span)(const ck_attention *, size_t, float *);
    void (*join)(size_t, size_t, const float *, float *);
    void (*finish)(const ck_attention *, const float *);
    ck_largest (*find_largest)(const float *, size_t);
    void (*exponentiate)(const float *, size_t, float, float, float, float *, double *);
    uint64_t (*probe_arithmetic)(ck_type, uint64_t, float *);
    uint64_t (*probe_read)(const void *, size_t);
} ck_table;

extern const ck_table ck_scalar_table, ck_avx2_table, ck_avx512_table, ck_avx512bf16_table;
const ck_table *ck_table_of(ck_isa isa);

typedef struct ck_int8_table {
    void (*operand)(const float *, size_t, void *);     // one row
    void (*multiply)(const ck_int8_product *);
    uint64_t (*probe_arithmetic)(uint64_t, float *);
} ck_int8_table;

extern const ck_int8_table ck_int8_scalar, ck_int8_avx2, ck_int8_avx512, ck_int8_avx512vnni;

// 2^f on [-1/2, 1/2] as 1 + f p(f): least maximal relative error, 2.0e-9 before rounding. Exactly 1 at 0, so that a
// rescaling by 2^0 changes nothing.
#define CK_EXP_1 0x1.62e430p-1f
#define CK_EXP_2 0.24022647913556636f
#define CK_EXP_3 0.05550332470343319f
#define CK_EXP_4 0.009618437362585632f
#define CK_EXP_5 0.0013398874661467962f
#define CK_EXP_6 0.00015353361174831257f
#define CK_EXP_MAX 126.0f
#define CK_EXP_MIN -125.0f          // below it 2^x is 0
#define CK_ROUND 12582912.0f        // 1.5 * 2^23: adding it rounds to an integer, found in the low bits
#define CK_LOG2E 1.44269504088896340736

// The same with an error of 2.8e-6, for attention over bf16: its weights 2^(s - m) are rounded to eight bits anyway (an error of 2e-3).
#define CK_WEIGHT_1 0.6931241750717163f
#define CK_WEIGHT_2 0.24024099111557007f
#define CK_WEIGHT_3 0.055906426161527634f
#define CK_WEIGHT_4 0.009582852944731712f
// Rounds weights to bf16 by two multiply-adds: w + 2^16 w keeps eight bits of w. Nearest, ties to even, as the usual way; but within 2^-15
// below a power of two it may take the neighbour below.
#define CK_WEIGHT_SPLIT 65536.0f

// The maximum of no keys. Finite, so that differences of two of them are 0 and not NaN.
#define CK_NOTHING -1e30f

static inline float ck_bf16_float(uint16_t b) {
    uint32_t u = (uint32_t)b << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static inline uint16_t ck_float_bf16(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    if ((u & 0x7fffffff) > 0x7f800000) return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static inline float ck_round_bf16(float f) { return ck_bf16_float(ck_float_bf16(f)); }

static inline float ck_f16_float(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 0x3ff, u;
    if (exponent == 31) {
        u = sign | 0x7f800000 | mantissa << 13 | (mantissa ? 0x400000 : 0);
    } else if (exponent) {
        u = sign | (exponent + 112) << 23 | mantissa << 13;
    } else {
        float f = (float)mantissa * 0x1p-24f;
        memcpy(&u, &f, 4);
        u |= sign;
    }
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static inline uint16_t ck_float_f16(float f) {
    uint32_t u;
    memcpy(&u, &f, 4);
    uint16_t sign = (uint16_t)(u >> 16 & 0x8000);
    u &= 0x7fffffff;
    if (u > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (u >> 13 & 0x1ff));
    if (u >= 0x477ff000) return sign | 0x7c00;         // rounds to 65536 or more
    if (u < 0x38800000) {                              // subnormal: let the addition of 1/2 round at 2^-24
        float a;
        memcpy(&a, &u, 4);
        a += 0.5f;
        memcpy(&u, &a, 4);
        return (uint16_t)(sign | (u - 0x3f000000));
    }
    u += 0xfff + (u >> 13 & 1);
    return (uint16_t)(sign | (u - 0x38000000) >> 13);
}

// The address of the K panel of the page that holds key `position`.
static inline uint8_t *ck_page(const void *kv, size_t page_bytes, const int32_t *pages, size_t position) {
    return (uint8_t *)kv + (size_t)pages[position / CK_PANEL] * page_bytes;
}

static inline size_t ck_size(ck_type type) { return type == CK_F32 ? 4 : 2; }

// ---- Int8 -------------------------------------------------------------------------------------------------------------------

// An operand row begins with this; values begin at byte 64.
typedef struct ck_int8_head {
    float scale;
    int32_t offset;     // -128 * sum of the values: what weights stored + 128 bring too much
} ck_int8_head;

#define CK_INT8_HEAD 64
#define CK_INT8_GROUP_BYTES (CK_PANEL * 2 + CK_PANEL * CK_INT8_GROUP)   // of 64 rows: scales, then weights
#define CK_INT8_LEAST 0x1p-100f

static inline size_t ck_round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

static inline const int32_t *ck_int8_group_offsets(const void *row, size_t columns) {
    return (const int32_t *)((const char *)row + CK_INT8_HEAD + ck_round_up(columns, 64));
}

static inline size_t ck_int8_one_panel(ck_int8 form, size_t columns) {
    if (form == CK_INT8_GROUPS) return (columns + CK_INT8_GROUP - 1) / CK_INT8_GROUP * CK_INT8_GROUP_BYTES;
    return CK_PANEL * sizeof(float) + ck_round_up(columns, 4) * CK_PANEL;
}

// 127 / greatest magnitude, or 0 for a row that has no scale. `scale` becomes what one unit of the row is worth.
static inline float ck_int8_scale(float greatest, bool finite, float *scale) {
    if (!finite || greatest < CK_INT8_LEAST) {
        *scale = finite ? 0 : NAN;
        return 0;
    }
    *scale = greatest / 127.0f;
    return 127.0f / greatest;
}

// log2(e) / sqrt(dimension): scores come out ready for 2^x.
static inline float ck_score_scale(size_t dimension) { return (float)(CK_LOG2E / sqrt((double)dimension)); }
