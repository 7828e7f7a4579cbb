// Registers of eight floats or words; included by the KV kernels' AVX2 files inside their target regions.

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

INLINE __m256i load_32(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
INLINE void store_32(void *p, __m256i x) { _mm256_storeu_si256((__m256i *)p, x); }
INLINE __m128i load_16(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
INLINE void store_16(void *p, __m128i x) { _mm_storeu_si128((__m128i *)p, x); }
INLINE __m256 as_float(__m256i x) { return _mm256_castsi256_ps(x); }
INLINE __m256i as_bits(__m256 x) { return _mm256_castps_si256(x); }
INLINE __m256i words(uint32_t x) { return _mm256_set1_epi32((int)x); }
INLINE __m256i all_bytes(int x) { return _mm256_set1_epi8((char)x); }

// Words of bf16 pairs as floats: their first, their second elements.
INLINE __m256 first_of(__m256i pairs) { return as_float(_mm256_slli_epi32(pairs, 16)); }
INLINE __m256 second_of(__m256i pairs) { return as_float(_mm256_and_si256(pairs, words(0xffff0000))); }

// Rounded to bf16 in the upper halves; the lower halves are undefined.
INLINE __m256i round_bf16(__m256 x) {
    const __m256i u = as_bits(x), odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), words(1));
    const __m256i rounded = _mm256_add_epi32(u, _mm256_add_epi32(odd, words(0x7fff)));
    return as_bits(_mm256_blendv_ps(as_float(rounded), as_float(_mm256_or_si256(u, words(0x400000))), _mm256_cmp_ps(x, x, _CMP_UNORD_Q)));
}
INLINE __m256i pairs_of(__m256 x, __m256 y) {
    return _mm256_blend_epi16(_mm256_srli_epi32(round_bf16(x), 16), round_bf16(y), 0xaa);
}

// Eight rows of eight words -> within each half: x[i] gets column i of rows 0..3 and column i + 4 of rows 0..3, x[i + 4] the same of rows
// 4..7. Without the last step across halves, for those who store halves.
INLINE void transpose_halves(__m256i x[8]) {
    __m256i y[8];
    UNROLL for (size_t i = 0; i < 8; i += 2) {
        y[i] = _mm256_unpacklo_epi32(x[i], x[i + 1]);
        y[i + 1] = _mm256_unpackhi_epi32(x[i], x[i + 1]);
    }
    UNROLL for (size_t i = 0; i < 8; i += 4)
        UNROLL for (size_t j = 0; j < 2; j++) {
            x[i + 2 * j] = _mm256_unpacklo_epi64(y[i + j], y[i + 2 + j]);
            x[i + 2 * j + 1] = _mm256_unpackhi_epi64(y[i + j], y[i + 2 + j]);
        }
}

// Rows become columns.
INLINE void transpose_words(__m256i x[8]) {
    transpose_halves(x);
    UNROLL for (size_t i = 0; i < 4; i++) {
        const __m256i low = x[i], high = x[i + 4];
        x[i] = _mm256_permute2x128_si256(low, high, 0x20);
        x[i + 4] = _mm256_permute2x128_si256(low, high, 0x31);
    }
}
