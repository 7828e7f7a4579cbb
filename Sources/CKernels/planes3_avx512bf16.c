// Products of few rows with weights in planes3 and operands in bf16.
#include "planes3.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,avx512bf16,bmi,popcnt"))), apply_to = function)

#include "planes3_avx512_lanes.h"

INLINE __m512i operands(const uint16_t *x) {
    int pair;
    memcpy(&pair, x, 4);
    return _mm512_set1_epi32(pair);
}

#define OPERAND uint16_t
#define MULTIPLY_PAIR(sum, pair, x) _mm512_dpbf16_ps(sum, (__m512bh)operands(x), (__m512bh)(pair))
#include "planes3_few_body.h"

ck_planes3_few *const ck_planes3_few_bf16 = multiply_few;

#pragma clang attribute pop
#endif
