// Sixteen lanes in one AVX-512 register (F, BW, DQ, VL); included by avx512.c and avx512bf16.c inside their target regions.

#define INLINE static inline __attribute__((always_inline))

typedef __m512 V;

INLINE V v_zero(void) { return _mm512_setzero_ps(); }
INLINE V v_all(float x) { return _mm512_set1_ps(x); }
INLINE V v_load(const float *p) { return _mm512_loadu_ps(p); }
INLINE void v_store(float *p, V x) { _mm512_storeu_ps(p, x); }
INLINE V v_add(V x, V y) { return _mm512_add_ps(x, y); }
INLINE V v_sub(V x, V y) { return _mm512_sub_ps(x, y); }
INLINE V v_mul(V x, V y) { return _mm512_mul_ps(x, y); }
INLINE V v_div(V x, V y) { return _mm512_div_ps(x, y); }
INLINE V v_fma(V x, V y, V z) { return _mm512_fmadd_ps(x, y, z); }
INLINE V v_fms(V x, V y, V z) { return _mm512_fmsub_ps(x, y, z); }

// The greater; y where x is NaN.
INLINE V v_max(V x, V y) { return _mm512_max_ps(x, y); }

// The first n <= 16 lanes; the others are zero, or not touched.
INLINE __mmask16 first_lanes(size_t n) { return (__mmask16)(0xffffu >> (16 - n)); }
INLINE V v_load_n(const float *p, size_t n) { return n == 16 ? v_load(p) : _mm512_maskz_loadu_ps(first_lanes(n), p); }
INLINE void v_store_n(float *p, V x, size_t n) {
    if (n == 16) v_store(p, x);
    else _mm512_mask_storeu_ps(p, first_lanes(n), x);
}
// Lanes n.. become those of `other`.
INLINE V v_keep_n(V x, size_t n, V other) { return _mm512_mask_blend_ps(first_lanes(n), other, x); }

INLINE float v_first(V x) { return _mm512_cvtss_f32(x); }
// Lanes are added at distance 8, 4, 2, 1, as in the scalar twin.
INLINE float v_sum(V x) {
    __m256 y = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 z = _mm_add_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    z = _mm_add_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_add_ss(z, _mm_movehdup_ps(z)));
}
INLINE float v_greatest(V x) {
    __m256 y = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 z = _mm_max_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    z = _mm_max_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_max_ss(z, _mm_movehdup_ps(z)));
}
// Bit j: lane j of x equals y.
INLINE uint32_t v_equal(V x, float y) { return _mm512_cmp_ps_mask(x, _mm512_set1_ps(y), _CMP_EQ_OQ); }

// Bit j: lane j of x is NaN.
INLINE uint32_t v_nan(V x) { return _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q); }
// Zero where x < y.
INLINE V v_zero_below(V x, V y) { return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, y, _CMP_NLT_UQ), x); }

// As in the scalar twin: x + CK_ROUND holds the whole part in its low bits.
INLINE V v_exp2(V x) {
    __mmask16 alive = _mm512_cmp_ps_mask(x, _mm512_set1_ps(CK_EXP_MIN), _CMP_NLT_UQ);
    x = _mm512_min_ps(_mm512_set1_ps(CK_EXP_MAX), x);
    V shifted = _mm512_add_ps(x, _mm512_set1_ps(CK_ROUND));
    V f = _mm512_sub_ps(x, _mm512_sub_ps(shifted, _mm512_set1_ps(CK_ROUND)));
    V p = _mm512_fmadd_ps(_mm512_set1_ps(CK_EXP_6), f, _mm512_set1_ps(CK_EXP_5));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(CK_EXP_4));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(CK_EXP_3));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(CK_EXP_2));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(CK_EXP_1));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
    __m512i n = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
    return _mm512_castsi512_ps(_mm512_maskz_add_epi32(alive, _mm512_castps_si512(p), n));
}

// 2^x for x <= 0 with the shorter polynomial.
INLINE V v_weight(V x) {
    __mmask16 alive = _mm512_cmp_ps_mask(x, _mm512_set1_ps(CK_EXP_MIN), _CMP_NLT_UQ);
    V shifted = _mm512_add_ps(x, _mm512_set1_ps(CK_ROUND));
    V f = _mm512_sub_ps(x, _mm512_sub_ps(shifted, _mm512_set1_ps(CK_ROUND)));
    V p = _mm512_fmadd_ps(_mm512_set1_ps(CK_WEIGHT_4), f, _mm512_set1_ps(CK_WEIGHT_3));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(CK_WEIGHT_2));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(CK_WEIGHT_1));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
    __m512i n = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
    return _mm512_castsi512_ps(_mm512_maskz_add_epi32(alive, _mm512_castps_si512(p), n));
}

// Rounded to bf16 in the upper halves; the lower halves are undefined.
INLINE __m512i bf16_16(V x) {
    __m512i u = _mm512_castps_si512(x);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    return _mm512_mask_or_epi32(rounded, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), u, _mm512_set1_epi32(0x400000));
}
INLINE V upper_halves(__m512i u) { return _mm512_castsi512_ps(_mm512_and_si512(u, _mm512_set1_epi32((int)0xffff0000))); }
INLINE V v_round_bf16(V x) { return upper_halves(bf16_16(x)); }
INLINE void v_store_bf16(uint16_t *p, V x) {
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(_mm512_srli_epi32(bf16_16(x), 16)));
}
// out[j] = bf16(x[j]) | bf16(y[j]) << 16: two tokens of a V panel.
INLINE void v_store_pairs(uint16_t *p, V x, V y) {
    __m512i high = _mm512_and_si512(bf16_16(y), _mm512_set1_epi32((int)0xffff0000));
    _mm512_storeu_si512(p, _mm512_or_si512(_mm512_srli_epi32(bf16_16(x), 16), high));
}
INLINE V v_load_bf16(const uint16_t *p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16));
}
INLINE V v_load_f16(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
INLINE void v_store_f16(uint16_t *p, V x) { _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT)); }

// First and second elements of sixteen bf16 pairs.
INLINE V v_pair_low(const uint16_t *p) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16)); }
INLINE V v_pair_high(const uint16_t *p) { return upper_halves(_mm512_loadu_si512(p)); }

typedef __m512i Fold;
INLINE void fold_line(Fold *fold, const void *p) { *fold = _mm512_xor_si512(*fold, _mm512_loadu_si512(p)); }
INLINE uint64_t fold_value(Fold fold) {
    uint64_t part[8], all = 0;
    _mm512_storeu_si512(part, fold);
    for (size_t i = 0; i < 8; i++) all ^= part[i];
    return all;
}

// Twenty-four accumulators, four weights and one operand at six rows of 64 columns. (UNITS_AT and TALLEST: the including file.)
#define WIDE_TILES
#define MOST_UNITS 4
#define KEEP_FROM 3                 // two tiles widen twice faster than one stores and the other loads
#define CHAINS 16                   // of the arithmetic probe
#define PROBE_AHEAD 1024
