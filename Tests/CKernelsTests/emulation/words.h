// Conversions, gathers, comparisons and moves of words and floats, which SIMDe lacks.
#pragma once

#define BY_HALVES(result, name, argument, expression)                                                                               \
    EMULATED result name(argument v) {                                                                                                     \
        __m256i x[2];                                                                                                                      \
        memcpy(x, &v, 64);                                                                                                                 \
        for (int i = 0; i < 2; i++) x[i] = (__m256i)(expression);                                                                          \
        result y;                                                                                                                          \
        memcpy(&y, x, 64);                                                                                                                 \
        return y;                                                                                                                          \
    }
BY_HALVES(simde__m512i, emulated_cvtps_epi32, simde__m512, _mm256_cvtps_epi32((__m256)x[i]))
BY_HALVES(simde__m512i, emulated_cvttps_epi32, simde__m512, _mm256_cvttps_epi32((__m256)x[i]))
BY_HALVES(simde__m512, emulated_cvtepi32_ps, simde__m512i, _mm256_cvtepi32_ps(x[i]))

EMULATED __m128i emulated_cvtepi32_epi8(simde__m512i v) {
    uint32_t x[16];
    uint8_t y[16];
    memcpy(x, &v, 64);
    for (int i = 0; i < 16; i++) y[i] = (uint8_t)x[i];
    return _mm_loadu_si128((const __m128i *)y);
}
EMULATED simde__m512i emulated_maskz_expand_epi32(uint16_t mask, simde__m512i v) {
    uint32_t x[16], y[16] = {0};
    memcpy(x, &v, 64);
    for (int i = 0, n = 0; i < 16; i++)
        if (mask >> i & 1) y[i] = x[n++];
    return simde_mm512_loadu_si512(y);
}
EMULATED simde__m512i emulated_mask_srli_epi32(simde__m512i other, uint16_t mask, simde__m512i v, unsigned count) {
    uint32_t x[16], y[16];
    memcpy(x, &v, 64);
    memcpy(y, &other, 64);
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1) y[i] = x[i] >> count;
    return simde_mm512_loadu_si512(y);
}
EMULATED simde__m512i emulated_i32gather_epi32(simde__m512i index, const void *p) {
    int32_t x[16];
    memcpy(x, &index, 64);
    for (int i = 0; i < 16; i++) memcpy(x + i, (const char *)p + 4 * (ptrdiff_t)x[i], 4);
    return simde_mm512_loadu_si512(x);
}
EMULATED simde__m512i emulated_i32gather_epi64(__m256i index, const void *p) {
    int32_t x[8];
    int64_t y[8];
    memcpy(x, &index, 32);
    for (int i = 0; i < 8; i++) memcpy(y + i, (const char *)p + 8 * (ptrdiff_t)x[i], 8);
    return simde_mm512_loadu_si512(y);
}
EMULATED uint16_t emulated_cmp_epi32_mask(simde__m512i a, simde__m512i b, int less, int equal, int greater) {
    int32_t x[16], y[16];
    uint16_t mask = 0;
    memcpy(x, &a, 64);
    memcpy(y, &b, 64);
    for (int i = 0; i < 16; i++) mask |= (uint16_t)((x[i] < y[i] ? less : x[i] > y[i] ? greater : equal) << i);
    return mask;
}
// In each quarter: float i is that of place imm >> 2i & 3.
EMULATED simde__m512 emulated_permute_ps(simde__m512 v, int imm) {
    float x[16], y[16];
    memcpy(x, &v, 64);
    for (int i = 0; i < 16; i++) y[i] = x[i / 4 * 4 + (imm >> i % 4 * 2 & 3)];
    return simde_mm512_loadu_ps(y);
}
// Two quarters of a, then two of b.
EMULATED simde__m512 emulated_shuffle_f32x4(simde__m512 a, simde__m512 b, int imm) {
    float x[2][16], y[16];
    memcpy(x[0], &a, 64);
    memcpy(x[1], &b, 64);
    for (int i = 0; i < 4; i++) memcpy(y + 4 * i, x[i / 2] + 4 * (imm >> 2 * i & 3), 16);
    return simde_mm512_loadu_ps(y);
}

#undef _mm512_cvtps_epi32
#undef _mm512_cvttps_epi32
#undef _mm512_cvtepi32_ps
#undef _mm512_cvtepi32_epi8
#undef _mm512_maskz_expand_epi32
#undef _mm512_mask_srli_epi32
#undef _mm512_i32gather_epi32
#undef _mm512_i32gather_ps
#undef _mm512_i32gather_epi64
#undef _mm512_cmplt_epi32_mask
#undef _mm512_cmpge_epi32_mask
#undef _mm512_cmpneq_epi32_mask
#undef _mm512_permute_ps
#undef _mm512_shuffle_f32x4
#define _mm512_cvtps_epi32 emulated_cvtps_epi32
#define _mm512_cvttps_epi32 emulated_cvttps_epi32
#define _mm512_cvtepi32_ps emulated_cvtepi32_ps
#define _mm512_cvtepi32_epi8 emulated_cvtepi32_epi8
#define _mm512_maskz_expand_epi32 emulated_maskz_expand_epi32
#define _mm512_mask_srli_epi32 emulated_mask_srli_epi32
#define _mm512_i32gather_epi32(index, p, scale) emulated_i32gather_epi32(index, p)
#define _mm512_i32gather_epi64(index, p, scale) emulated_i32gather_epi64(index, p)
#define _mm512_i32gather_ps(index, p, scale) simde_mm512_castsi512_ps(emulated_i32gather_epi32(index, p))
#define _mm512_cmplt_epi32_mask(a, b) emulated_cmp_epi32_mask(a, b, 1, 0, 0)
#define _mm512_cmpge_epi32_mask(a, b) emulated_cmp_epi32_mask(a, b, 0, 1, 1)
#define _mm512_cmpneq_epi32_mask(a, b) emulated_cmp_epi32_mask(a, b, 1, 0, 1)
#define _mm512_permute_ps emulated_permute_ps
#define _mm512_shuffle_f32x4 emulated_shuffle_f32x4
