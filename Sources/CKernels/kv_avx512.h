// Registers of sixteen floats or words; included by the KV kernels' AVX-512 files inside their target regions.

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

INLINE __m512i load_64(const void *p) { return _mm512_loadu_si512(p); }
INLINE void store_64(void *p, __m512i x) { _mm512_storeu_si512(p, x); }
INLINE __m512 as_float(__m512i x) { return _mm512_castsi512_ps(x); }
INLINE __m512i as_bits(__m512 x) { return _mm512_castps_si512(x); }
INLINE __m512i words(uint32_t x) { return _mm512_set1_epi32((int)x); }

// 4 x 16 words of 0..255 -> bytes.
INLINE __m512i bytes_of(const __m512i x[4]) {
    const __m512i bytes = _mm512_packus_epi16(_mm512_packs_epi32(x[0], x[1]), _mm512_packs_epi32(x[2], x[3]));
    return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), bytes);
}
