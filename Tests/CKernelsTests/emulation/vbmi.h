// Byte permutations, expansion and compression, which SIMDe lacks.
#pragma once

EMULATED simde__m512i emulated_permutexvar_epi8(simde__m512i index, simde__m512i table) {
    uint8_t x[64], y[64], z[64];
    memcpy(x, &index, 64);
    memcpy(y, &table, 64);
    for (int i = 0; i < 64; i++) z[i] = y[x[i] & 63];
    return simde_mm512_loadu_si512(z);
}
EMULATED simde__m512i emulated_mask_expand_epi8(simde__m512i other, uint64_t mask, simde__m512i v) {
    uint8_t x[64], y[64];
    memcpy(x, &v, 64);
    memcpy(y, &other, 64);
    for (int i = 0, n = 0; i < 64; i++)
        if (mask >> i & 1) y[i] = x[n++];
    return simde_mm512_loadu_si512(y);
}
EMULATED simde__m512i emulated_maskz_compress_epi8(uint64_t mask, simde__m512i v) {
    uint8_t x[64], y[64] = {0};
    memcpy(x, &v, 64);
    for (int i = 0, n = 0; i < 64; i++)
        if (mask >> i & 1) y[n++] = x[i];
    return simde_mm512_loadu_si512(y);
}
EMULATED void emulated_mask_storeu_epi8(void *p, uint64_t mask, simde__m512i v) {
    uint8_t x[64];
    memcpy(x, &v, 64);
    for (int i = 0; i < 64; i++)
        if (mask >> i & 1) ((uint8_t *)p)[i] = x[i];
}

#undef _mm512_permutexvar_epi8
#undef _mm512_mask_expand_epi8
#undef _mm512_maskz_compress_epi8
#undef _mm512_mask_storeu_epi8
#define _mm512_permutexvar_epi8 emulated_permutexvar_epi8
#define _mm512_mask_expand_epi8 emulated_mask_expand_epi8
#define _mm512_maskz_compress_epi8 emulated_maskz_compress_epi8
#define _mm512_mask_storeu_epi8 emulated_mask_storeu_epi8
// Empty assembly that takes a register means nothing to the emulation's types.
#define IN_REGISTER(x) (void)0
#define IN_PLACE(sum) (void)0
EMULATED simde__m512i emulated_cvtepu8_epi32(__m128i v) {
    uint8_t x[16];
    uint32_t y[16];
    memcpy(x, &v, 16);
    for (int i = 0; i < 16; i++) y[i] = x[i];
    return simde_mm512_loadu_si512(y);
}
#define _mm512_cvtepu8_epi32 emulated_cvtepu8_epi32
