// Fixed-length codes and counts with AVX2.
#include "kv.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)

#include "kv_avx2.h"

// Eight lines of symbols -> `width` lines, of bits low .. low + width - 1.
INLINE void pack_part(const __m256i x[8], const int low, const int width, uint8_t *out) {
    const int each = 8 / width;
    const __m256i mask = all_bytes((1 << width) - 1);
    UNROLL for (int line = 0; line < width; line++) {
        __m256i sum = _mm256_setzero_si256();
        UNROLL for (int j = 0; j < each; j++) {
            const __m256i part = _mm256_and_si256(_mm256_srli_epi16(x[line * each + j], low), mask);
            sum = _mm256_or_si256(sum, _mm256_slli_epi16(part, j * width));
        }
        store_32(out + (low + line) * KV_LINE, sum);
    }
}

INLINE void unpack_part(const uint8_t *in, const int low, const int width, __m256i x[8]) {
    const int each = 8 / width;
    const __m256i mask = all_bytes((1 << width) - 1);
    UNROLL for (int line = 0; line < width; line++) {
        const __m256i sum = load_32(in + (low + line) * KV_LINE);
        UNROLL for (int j = 0; j < each; j++) {
            const __m256i part = _mm256_slli_epi16(_mm256_and_si256(_mm256_srli_epi16(sum, j * width), mask), low);
            x[line * each + j] = low ? _mm256_or_si256(x[line * each + j], part) : part;
        }
    }
}

INLINE void pack_groups(const uint8_t *symbols, size_t groups, const int bits, uint8_t *out) {
    for (; groups > 0; groups--, symbols += KV_GROUP, out += bits * KV_LINE) {
        __m256i x[8];
        UNROLL for (size_t i = 0; i < 8; i++) x[i] = load_32(symbols + i * KV_LINE);
        if (bits & 4) pack_part(x, 0, 4, out);
        if (bits & 2) pack_part(x, bits & 4, 2, out);
        if (bits & 1) pack_part(x, bits & 6, 1, out);
    }
}

INLINE void unpack_groups(const uint8_t *in, size_t groups, const int bits, uint8_t *symbols) {
    for (; groups > 0; groups--, symbols += KV_GROUP, in += bits * KV_LINE) {
        __m256i x[8];
        if (bits & 4) unpack_part(in, 0, 4, x);
        if (bits & 2) unpack_part(in, bits & 4, 2, x);
        if (bits & 1) unpack_part(in, bits & 6, 1, x);
        UNROLL for (size_t i = 0; i < 8; i++) store_32(symbols + i * KV_LINE, x[i]);
    }
}

static void pack_bits(const uint8_t *symbols, size_t count, unsigned bits, uint8_t *out) {
    const size_t groups = count / KV_GROUP, whole = groups * KV_GROUP;
    switch (bits) {
    case 1: pack_groups(symbols, groups, 1, out); break;
    case 2: pack_groups(symbols, groups, 2, out); break;
    case 3: pack_groups(symbols, groups, 3, out); break;
    case 4: pack_groups(symbols, groups, 4, out); break;
    case 5: pack_groups(symbols, groups, 5, out); break;
    case 6: pack_groups(symbols, groups, 6, out); break;
    case 7: pack_groups(symbols, groups, 7, out); break;
    default:
        memcpy(out, symbols, count);
        memset(out + count, 0, ck_kv_packed_bytes(count, 8) - count);
        return;
    }
    ck_kv_codes_scalar.pack_bits(symbols + whole, count - whole, bits, out + groups * bits * KV_LINE);
}

static void unpack_bits(const uint8_t *in, size_t count, unsigned bits, uint8_t *symbols) {
    const size_t groups = count / KV_GROUP, whole = groups * KV_GROUP;
    switch (bits) {
    case 1: unpack_groups(in, groups, 1, symbols); break;
    case 2: unpack_groups(in, groups, 2, symbols); break;
    case 3: unpack_groups(in, groups, 3, symbols); break;
    case 4: unpack_groups(in, groups, 4, symbols); break;
    case 5: unpack_groups(in, groups, 5, symbols); break;
    case 6: unpack_groups(in, groups, 6, symbols); break;
    case 7: unpack_groups(in, groups, 7, symbols); break;
    default: memcpy(symbols, in, count); return;
    }
    ck_kv_codes_scalar.unpack_bits(in + groups * bits * KV_LINE, count - whole, bits, symbols + whole);
}

// ---- Counts -------------------------------------------------------------------------------------------------------------------

#define FEW 16                  // symbols that are counted by comparing
#define PIECE (128 * 32)        // symbols whose counts fit bytes

INLINE uint32_t sum_bytes(__m256i x) {
    const __m256i s = _mm256_sad_epu8(x, _mm256_setzero_si256());
    const __m128i t = _mm_add_epi64(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
    return (uint32_t)(_mm_cvtsi128_si64(t) + _mm_extract_epi64(t, 1));
}

INLINE bool are_few(const uint8_t *symbols, size_t count) {
    __m256i all = _mm256_setzero_si256();
    for (size_t i = 0; i + 32 <= count; i += 32) all = _mm256_or_si256(all, load_32(symbols + i));
    return _mm256_testz_si256(all, all_bytes(-FEW));
}

// Of eight symbols from `first` on.
INLINE void count_eight(const uint8_t *symbols, size_t count, int first, uint32_t *counts) {
    __m256i sums[8];
    UNROLL for (int s = 0; s < 8; s++) sums[s] = _mm256_setzero_si256();
    for (size_t i = 0; i < count; i += 32) {
        const __m256i x = load_32(symbols + i);
        UNROLL for (int s = 0; s < 8; s++) sums[s] = _mm256_sub_epi8(sums[s], _mm256_cmpeq_epi8(x, all_bytes(first + s)));
    }
    UNROLL for (int s = 0; s < 8; s++) counts[first + s] += sum_bytes(sums[s]);
}

// Four counts of each symbol, so that equal ones in a row do not wait for each other.
static void count_many(const uint8_t *symbols, size_t count, uint32_t *counts) {
    uint16_t each[4][256] = {0};
    size_t i = 0;
    for (; i + 4 <= count; i += 4)
        for (size_t j = 0; j < 4; j++) each[j][symbols[i + j]]++;
    for (; i < count; i++) each[0][symbols[i]]++;
    for (size_t s = 0; s < 256; s++) counts[s] += (uint32_t)each[0][s] + each[1][s] + each[2][s] + each[3][s];
}

static void count(const uint8_t *symbols, size_t count, uint32_t *counts) {
    for (; count >= 32; ) {
        const size_t some = count < PIECE ? count / 32 * 32 : PIECE;
        if (are_few(symbols, some)) {
            count_eight(symbols, some, 0, counts);
            count_eight(symbols, some, 8, counts);
        } else {
            count_many(symbols, some, counts);
        }
        symbols += some;
        count -= some;
    }
    for (size_t i = 0; i < count; i++) counts[symbols[i]]++;
}

const ck_kv_codes ck_kv_codes_avx2 = {pack_bits, unpack_bits, count};

#pragma clang attribute pop
#endif
