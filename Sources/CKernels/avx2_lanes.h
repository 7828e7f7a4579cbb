// Sixteen lanes in two AVX2 registers (AVX2, FMA, F16C); included by avx2.c and int8_avx2.c inside their target regions.

#define INLINE static inline __attribute__((always_inline))

typedef struct { __m256 a, b; } V;      // lanes 0-7, 8-15

#define EACH(expression_a, expression_b) ((V){expression_a, expression_b})

INLINE V v_zero(void) { return EACH(_mm256_setzero_ps(), _mm256_setzero_ps()); }
INLINE V v_all(float x) { return EACH(_mm256_set1_ps(x), _mm256_set1_ps(x)); }
INLINE V v_load(const float *p) { return EACH(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)); }
INLINE void v_store(float *p, V x) { _mm256_storeu_ps(p, x.a); _mm256_storeu_ps(p + 8, x.b); }
INLINE V v_add(V x, V y) { return EACH(_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)); }
INLINE V v_sub(V x, V y) { return EACH(_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)); }
INLINE V v_mul(V x, V y) { return EACH(_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)); }
INLINE V v_div(V x, V y) { return EACH(_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)); }
INLINE V v_fma(V x, V y, V z) { return EACH(_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)); }
INLINE V v_fms(V x, V y, V z) { return EACH(_mm256_fmsub_ps(x.a, y.a, z.a), _mm256_fmsub_ps(x.b, y.b, z.b)); }

// The greater; y where x is NaN.
INLINE V v_max(V x, V y) { return EACH(_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)); }

INLINE __m256i below_8(size_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
INLINE size_t upper(size_t n) { return n > 8 ? n - 8 : 0; }

// The first n <= 16 lanes; the others are zero, or not stored.
INLINE V v_load_n(const float *p, size_t n) {
    if (n == 16) return v_load(p);
    return EACH(_mm256_maskload_ps(p, below_8(n)), _mm256_maskload_ps(p + 8, below_8(upper(n))));
}
INLINE void v_store_n(float *p, V x, size_t n) {
    if (n == 16) { v_store(p, x); return; }
    _mm256_maskstore_ps(p, below_8(n), x.a);
    _mm256_maskstore_ps(p + 8, below_8(upper(n)), x.b);
}
// Lanes n.. become those of `other`.
INLINE V v_keep_n(V x, size_t n, V other) {
    return EACH(_mm256_blendv_ps(other.a, x.a, _mm256_castsi256_ps(below_8(n))),
                _mm256_blendv_ps(other.b, x.b, _mm256_castsi256_ps(below_8(upper(n)))));
}

INLINE float sum_8(__m256 x) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
INLINE float v_sum(V x) { return sum_8(_mm256_add_ps(x.a, x.b)); }
INLINE float v_greatest(V x) {
    __m256 m = _mm256_max_ps(x.a, x.b);
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(m), _mm256_extractf128_ps(m, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
INLINE float v_first(V x) { return _mm256_cvtss_f32(x.a); }
// Bit j: lane j of x equals y.
INLINE uint32_t v_equal(V x, float y) {
    __m256 all = _mm256_set1_ps(y);
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(x.a, all, _CMP_EQ_OQ)) |
           (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(x.b, all, _CMP_EQ_OQ)) << 8;
}

// Bit j: lane j of x is NaN.
INLINE uint32_t v_nan(V x) {
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(x.a, x.a, _CMP_UNORD_Q)) |
           (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(x.b, x.b, _CMP_UNORD_Q)) << 8;
}
// Zero where x < y.
INLINE V v_zero_below(V x, V y) {
    return EACH(_mm256_and_ps(x.a, _mm256_cmp_ps(x.a, y.a, _CMP_NLT_UQ)), _mm256_and_ps(x.b, _mm256_cmp_ps(x.b, y.b, _CMP_NLT_UQ)));
}

// 2^n of x as in the scalar twin: x + CK_ROUND holds n in its low bits.
INLINE __m256 exp2_8(__m256 x) {
    __m256 alive = _mm256_cmp_ps(x, _mm256_set1_ps(CK_EXP_MIN), _CMP_NLT_UQ);
    x = _mm256_min_ps(_mm256_set1_ps(CK_EXP_MAX), x);
    __m256 shifted = _mm256_add_ps(x, _mm256_set1_ps(CK_ROUND));
    __m256 f = _mm256_sub_ps(x, _mm256_sub_ps(shifted, _mm256_set1_ps(CK_ROUND)));
    __m256 p = _mm256_fmadd_ps(_mm256_set1_ps(CK_EXP_6), f, _mm256_set1_ps(CK_EXP_5));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(CK_EXP_4));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(CK_EXP_3));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(CK_EXP_2));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(CK_EXP_1));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(1.0f));
    __m256i scaled = _mm256_add_epi32(_mm256_castps_si256(p), _mm256_slli_epi32(_mm256_castps_si256(shifted), 23));
    return _mm256_and_ps(_mm256_castsi256_ps(scaled), alive);
}
INLINE V v_exp2(V x) { return EACH(exp2_8(x.a), exp2_8(x.b)); }

// 2^x for x <= 0 with the shorter polynomial.
INLINE __m256 weight_8(__m256 x) {
    __m256 alive = _mm256_cmp_ps(x, _mm256_set1_ps(CK_EXP_MIN), _CMP_NLT_UQ);
    __m256 shifted = _mm256_add_ps(x, _mm256_set1_ps(CK_ROUND));
    __m256 f = _mm256_sub_ps(x, _mm256_sub_ps(shifted, _mm256_set1_ps(CK_ROUND)));
    __m256 p = _mm256_fmadd_ps(_mm256_set1_ps(CK_WEIGHT_4), f, _mm256_set1_ps(CK_WEIGHT_3));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(CK_WEIGHT_2));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(CK_WEIGHT_1));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(1.0f));
    __m256i scaled = _mm256_add_epi32(_mm256_castps_si256(p), _mm256_slli_epi32(_mm256_castps_si256(shifted), 23));
    return _mm256_and_ps(_mm256_castsi256_ps(scaled), alive);
}
INLINE V v_weight(V x) { return EACH(weight_8(x.a), weight_8(x.b)); }

// Rounded to bf16 in the upper halves; the lower halves are undefined.
INLINE __m256i bf16_8(__m256 x) {
    __m256i u = _mm256_castps_si256(x);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    __m256i quiet = _mm256_or_si256(u, _mm256_set1_epi32(0x400000));
    __m256 nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
    return _mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(rounded), _mm256_castsi256_ps(quiet), nan));
}
INLINE __m256 upper_halves(__m256i u) { return _mm256_castsi256_ps(_mm256_and_si256(u, _mm256_set1_epi32((int)0xffff0000))); }
INLINE V v_round_bf16(V x) { return EACH(upper_halves(bf16_8(x.a)), upper_halves(bf16_8(x.b))); }
INLINE void v_store_bf16(uint16_t *p, V x) {
    __m256i low = _mm256_srli_epi32(bf16_8(x.a), 16), high = _mm256_srli_epi32(bf16_8(x.b), 16);
    // packus works within 128-bit halves: put the four quarters in order.
    _mm256_storeu_si256((__m256i *)p, _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), 0xd8));
}
// out[j] = bf16(x[j]) | bf16(y[j]) << 16: two tokens of a V panel.
INLINE void v_store_pairs(uint16_t *p, V x, V y) {
    __m256i mask = _mm256_set1_epi32((int)0xffff0000);
    __m256i *out = (__m256i *)p;
    _mm256_storeu_si256(out, _mm256_or_si256(_mm256_srli_epi32(bf16_8(x.a), 16), _mm256_and_si256(bf16_8(y.a), mask)));
    _mm256_storeu_si256(out + 1, _mm256_or_si256(_mm256_srli_epi32(bf16_8(x.b), 16), _mm256_and_si256(bf16_8(y.b), mask)));
}
INLINE __m256 widen_8(const uint16_t *p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}
INLINE V v_load_bf16(const uint16_t *p) { return EACH(widen_8(p), widen_8(p + 8)); }
INLINE V v_load_f16(const uint16_t *p) {
    return EACH(_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)), _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 8))));
}
INLINE void v_store_f16(uint16_t *p, V x) {
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(x.a, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128((__m128i *)(p + 8), _mm256_cvtps_ph(x.b, _MM_FROUND_TO_NEAREST_INT));
}

// First and second elements of sixteen bf16 pairs. The first by a shuffle: Intel shifts only where it multiplies. The empty
// assembly hides the mask, or the compiler finds the shift again.
INLINE V v_pair_low(const uint16_t *p) {
    const __m256i *q = (const __m256i *)p;
    __m256i lift = _mm256_setr_epi8(-1, -1, 0, 1, -1, -1, 4, 5, -1, -1, 8, 9, -1, -1, 12, 13,
                                    -1, -1, 0, 1, -1, -1, 4, 5, -1, -1, 8, 9, -1, -1, 12, 13);
    __asm__("" : "+x"(lift));
    return EACH(_mm256_castsi256_ps(_mm256_shuffle_epi8(_mm256_loadu_si256(q), lift)),
                _mm256_castsi256_ps(_mm256_shuffle_epi8(_mm256_loadu_si256(q + 1), lift)));
}
INLINE V v_pair_high(const uint16_t *p) {
    const __m256i *q = (const __m256i *)p;
    return EACH(upper_halves(_mm256_loadu_si256(q)), upper_halves(_mm256_loadu_si256(q + 1)));
}

// Sixteen 32-bit words, folded by exclusive or.
typedef struct { __m256i a, b; } Fold;
INLINE void fold_line(Fold *fold, const void *p) {
    fold->a = _mm256_xor_si256(fold->a, _mm256_loadu_si256(p));
    fold->b = _mm256_xor_si256(fold->b, _mm256_loadu_si256((const __m256i *)p + 1));
}
INLINE uint64_t fold_value(Fold fold) {
    __m256i x = _mm256_xor_si256(fold.a, fold.b);
    return (uint64_t)(_mm256_extract_epi64(x, 0) ^ _mm256_extract_epi64(x, 1) ^ _mm256_extract_epi64(x, 2) ^ _mm256_extract_epi64(x, 3));
}
