// Int8 with AVX-512 BW: the products of magnitudes with signed weights, added in pairs (127 * 127 * 2 fits int16), then in fours.
#include "kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang fp contract(off)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)

#include "avx512_lanes.h"
#include "int8_avx512_lanes.h"

typedef __m512i B;
typedef struct { __m512i magnitude; __mmask64 negative; } X;

INLINE B b_load(const char *p) { return _mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi8((char)0x80)); }
INLINE B b_ones(void) { return _mm512_set1_epi8(1); }
INLINE B b_anew(B b) {
    __asm__ volatile("" : "+v"(b));
    return b;
}
INLINE X x_load(const char *p) {
    __m512i four = four_values(p);
    return (X){_mm512_abs_epi8(four), _mm512_movepi8_mask(four)};
}
INLINE I i_start(int32_t offset) {
    (void)offset;
    return _mm512_setzero_si512();
}
INLINE I i_dot(I sum, X x, B b) {
    __m512i turned = _mm512_mask_sub_epi8(b, x.negative, _mm512_setzero_si512(), b);
    __m512i pairs = _mm512_maddubs_epi16(x.magnitude, turned);
    return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
}

#define TILE_UNITS(rows) 4
#define ROW_TILE 4                  // 16 sums, 4 weights, an operand and two constants
#define GROUP_TILE 2
#define MANY_ROWS 24
#define BLOCK_ROWS 126
#define MANY_QUADS 96
#define FEW_QUADS 32
#define AHEAD_QUADS 16              // 4 KB

#include "int8_body.h"

const ck_int8_table ck_int8_avx512 = {operand, multiply, probe_arithmetic};

#pragma clang attribute pop
#endif
