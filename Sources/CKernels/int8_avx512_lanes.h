// Sixteen int32 lanes in one AVX-512 register; included after avx512_lanes.h by int8_avx512.c and int8_avx512vnni.c.

typedef __m512i I;

INLINE I i_load(const int32_t *p) { return _mm512_loadu_si512(p); }
INLINE void i_store(int32_t *p, I x) { _mm512_storeu_si512(p, x); }
INLINE I i_add(I x, I y) { return _mm512_add_epi32(x, y); }
INLINE V i_float(I x) { return _mm512_cvtepi32_ps(x); }
INLINE I i_round(V x) { return _mm512_cvtps_epi32(x); }
INLINE void i_store_bytes(int8_t *p, I x) { _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(x)); }
INLINE int32_t i_sum(I x) {
    __m256i y = _mm256_add_epi32(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
    __m128i z = _mm_add_epi32(_mm256_castsi256_si128(y), _mm256_extracti128_si256(y, 1));
    z = _mm_add_epi32(z, _mm_shuffle_epi32(z, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(z, _mm_shuffle_epi32(z, 0xb1)));
}
INLINE V v_abs(V x) { return _mm512_abs_ps(x); }
INLINE I four_values(const char *p) {
    int32_t four;
    memcpy(&four, p, 4);
    return _mm512_set1_epi32(four);
}
