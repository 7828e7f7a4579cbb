// Stands in for the compiler's header: AVX-512 as SIMDe emulates it, and what SIMDe lacks, written out here.
#pragma once
#include_next <immintrin.h>
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/f16c.h>
#include <simde/x86/fma.h>
#include <stdint.h>
#include <string.h>

#define EMULATED static inline __attribute__((always_inline, unused))

EMULATED simde__m512 emulated_maskz_loadu_ps(uint16_t mask, const void *p) {
    float x[16];
    for (int i = 0; i < 16; i++) x[i] = mask >> i & 1 ? ((const float *)p)[i] : 0;
    return simde_mm512_loadu_ps(x);
}
EMULATED void emulated_mask_storeu_ps(void *p, uint16_t mask, simde__m512 v) {
    float x[16];
    simde_mm512_storeu_ps(x, v);
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1) ((float *)p)[i] = x[i];
}
EMULATED void emulated_mask_storeu_epi16(void *p, uint16_t mask, __m256i v) {
    uint16_t x[16];
    memcpy(x, &v, 32);
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1) ((uint16_t *)p)[i] = x[i];
}
EMULATED __m256 emulated_extractf32x8_ps(simde__m512 v, int half) {
    float x[16];
    simde_mm512_storeu_ps(x, v);
    return _mm256_loadu_ps(x + 8 * half);
}
EMULATED __m256i emulated_cvtepi32_epi16(simde__m512i v) {
    uint32_t x[16];
    uint16_t y[16];
    memcpy(x, &v, 64);
    for (int i = 0; i < 16; i++) y[i] = (uint16_t)x[i];
    return _mm256_loadu_si256((const __m256i *)y);
}
EMULATED simde__m512i emulated_cvtepu16_epi32(__m256i v) {
    uint16_t x[16];
    uint32_t y[16];
    memcpy(x, &v, 32);
    for (int i = 0; i < 16; i++) y[i] = x[i];
    return simde_mm512_loadu_si512(y);
}
EMULATED simde__m512 emulated_cvtph_ps(__m256i v) {
    float x[16];
    _mm256_storeu_ps(x, _mm256_cvtph_ps(_mm256_castsi256_si128(v)));
    _mm256_storeu_ps(x + 8, _mm256_cvtph_ps(_mm256_extracti128_si256(v, 1)));
    return simde_mm512_loadu_ps(x);
}
EMULATED __m256i emulated_cvtps_ph(simde__m512 v) {
    float x[16];
    simde_mm512_storeu_ps(x, v);
    return _mm256_set_m128i(_mm256_cvtps_ph(_mm256_loadu_ps(x + 8), 0), _mm256_cvtps_ph(_mm256_loadu_ps(x), 0));
}
EMULATED simde__m512 emulated_min_ps(simde__m512 a, simde__m512 b) {
    float x[16], y[16];
    simde_mm512_storeu_ps(x, a);
    simde_mm512_storeu_ps(y, b);
    for (int i = 0; i < 16; i++) x[i] = x[i] < y[i] ? x[i] : y[i];
    return simde_mm512_loadu_ps(x);
}
EMULATED simde__m512 emulated_max_ps(simde__m512 a, simde__m512 b) {
    float x[16], y[16];
    simde_mm512_storeu_ps(x, a);
    simde_mm512_storeu_ps(y, b);
    for (int i = 0; i < 16; i++) x[i] = x[i] > y[i] ? x[i] : y[i];
    return simde_mm512_loadu_ps(x);
}
// Denormals become zero, NaN quiet, the rest is rounded to nearest even.
EMULATED __m256i emulated_cvtneps_pbh(simde__m512 v) {
    uint32_t x[16];
    uint16_t y[16];
    memcpy(x, &v, 64);
    for (int i = 0; i < 16; i++) {
        uint32_t u = x[i];
        if ((u & 0x7fffffff) > 0x7f800000) y[i] = (uint16_t)(u >> 16 | 0x40);
        else if ((u & 0x7f800000) == 0) y[i] = (uint16_t)(u >> 16 & 0x8000);
        else y[i] = (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
    }
    return _mm256_loadu_si256((const __m256i *)y);
}
// Per lane: sum + x[1] * y[1], then + x[0] * y[0].
EMULATED simde__m512 emulated_dpbf16_ps(simde__m512 sum, simde__m512i a, simde__m512i b) {
    uint32_t x[16], y[16];
    float s[16];
    memcpy(x, &a, 64);
    memcpy(y, &b, 64);
    simde_mm512_storeu_ps(s, sum);
    for (int i = 0; i < 16; i++) {
        float f[4];
        uint32_t u[4] = {x[i] & 0xffff0000, y[i] & 0xffff0000, x[i] << 16, y[i] << 16};
        memcpy(f, u, 16);
        s[i] = __builtin_fmaf(f[0], f[1], s[i]);
        s[i] = __builtin_fmaf(f[2], f[3], s[i]);
    }
    return simde_mm512_loadu_ps(s);
}

EMULATED float emulated_cvtss_f32(simde__m512 v) {
    float x[16];
    simde_mm512_storeu_ps(x, v);
    return x[0];
}

#undef _mm512_min_ps
#undef _mm512_max_ps
#undef _mm512_dpbf16_ps
#undef _mm512_cvtps_ph
#undef _mm512_cvtph_ps
#undef __m512bh
#define __m512bh simde__m512i
#define _mm512_cvtss_f32 emulated_cvtss_f32
#define _mm512_maskz_loadu_ps emulated_maskz_loadu_ps
#define _mm512_mask_storeu_ps emulated_mask_storeu_ps
#define _mm256_mask_storeu_epi16 emulated_mask_storeu_epi16
#define _mm512_extractf32x8_ps emulated_extractf32x8_ps
#define _mm512_cvtepi32_epi16 emulated_cvtepi32_epi16
#define _mm512_cvtepu16_epi32 emulated_cvtepu16_epi32
#define _mm512_cvtph_ps emulated_cvtph_ps
#define _mm512_cvtps_ph(v, rounding) emulated_cvtps_ph(v)
#define _mm512_min_ps emulated_min_ps
#define _mm512_max_ps emulated_max_ps
#define _mm512_cvtneps_pbh emulated_cvtneps_pbh
#define _mm512_dpbf16_ps emulated_dpbf16_ps
#include "vbmi.h"
#include "words.h"
