// Int8 with AVX-512 VNNI: vpdpbusd multiplies stored weights (unsigned) with operands (signed) and adds four products to a lane.
#include "kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang fp contract(off)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), apply_to = function)

#include "avx512_lanes.h"
#include "int8_avx512_lanes.h"

typedef __m512i B;
typedef __m512i X;

INLINE B b_load(const char *p) { return _mm512_loadu_si512(p); }
INLINE B b_ones(void) { return _mm512_set1_epi8(1); }
INLINE B b_anew(B b) {
    __asm__ volatile("" : "+v"(b));
    return b;
}
INLINE X x_load(const char *p) { return four_values(p); }
INLINE I i_start(int32_t offset) { return _mm512_set1_epi32(offset); }
INLINE I i_dot(I sum, X x, B b) { return _mm512_dpbusd_epi32(sum, b, x); }

#define TILE_UNITS(rows) 4
#define ROW_TILE 6                  // 24 sums, 4 weights, 1 operand
#define GROUP_TILE 3                // 12 sums in int32, 12 in f32
#define MANY_ROWS 33
#define BLOCK_ROWS 126
#define MANY_QUADS 144              // 36 KB of a panel
#define FEW_QUADS 48                // 12 KB
#define AHEAD_QUADS 16              // 4 KB

#include "int8_body.h"

const ck_int8_table ck_int8_avx512vnni = {operand, multiply, probe_arithmetic};

#pragma clang attribute pop
#endif
