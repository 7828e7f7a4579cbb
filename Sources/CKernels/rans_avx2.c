// rANS with AVX2: 32 lanes at a time. Four registers have a word of each; they are in the order in which packing them to bytes
// restores the order of lanes: register q has lanes 4q..4q+3 and 16+4q..16+4q+3.
#include "rans.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)

#include "kv_avx2.h"

typedef struct Lanes {
    __m256i q[4];
} Lanes;

INLINE Lanes load_states(const uint32_t *states) {
    Lanes x;
    UNROLL for (size_t i = 0; i < 4; i++) x.q[i] = load_32(states + 8 * i);
    return x;
}
INLINE void store_states(uint32_t *states, Lanes x) {
    UNROLL for (size_t i = 0; i < 4; i++) store_32(states + 8 * i, x.q[i]);
}

// Bytes 0..31 -> words, each byte of `low`, `next`, `third` and `high` one of the word.
INLINE Lanes join_bytes(__m256i low, __m256i next, __m256i third, __m256i high) {
    const __m256i a = _mm256_unpacklo_epi8(low, next), b = _mm256_unpackhi_epi8(low, next);
    const __m256i c = _mm256_unpacklo_epi8(third, high), d = _mm256_unpackhi_epi8(third, high);
    return (Lanes){{_mm256_unpacklo_epi16(a, c), _mm256_unpackhi_epi16(a, c), _mm256_unpacklo_epi16(b, d), _mm256_unpackhi_epi16(b, d)}};
}

// Bit i: lane i of the four masks.
INLINE uint32_t mask_of(Lanes masks) {
    const __m256i low = _mm256_packs_epi32(masks.q[0], masks.q[1]), high = _mm256_packs_epi32(masks.q[2], masks.q[3]);
    return (uint32_t)_mm256_movemask_epi8(_mm256_packs_epi16(low, high));
}

// ---- Words ----------------------------------------------------------------------------------------------------------------------

// For each mask of eight words: what puts the words of the mask side by side, and what puts words that are side by side where the mask is
// set, with zeros elsewhere.
#define ONES(m) __builtin_popcount(m)
// Where bit n of those that are set in four bits is: of each four bits, two bits for each of their places.
#define PLACE_4(m, n) (((m) & 8 ? 0xe439380e340d0c03ull : 0x2409080204010000ull) >> (8 * ((m) & 7) + (2 * (n) & 6)) & 3)
#define PLACE(m, n) ((n) < ONES((m) & 15) ? PLACE_4((m) & 15, n) : 4 + PLACE_4((m) >> 4, (n) - ONES((m) & 15)))
#define GATHER(m, n) ((n) < ONES(m) ? 2 * PLACE(m, n) : 0x80), ((n) < ONES(m) ? 2 * PLACE(m, n) + 1 : 0x80)
#define RANK(m, n) ONES((m) & ((1 << (n)) - 1))
#define SPREAD(m, n) ((m) >> (n) & 1 ? 2 * RANK(m, n) : 0x80), ((m) >> (n) & 1 ? 2 * RANK(m, n) + 1 : 0x80)
#define ROW_OF(kind, m) {kind(m, 0), kind(m, 1), kind(m, 2), kind(m, 3), kind(m, 4), kind(m, 5), kind(m, 6), kind(m, 7)}
#define FOUR(kind, m) ROW_OF(kind, m), ROW_OF(kind, m + 1), ROW_OF(kind, m + 2), ROW_OF(kind, m + 3)
#define SIXTEEN(kind, m) FOUR(kind, m), FOUR(kind, m + 4), FOUR(kind, m + 8), FOUR(kind, m + 12)
#define ALL(kind)                                                                                                                          \
    {SIXTEEN(kind, 0), SIXTEEN(kind, 16), SIXTEEN(kind, 32), SIXTEEN(kind, 48), SIXTEEN(kind, 64), SIXTEEN(kind, 80), SIXTEEN(kind, 96),     \
     SIXTEEN(kind, 112), SIXTEEN(kind, 128), SIXTEEN(kind, 144), SIXTEEN(kind, 160), SIXTEEN(kind, 176), SIXTEEN(kind, 192),               \
     SIXTEEN(kind, 208), SIXTEEN(kind, 224), SIXTEEN(kind, 240)}

_Alignas(64) static const uint8_t gathering[256][16] = ALL(GATHER);
_Alignas(64) static const uint8_t spreading[256][16] = ALL(SPREAD);

INLINE __m256i two(const void *low, const void *high) { return _mm256_setr_m128i(load_16(low), load_16(high)); }

// Writes the lower halves of the lanes of the mask in their order.
INLINE uint8_t *put_words(Lanes x, uint32_t mask, uint8_t *words_at) {
    const __m256i low = words(0xffff);
    const __m256i even = _mm256_packus_epi32(_mm256_and_si256(x.q[0], low), _mm256_and_si256(x.q[1], low));     // lanes 0..7, 16..23
    const __m256i odd = _mm256_packus_epi32(_mm256_and_si256(x.q[2], low), _mm256_and_si256(x.q[3], low));      // lanes 8..15, 24..31
    uint8_t *const second = words_at + 2 * __builtin_popcount(mask & 0xff), *const third = words_at + 2 * __builtin_popcount(mask & 0xffff);
    uint8_t *const fourth = words_at + 2 * __builtin_popcount(mask & 0xffffff);
    store_16(words_at, _mm_shuffle_epi8(_mm256_castsi256_si128(even), load_16(gathering[mask & 0xff])));
    store_16(second, _mm_shuffle_epi8(_mm256_castsi256_si128(odd), load_16(gathering[mask >> 8 & 0xff])));
    store_16(third, _mm_shuffle_epi8(_mm256_extracti128_si256(even, 1), load_16(gathering[mask >> 16 & 0xff])));
    store_16(fourth, _mm_shuffle_epi8(_mm256_extracti128_si256(odd, 1), load_16(gathering[mask >> 24])));
    return words_at + 2 * __builtin_popcount(mask);
}

// The words of the lanes of the mask, zeros in the others.
INLINE Lanes get_words(uint32_t mask, const uint8_t *words_at) {
    const uint8_t *const second = words_at + 2 * __builtin_popcount(mask & 0xff);
    const uint8_t *const third = words_at + 2 * __builtin_popcount(mask & 0xffff);
    const uint8_t *const fourth = words_at + 2 * __builtin_popcount(mask & 0xffffff);
    const __m256i even = _mm256_shuffle_epi8(two(words_at, third), two(spreading[mask & 0xff], spreading[mask >> 16 & 0xff]));
    const __m256i odd = _mm256_shuffle_epi8(two(second, fourth), two(spreading[mask >> 8 & 0xff], spreading[mask >> 24]));
    const __m256i zero = _mm256_setzero_si256();
    return (Lanes){{_mm256_unpacklo_epi16(even, zero), _mm256_unpackhi_epi16(even, zero), _mm256_unpacklo_epi16(odd, zero),
                    _mm256_unpackhi_epi16(odd, zero)}};
}

// ---- Encoding -------------------------------------------------------------------------------------------------------------------

// What sixteen symbols have in each byte of their reciprocal, their start, 2^8 - frequency and shift.
typedef struct Few {
    __m256i reciprocal[4], start, rest, shift;
} Few;

INLINE __m256i byte_of(__m256i low, __m256i high, int shift) {
    const __m256i byte = words(0xff);
    const __m256i x = _mm256_and_si256(_mm256_srli_epi32(low, shift), byte), y = _mm256_and_si256(_mm256_srli_epi32(high, shift), byte);
    const __m256i halves = _mm256_permute4x64_epi64(_mm256_packus_epi32(x, y), 0xd8);
    const __m256i bytes = _mm256_packus_epi16(halves, halves);
    return _mm256_permute4x64_epi64(bytes, 0x88);
}

// Eight codes and reciprocals, of which each half holds four pairs: first[0], second[0] their first two, first[1], second[1] the others.
typedef struct Codes {
    __m256i code, reciprocal;
} Codes;

INLINE Codes codes_of(__m256i pairs, __m256i more) {
    const __m256 a = as_float(pairs), b = as_float(more);
    return (Codes){as_bits(_mm256_shuffle_ps(a, b, 0x88)), as_bits(_mm256_shuffle_ps(a, b, 0xdd))};
}
INLINE Codes codes_at(const uint64_t *code) {
    const __m256i a = load_32(code), b = load_32(code + 4);
    return codes_of(_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31));
}

INLINE Few few_of(const ck_rans_table *t) {
    const Codes first = codes_at(t->code), second = codes_at(t->code + 8);
    const __m256i a = first.code, b = second.code, all = words(256), frequency = words(0x1fff);
    const __m256i rest_a = _mm256_sub_epi32(all, _mm256_and_si256(a, frequency));
    const __m256i rest_b = _mm256_sub_epi32(all, _mm256_and_si256(b, frequency));
    const __m256i shift = words(15);
    Few few = {
        .start = byte_of(a, b, 17), .rest = byte_of(rest_a, rest_b, 0),
        .shift = byte_of(_mm256_and_si256(_mm256_srli_epi32(a, 13), shift), _mm256_and_si256(_mm256_srli_epi32(b, 13), shift), 0),
    };
    UNROLL for (int i = 0; i < 4; i++) few.reciprocal[i] = byte_of(first.reciprocal, second.reciprocal, 8 * i);
    return few;
}

// x / frequency.
INLINE __m256i divided(__m256i x, __m256i reciprocal, __m256i shift) {
    const __m256i twice = _mm256_add_epi32(x, x);
    const __m256i even = _mm256_srli_epi64(_mm256_mul_epu32(twice, reciprocal), 32);
    const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(twice, 32), _mm256_srli_epi64(reciprocal, 32));
    return _mm256_srlv_epi32(_mm256_blend_epi32(even, odd, 0xaa), shift);
}

// Lanes from which a word goes out lose it.
INLINE uint8_t *normalise(Lanes *x, Lanes full, uint8_t *words_at) {
    words_at = put_words(*x, mask_of(full), words_at);
    UNROLL for (size_t i = 0; i < 4; i++) x->q[i] = _mm256_blendv_epi8(x->q[i], _mm256_srli_epi32(x->q[i], 16), full.q[i]);
    return words_at;
}

INLINE uint8_t *encode_few(const Few *few, __m256i symbols, Lanes *x, uint8_t *words_at) {
    const Lanes code = join_bytes(_mm256_shuffle_epi8(few->rest, symbols), _mm256_setzero_si256(), _mm256_shuffle_epi8(few->shift, symbols),
                                  _mm256_shuffle_epi8(few->start, symbols));
    Lanes full;
    UNROLL for (size_t i = 0; i < 4; i++) {
        const __m256i rest = _mm256_and_si256(code.q[i], words(0xffff));
        full.q[i] = _mm256_cmpgt_epi32(_mm256_add_epi32(_mm256_srli_epi32(x->q[i], 23), rest), words(255));
    }
    words_at = normalise(x, full, words_at);
    const Lanes reciprocal = join_bytes(_mm256_shuffle_epi8(few->reciprocal[0], symbols), _mm256_shuffle_epi8(few->reciprocal[1], symbols),
                                        _mm256_shuffle_epi8(few->reciprocal[2], symbols), _mm256_shuffle_epi8(few->reciprocal[3], symbols));
    UNROLL for (size_t i = 0; i < 4; i++) {
        const __m256i rest = _mm256_and_si256(code.q[i], words(0xffff)), start = _mm256_srli_epi32(code.q[i], 24);
        const __m256i shift = _mm256_and_si256(_mm256_srli_epi32(code.q[i], 16), words(15));
        const __m256i quotient = divided(x->q[i], reciprocal.q[i], shift);
        x->q[i] = _mm256_add_epi32(_mm256_add_epi32(x->q[i], start), _mm256_mullo_epi32(quotient, rest));
    }
    return words_at;
}

// Two words of 64 bits side by side.
INLINE __m128i two_codes(const ck_rans_table *t, const uint8_t *symbols) {
    const __m128i low = _mm_loadl_epi64((const __m128i *)(t->code + symbols[0]));
    return _mm_castps_si128(_mm_loadh_pi(_mm_castsi128_ps(low), (const __m64 *)(t->code + symbols[1])));
}

// Of register q of the lanes: symbols 4q..4q+3 and 16+4q..16+4q+3. Loads of pairs are faster than gathers of words.
INLINE Codes codes_of_lanes(const ck_rans_table *t, const uint8_t *symbols, size_t q) {
    const uint8_t *low = symbols + 4 * q, *high = low + 16;
    const __m256i pairs = _mm256_setr_m128i(two_codes(t, low), two_codes(t, high));
    return codes_of(pairs, _mm256_setr_m128i(two_codes(t, low + 2), two_codes(t, high + 2)));
}

INLINE uint8_t *encode_many(const ck_rans_table *t, const uint8_t *symbols, Lanes *x, uint8_t *words_at) {
    Lanes full, code, reciprocal;
    UNROLL for (size_t i = 0; i < 4; i++) {
        const Codes codes = codes_of_lanes(t, symbols, i);
        code.q[i] = codes.code, reciprocal.q[i] = codes.reciprocal;
        const __m256i less = _mm256_cmpgt_epi32(_mm256_and_si256(code.q[i], words(0x1fff)), _mm256_srli_epi32(x->q[i], 19));
        full.q[i] = _mm256_xor_si256(less, words(~0u));
    }
    words_at = normalise(x, full, words_at);
    UNROLL for (size_t i = 0; i < 4; i++) {
        const __m256i rest = _mm256_sub_epi32(words(4096), _mm256_and_si256(code.q[i], words(0x1fff)));
        const __m256i shift = _mm256_and_si256(_mm256_srli_epi32(code.q[i], 13), words(15));
        const __m256i quotient = divided(x->q[i], reciprocal.q[i], shift);
        x->q[i] = _mm256_add_epi32(_mm256_add_epi32(x->q[i], _mm256_srli_epi32(code.q[i], 17)), _mm256_mullo_epi32(quotient, rest));
    }
    return words_at;
}

#define GROUP 32                // lanes

// Where the state of lane i of a group stands.
static inline size_t lane_place(size_t i) { return i / GROUP * GROUP + i % 16 / 4 * 8 + i % GROUP / 16 * 4 + i % 4; }

INLINE uint8_t *encode_run(const bool few, size_t lanes, const uint8_t *symbols, const ck_rans_run *run, uint32_t *states,
                           uint8_t *words_at) {
    const ck_rans_table *t = run->table;
    const Few table = few_of(t);
    size_t i = 0, lane = 0;
    for (; i + GROUP <= run->count; i += GROUP) {
        Lanes x = load_states(states + lane);
        words_at = few ? encode_few(&table, load_32(symbols + i), &x, words_at) : encode_many(t, symbols + i, &x, words_at);
        store_states(states + lane, x);
        lane = (lane + GROUP) & (lanes - 1);
    }
    for (; i < run->count; i++, lane++) words_at = rans_put(t, symbols[i], states + lane_place(lane), words_at);
    return words_at;
}

static uint8_t *encode(size_t lanes, const uint8_t *symbols, const ck_rans_run *run, uint32_t *states, uint8_t *words_at) {
    if (run->table->bits == 8) return encode_run(true, lanes, symbols, run, states, words_at);
    return encode_run(false, lanes, symbols, run, states, words_at);
}

// ---- Decoding -------------------------------------------------------------------------------------------------------------------

// Of sixteen symbols: their frequency - 1 and their start; of all but the first the slot before their start, with the sign bit turned.
// No slot is above those of symbols that start at 0 or at the end; `lowest` is the last symbol that starts at 0.
typedef struct Slots {
    __m256i frequency, start, lowest, before[CK_RANS_FEW - 1];
} Slots;

INLINE Slots slots_of(const ck_rans_table *t) {
    const __m256i a = codes_at(t->code).code, b = codes_at(t->code + 8).code, frequency = words(0x1fff), one = words(1);
    Slots slots = {
        .frequency = byte_of(_mm256_sub_epi32(_mm256_and_si256(a, frequency), one),
                             _mm256_sub_epi32(_mm256_and_si256(b, frequency), one), 0),
        .start = byte_of(a, b, 17),
    };
    int lowest = 0;
    for (size_t s = 1; s < CK_RANS_FEW; s++) {
        lowest += rans_start(t->code[s]) == 0;
        slots.before[s - 1] = all_bytes((int)(rans_start(t->code[s]) - 1) ^ 0x80);
    }
    slots.lowest = all_bytes(lowest);
    return slots;
}

// Lanes that are too small take a word.
INLINE const uint8_t *refill(Lanes *x, const uint8_t *words_at) {
    Lanes empty;
    UNROLL for (size_t i = 0; i < 4; i++) empty.q[i] = _mm256_cmpgt_epi32(words(RANS_LEAST), x->q[i]);
    const uint32_t mask = mask_of(empty);
    words_at -= 2 * __builtin_popcount(mask);
    const Lanes word = get_words(mask, words_at);
    UNROLL for (size_t i = 0; i < 4; i++)
        x->q[i] = _mm256_blendv_epi8(x->q[i], _mm256_or_si256(_mm256_slli_epi32(x->q[i], 16), word.q[i]), empty.q[i]);
    return words_at;
}

// `most`: the symbols that are told apart.
INLINE __m256i decode_few(const Slots *slots, const size_t most, Lanes *x) {
    const __m256i byte = words(255), zero = _mm256_setzero_si256();
    const __m256i low = _mm256_packus_epi32(_mm256_and_si256(x->q[0], byte), _mm256_and_si256(x->q[1], byte));
    const __m256i high = _mm256_packus_epi32(_mm256_and_si256(x->q[2], byte), _mm256_and_si256(x->q[3], byte));
    const __m256i slot = _mm256_packus_epi16(low, high), turned = _mm256_xor_si256(slot, all_bytes(0x80));
    __m256i symbols = slots->lowest;
    UNROLL for (size_t s = 0; s + 1 < most; s++) symbols = _mm256_sub_epi8(symbols, _mm256_cmpgt_epi8(turned, slots->before[s]));
    const __m256i place = _mm256_sub_epi8(slot, _mm256_shuffle_epi8(slots->start, symbols));
    const Lanes code = join_bytes(_mm256_shuffle_epi8(slots->frequency, symbols), zero, place, zero);
    UNROLL for (size_t i = 0; i < 4; i++) {
        const __m256i above = _mm256_srli_epi32(x->q[i], 8), less = _mm256_and_si256(code.q[i], byte);
        const __m256i product = _mm256_add_epi32(_mm256_mullo_epi32(above, less), above);
        x->q[i] = _mm256_add_epi32(product, _mm256_srli_epi32(code.q[i], 16));
    }
    return symbols;
}

INLINE __m256i decode_many(const ck_rans_table *t, Lanes *x) {
    const __m256i byte = words(255);
    Lanes symbol;
    UNROLL for (size_t i = 0; i < 4; i++) {
        const __m256i slot = _mm256_i32gather_epi32((const int *)t->slot, _mm256_and_si256(x->q[i], words(0xfff)), 4);
        const __m256i above = _mm256_srli_epi32(x->q[i], 12), less = _mm256_and_si256(_mm256_srli_epi32(slot, 8), words(0xfff));
        const __m256i product = _mm256_add_epi32(_mm256_mullo_epi32(above, less), above);
        x->q[i] = _mm256_add_epi32(product, _mm256_srli_epi32(slot, 20));
        symbol.q[i] = _mm256_and_si256(slot, byte);
    }
    return _mm256_packus_epi16(_mm256_packs_epi32(symbol.q[0], symbol.q[1]), _mm256_packs_epi32(symbol.q[2], symbol.q[3]));
}

// `most` symbols are told apart; 0 with a table of 12 bits.
INLINE const uint8_t *decode_run(const size_t most, size_t lanes, const uint8_t *least, const uint8_t *words_at, const ck_rans_run *run,
                                 uint32_t *states, uint8_t *symbols) {
    const ck_rans_table *t = run->table;
    Slots slots;
    if (most) slots = slots_of(t);
    const size_t whole = run->count / GROUP * GROUP;
    size_t i = run->count;
    for (; i > whole; i--) {
        words_at = rans_get(t, symbols + i - 1, states + lane_place((i - 1) % lanes), words_at);
        if (words_at < least) return NULL;
    }
    for (; i > 0; i -= GROUP) {
        uint32_t *at = states + ((i - GROUP) & (lanes - 1));
        Lanes x = load_states(at);
        const __m256i some = most ? decode_few(&slots, most, &x) : decode_many(t, &x);
        store_32(symbols + i - GROUP, some);
        words_at = refill(&x, words_at);
        store_states(at, x);
        // The slack before the bytes is what one group takes at most.
        if (__builtin_expect(words_at < least, 0)) return NULL;
    }
    return words_at;
}

static const uint8_t *decode(size_t lanes, const uint8_t *least, const uint8_t *words_at, const ck_rans_run *run, uint32_t *states,
                             uint8_t *symbols) {
    if (run->table->bits == 12) return decode_run(0, lanes, least, words_at, run, states, symbols);
    if (run->table->symbols <= 4) return decode_run(4, lanes, least, words_at, run, states, symbols);
    if (run->table->symbols <= 8) return decode_run(8, lanes, least, words_at, run, states, symbols);
    return decode_run(CK_RANS_FEW, lanes, least, words_at, run, states, symbols);
}

const ck_rans_kernels ck_rans_avx2 = {encode, decode, lane_place};

#pragma clang attribute pop
#endif
