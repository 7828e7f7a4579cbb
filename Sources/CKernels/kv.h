// Private: what an instruction set supplies for coding a KV cache, one table for each kind of work. Arguments are those of ckkv.h.
#pragma once

#include "include/ckkv.h"
#include "kernels.h"

typedef struct ck_kv_planes {
    void (*load)(ck_side, const uint16_t *, size_t, size_t, size_t, bool, float *, size_t);
    void (*store)(ck_side, const float *, size_t, bool, size_t, size_t, size_t, uint16_t *);
    void (*unpack)(ck_side, const uint16_t *, size_t, size_t, size_t, uint16_t *, size_t);
    void (*pack)(ck_side, const uint16_t *, size_t, size_t, size_t, size_t, uint16_t *);
    void (*transpose)(const float *, size_t, size_t, size_t, float *, size_t);
    void (*transpose_symbols)(const uint8_t *, size_t, size_t, uint8_t *);
} ck_kv_planes;

typedef struct ck_kv_transforms {
    void (*hadamard)(float *, size_t, size_t, size_t, const uint32_t *, bool);
    void (*affine_columns)(float *, size_t, size_t, size_t, const float *, const float *);
    void (*affine_rows)(float *, size_t, size_t, size_t, const float *, const float *);
    void (*product)(const float *, size_t, size_t, size_t, const float *, size_t, float *, size_t);
    void (*range_rows)(const float *, size_t, size_t, size_t, float *, float *);
    void (*range_columns)(const float *, size_t, size_t, size_t, float *, float *);
    void (*energy_rows)(const float *, size_t, size_t, size_t, float *);
} ck_kv_transforms;

typedef struct ck_kv_quantisers {
    void (*quantise_rows)(const float *, size_t, size_t, size_t, const float *, const float *, unsigned, uint8_t *);
    void (*quantise_columns)(const float *, size_t, size_t, size_t, const float *, const float *, unsigned, uint8_t *);
    void (*dequantise_rows)(const uint8_t *, size_t, size_t, const float *, const float *, float *, size_t);
    void (*dequantise_columns)(const uint8_t *, size_t, size_t, const float *, const float *, float *, size_t);
    size_t (*deadzone)(const float *, size_t, size_t, size_t, const float *, float, uint8_t *, int16_t *);
    bool (*undeadzone)(const uint8_t *, size_t, size_t, const float *, float, const int16_t *, size_t, float *, size_t);
    void (*codebook)(const float *, size_t, size_t, size_t, const float *, const float *, size_t, uint8_t *);
    void (*look_up)(const uint8_t *, size_t, size_t, const float *, const float *, float *, size_t);
    void (*to_fp8)(const float *, size_t, size_t, size_t, const float *, const float *, uint8_t *);
    void (*from_fp8)(const uint8_t *, size_t, size_t, const float *, const float *, float *, size_t);
    size_t (*predict)(const float *, size_t, size_t, size_t, float, uint8_t *, uint16_t *);
    bool (*unpredict)(const uint8_t *, size_t, size_t, float, const uint16_t *, size_t, float *, size_t);
} ck_kv_quantisers;

typedef struct ck_kv_codes {
    void (*pack_bits)(const uint8_t *, size_t, unsigned, uint8_t *);
    void (*unpack_bits)(const uint8_t *, size_t, unsigned, uint8_t *);
    void (*count)(const uint8_t *, size_t, uint32_t *);
} ck_kv_codes;

extern const ck_kv_planes ck_kv_planes_scalar, ck_kv_planes_avx2, ck_kv_planes_avx512;
extern const ck_kv_transforms ck_kv_transforms_scalar, ck_kv_transforms_avx2, ck_kv_transforms_avx512;
extern const ck_kv_quantisers ck_kv_quantisers_scalar, ck_kv_quantisers_avx2, ck_kv_quantisers_avx512;
extern const ck_kv_codes ck_kv_codes_scalar, ck_kv_codes_avx2;

// Where an element of a panel is.
static inline size_t kv_place(ck_side side, size_t token, size_t d, size_t dimension) {
    return side == CK_KEYS ? (d / 2 * CK_PANEL + token) * 2 + d % 2 : (token / 2 * dimension + d) * 2 + token % 2;
}

// 1/sqrt(n) for a power of two.
static inline float kv_root(size_t n) { return (float)(1 / sqrt((double)n)); }

// The greatest power of two that is not greater than n > 0.
static inline size_t kv_power(size_t n) { return (size_t)1 << (63 - __builtin_clzll(n)); }

// The sign bit of a float that is to be turned if bit i of `signs` is set.
static inline uint32_t kv_turn(const uint32_t *signs, size_t i) { return (signs[i / 32] >> i % 32 & 1) << 31; }

// ---- Quantisers -------------------------------------------------------------------------------------------------------------

#define KV_NEAR 7               // a dead zone's |q| that is a symbol, at most
#define KV_FAR 15               // the symbol of others
#define KV_WIDEST 32767.0f
#define KV_STEPS 127            // a predictor's |q|, at most
#define KV_EXACT 255            // the symbol of values that are given

// ---- Fixed-length codes -------------------------------------------------------------------------------------------------------

#define KV_LINE 32                      // bytes of a line of a whole group
#define KV_GROUP (8 * KV_LINE)          // symbols

// Bytes of a line of a last group, of fewer symbols.
static inline size_t kv_line(size_t count) { return (count + 7) / 8; }

// How many bits the next part of a symbol has if `left` are left.
static inline unsigned kv_part(unsigned left) { return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1; }
