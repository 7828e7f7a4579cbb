// AVX-512 with vdpbf16ps: products of bf16 pairs, two to an instruction lane, k pairs ascending. Products in f32 are those of
// avx512.c.
#include "planes3.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang fp contract(off)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16"))), apply_to = function)

#include "avx512_lanes.h"

#define DOT_PRODUCT
typedef __m512bh D;     // sixteen bf16 pairs

INLINE D d_load(const uint16_t *p) { return (D)_mm512_loadu_si512(p); }
// The pair at p in every lane.
INLINE D d_all(const uint16_t *p) {
    int pair;
    memcpy(&pair, p, 4);
    return (D)_mm512_set1_epi32(pair);
}
INLINE V v_dot(D x, D y, V sum) { return _mm512_dpbf16_ps(sum, x, y); }

#define NARROW_OPERANDS
// Operands need not keep denormals (the instruction and the products flush them), so the hardware's rounding serves.
INLINE void v_store_narrow(uint16_t *p, V x, size_t n) {
    __m256i narrow = (__m256i)_mm512_cvtneps_pbh(x);
    if (n == 16) _mm256_storeu_si256((__m256i *)p, narrow);
    else _mm256_mask_storeu_epi16(p, first_lanes(n), narrow);
}

#define BLOCK_COLUMNS 96            // f32: 24 KB, half of the first-level cache
#define MANY_COLUMNS BLOCK_COLUMNS
#define DOT_COLUMNS 576             // bf16: 72 KB of panel in the second-level cache; 37 to 74 KB are equally fast
#define BLOCK_ROWS 252

#define UNITS_AT(rows) 4
#define TALLEST(units) 6
#define MOST_ROWS 6

#include "multiply_body.h"
#include "rows_body.h"
#include "attention_body.h"
#include "probe_body.h"

const ck_table ck_avx512bf16_table = SIMD_TABLE;

#pragma clang attribute pop
#endif
