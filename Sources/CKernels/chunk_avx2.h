// Chunks in AVX2 registers; included inside target regions with AVX2, BMI2 and POPCNT.

#define INLINE static inline __attribute__((always_inline))

typedef struct Bytes { __m256i a, b; } Bytes;      // slots 0..31 and 32..63

INLINE __m256i load_32(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
INLINE void store_32(void *p, __m256i x) { _mm256_storeu_si256((__m256i *)p, x); }
INLINE __m256i all_bytes(int x) { return _mm256_set1_epi8((char)x); }
INLINE Bytes load_bytes(const void *p) { return (Bytes){load_32(p), load_32((const char *)p + 32)}; }
INLINE void store_bytes(void *p, Bytes x) {
    store_32(p, x.a);
    store_32((char *)p + 32, x.b);
}

// Bits of x where `mask` has them, otherwise those of y.
INLINE __m256i pick(__m256i mask, __m256i x, __m256i y) {
    return _mm256_or_si256(_mm256_and_si256(mask, x), _mm256_andnot_si256(mask, y));
}

// The first sixteen halves of a quarter of the elements: of f32 the upper ones.
INLINE __m256i load_halves(ck_type type, const uint8_t *elements, size_t quarter) {
    if (type != CK_F32) return load_32(elements + quarter * 32);
    __m256i x = _mm256_srli_epi32(load_32(elements + quarter * 64), 16), y = _mm256_srli_epi32(load_32(elements + quarter * 64 + 32), 16);
    return _mm256_permute4x64_epi64(_mm256_packus_epi32(x, y), 0xd8);
}

// Lower and upper bytes of the elements' halves.
INLINE void load_elements(ck_type type, const uint8_t *elements, Bytes *low, Bytes *high) {
    const __m256i h0 = load_halves(type, elements, 0), h1 = load_halves(type, elements, 1);
    const __m256i h2 = load_halves(type, elements, 2), h3 = load_halves(type, elements, 3), mask = _mm256_set1_epi16(255);
    low->a = _mm256_packus_epi16(_mm256_and_si256(h0, mask), _mm256_and_si256(h2, mask));
    low->b = _mm256_packus_epi16(_mm256_and_si256(h1, mask), _mm256_and_si256(h3, mask));
    high->a = _mm256_packus_epi16(_mm256_srli_epi16(h0, 8), _mm256_srli_epi16(h2, 8));
    high->b = _mm256_packus_epi16(_mm256_srli_epi16(h1, 8), _mm256_srli_epi16(h3, 8));
}

INLINE __m256i join_exponent(ck_type type, __m256i low, __m256i high) {
    if (type == CK_F16) return _mm256_and_si256(_mm256_srli_epi16(high, 2), all_bytes(31));
    return _mm256_or_si256(_mm256_add_epi8(high, high), _mm256_and_si256(_mm256_srli_epi16(low, 7), all_bytes(1)));
}

// The reverse of load_elements. `lower`: the lower halves of f32.
INLINE void store_elements(ck_type type, Bytes low, Bytes high, const uint8_t *lower, uint8_t *elements) {
    const __m256i h[4] = {_mm256_unpacklo_epi8(low.a, high.a), _mm256_unpacklo_epi8(low.b, high.b),
                          _mm256_unpackhi_epi8(low.a, high.a), _mm256_unpackhi_epi8(low.b, high.b)};
    for (size_t quarter = 0; quarter < 4; quarter++) {
        if (type != CK_F32) {
            store_32(elements + quarter * 32, h[quarter]);
            continue;
        }
        const __m256i l = load_32(lower + quarter * 32);
        const __m256i x = _mm256_unpacklo_epi16(l, h[quarter]), y = _mm256_unpackhi_epi16(l, h[quarter]);
        store_32(elements + quarter * 64, _mm256_permute2x128_si256(x, y, 0x20));
        store_32(elements + quarter * 64 + 32, _mm256_permute2x128_si256(x, y, 0x31));
    }
}

// Bytes from the order of slots into that of bits.
INLINE Bytes order_bits(Bytes x) {
    const __m256i turn = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15));
    const __m256i a = _mm256_shuffle_epi8(x.a, turn), b = _mm256_shuffle_epi8(x.b, turn);
    const __m256i even = _mm256_permute2x128_si256(a, b, 0x20), odd = _mm256_permute2x128_si256(a, b, 0x31);
    const __m256i low = _mm256_unpacklo_epi16(even, odd), high = _mm256_unpackhi_epi16(even, odd);
    const __m256i left = _mm256_permute2x128_si256(low, high, 0x20), right = _mm256_permute2x128_si256(low, high, 0x31);
    const __m256i c = _mm256_unpacklo_epi32(left, right), d = _mm256_unpackhi_epi32(left, right);
    return (Bytes){_mm256_permute2x128_si256(c, d, 0x20), _mm256_permute2x128_si256(c, d, 0x31)};
}

// The plane of the highest bits of what order_bits gave.
INLINE uint64_t top_bits(Bytes x) {
    uint64_t plane = (uint32_t)_mm256_movemask_epi8(x.a) | (uint64_t)(uint32_t)_mm256_movemask_epi8(x.b) << 32;
    __asm__("" : "+r"(plane));      // operations on planes stay there; otherwise they are done on bytes, and more bits taken out of them
    return plane;
}
INLINE Bytes doubled(Bytes x) { return (Bytes){_mm256_add_epi8(x.a, x.a), _mm256_add_epi8(x.b, x.b)}; }

// Four planes (0 and 1 in both lanes of x, 2 and 3 in those of y) -> a number 0..15 in each slot: a transposition in two steps. In the first
// each lane takes every other pair of bits of planes 0 with 2 and 1 with 3, in the second each quarter every other bit; what then is left is
// one nibble a slot.
INLINE Bytes spread(__m256i x, __m256i y) {
    const __m256i threes = all_bytes(0x33), fives = all_bytes(0x55), fifteen = all_bytes(15);
    const __m256i pairs = pick(threes, _mm256_srlv_epi64(x, _mm256_setr_epi64x(0, 0, 2, 2)),
                               _mm256_sllv_epi64(y, _mm256_setr_epi64x(2, 2, 0, 0)));
    const __m256i u = _mm256_unpacklo_epi64(pairs, pairs), v = _mm256_unpackhi_epi64(pairs, pairs);
    const __m256i nibbles = pick(fives, _mm256_srlv_epi64(u, _mm256_setr_epi64x(0, 1, 0, 1)),
                                 _mm256_sllv_epi64(v, _mm256_setr_epi64x(1, 0, 1, 0)));
    return (Bytes){_mm256_and_si256(nibbles, fifteen), _mm256_and_si256(_mm256_srli_epi16(nibbles, 4), fifteen)};
}

INLINE __m256i load_twice(const void *p) { return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)p)); }

// Entry x of a table of sixteen bytes, 0 for x >= 128.
INLINE Bytes look_up(__m256i table, Bytes x) { return (Bytes){_mm256_shuffle_epi8(table, x.a), _mm256_shuffle_epi8(table, x.b)}; }

// The sign and two bits of mantissa of f16, where they stand in the upper byte.
INLINE Bytes upper_bits(const uint8_t *more) {
    const __m256i last = _mm256_setr_epi64x((long long)load_word(more + 16), 0, (long long)load_word(more + 16), 0);
    const __m256i places = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 2, 3, (char)0x80, (char)0x81, (char)0x82, (char)0x83, 0, 0, 0, 0, 0, 0, 0, 0));
    return look_up(places, spread(load_twice(more), last));
}

INLINE Bytes either(Bytes x, Bytes y) { return (Bytes){_mm256_or_si256(x.a, y.a), _mm256_or_si256(x.b, y.b)}; }

// Each byte rotated right by one bit: so an exponent has seven bits of the upper byte of bf16 and one of the lower, at its top.
INLINE __m256i rotated(__m256i x) { return pick(all_bytes(0x7f), _mm256_srli_epi16(x, 1), _mm256_slli_epi16(x, 7)); }

// The highest bits of two registers change places.
INLINE void swap_tops(__m256i *x, __m256i *y) {
    const __m256i difference = _mm256_and_si256(_mm256_xor_si256(*x, *y), all_bytes(0x80));
    *x = _mm256_xor_si256(*x, difference);
    *y = _mm256_xor_si256(*y, difference);
}

// Appends the bits of a plane that its parent plane selects. What stands before `start` in its byte stays; behind the end zeros are
// written.
INLINE void pack(const uint64_t *plane, const uint64_t *parent, size_t chunks, uint8_t *bits, size_t start) {
    uint8_t *at = bits + (start >> 3);
    unsigned held = start & 7;                                  // bits in `word`, fewer than eight
    uint64_t word = *at & ((1u << held) - 1);
    for (size_t c = 0; c < chunks; c++) {
        const uint64_t some = _pext_u64(plane[c], parent[c]);
        const unsigned count = (unsigned)__builtin_popcountll(parent[c]);
        word |= some << held;
        store_word(at, word);
        if (__builtin_expect(held + count >= 64, 0)) {
            at += 8;
            word = some >> 1 >> (63 - held);
            held += count - 64;
            *at = (uint8_t)word;
            continue;
        }
        held += count;
        at += held >> 3;
        word >>= held & ~7u;
        held &= 7;
    }
}
