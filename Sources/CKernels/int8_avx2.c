// Int8 with AVX2: the products of magnitudes with signed weights, added in pairs (127 * 127 * 2 fits int16), then in fours.
#include "kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang fp contract(off)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#include "avx2_lanes.h"

typedef struct { __m256i a, b; } I;
typedef I B;
typedef struct { __m256i four, magnitude; } X;

INLINE I i_load(const int32_t *p) { return (I){_mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)p + 1)}; }
INLINE void i_store(int32_t *p, I x) {
    _mm256_storeu_si256((__m256i *)p, x.a);
    _mm256_storeu_si256((__m256i *)p + 1, x.b);
}
INLINE I i_add(I x, I y) { return (I){_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
INLINE V i_float(I x) { return EACH(_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)); }
INLINE I i_round(V x) { return (I){_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)}; }
INLINE void i_store_bytes(int8_t *p, I x) {
    __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(x.a, x.b), 0xd8);
    _mm_storeu_si128((__m128i *)p, _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}
INLINE int32_t i_sum(I x) {
    __m256i y = _mm256_add_epi32(x.a, x.b);
    __m128i z = _mm_add_epi32(_mm256_castsi256_si128(y), _mm256_extracti128_si256(y, 1));
    z = _mm_add_epi32(z, _mm_shuffle_epi32(z, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(z, _mm_shuffle_epi32(z, 0xb1)));
}
INLINE V v_abs(V x) {
    __m256 sign = _mm256_set1_ps(-0.0f);
    return EACH(_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b));
}

INLINE B b_load(const char *p) {
    __m256i top = _mm256_set1_epi8((char)0x80);
    I stored = i_load((const int32_t *)p);
    return (B){_mm256_xor_si256(stored.a, top), _mm256_xor_si256(stored.b, top)};
}
INLINE B b_ones(void) { return (B){_mm256_set1_epi8(1), _mm256_set1_epi8(1)}; }
INLINE B b_anew(B b) {
    __asm__ volatile("" : "+x"(b.a), "+x"(b.b));
    return b;
}
INLINE X x_load(const char *p) {
    int32_t four;
    memcpy(&four, p, 4);
    __m256i all = _mm256_set1_epi32(four);
    return (X){all, _mm256_abs_epi8(all)};
}
INLINE I i_start(int32_t offset) {
    (void)offset;
    return (I){_mm256_setzero_si256(), _mm256_setzero_si256()};
}
INLINE __m256i dot_8(__m256i sum, X x, __m256i b) {
    __m256i pairs = _mm256_maddubs_epi16(x.magnitude, _mm256_sign_epi8(b, x.four));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
INLINE I i_dot(I sum, X x, B b) { return (I){dot_8(sum.a, x, b.a), dot_8(sum.b, x, b.b)}; }

#define TILE_UNITS(rows) ((rows) == 1 ? 4 : (rows) == 2 ? 2 : 1)
#define ROW_TILE 4                  // 8 sums, 2 weights, an operand and its magnitude, a constant
#define GROUP_TILE 2
#define MANY_ROWS 24
#define BLOCK_ROWS 126
#define MANY_QUADS 96
#define FEW_QUADS 32
#define AHEAD_QUADS 16              // 4 KB
#define CHAINS 4                    // of the arithmetic probe, two registers each

#include "int8_body.h"

const ck_int8_table ck_int8_avx2 = {operand, multiply, probe_arithmetic};

#pragma clang attribute pop
#endif
