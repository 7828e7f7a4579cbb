// rANS with AVX-512 (BW, VBMI): sixteen lanes a register, all lanes in registers. Tables of sixteen symbols are registers too.
#include "rans.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,bmi,bmi2,popcnt,lzcnt"))), apply_to = function)

#include "kv_avx512.h"

#define LANES 16                // of a register
#define MOST (RANS_LANES / LANES)

// ---- Encoding -------------------------------------------------------------------------------------------------------------------

// Of sixteen symbols. `bias` is the start and 2^bits - frequency << 16; `limit` the greatest state that no word goes out of.
typedef struct Few {
    __m512i reciprocal, bias, shift, limit;
} Few;

// Sixteen codes and reciprocals of two registers of pairs.
INLINE __m512i codes_of(__m512i pairs, __m512i more) {
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_epi32(pairs, even, more);
}
INLINE __m512i reciprocals_of(__m512i pairs, __m512i more) {
    const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    return _mm512_permutex2var_epi32(pairs, odd, more);
}
INLINE __m512i codes_at(const uint64_t *code) { return codes_of(load_64(code), load_64(code + 8)); }

INLINE Few few_of(const ck_rans_table *t) {
    const __m512i code = codes_at(t->code), frequency = _mm512_and_si512(code, words(0x1fff));
    return (Few){
        .reciprocal = reciprocals_of(load_64(t->code), load_64(t->code + 8)),
        .bias = _mm512_or_si512(_mm512_srli_epi32(code, 17), _mm512_slli_epi32(_mm512_sub_epi32(words(256), frequency), 16)),
        .shift = _mm512_and_si512(_mm512_srli_epi32(code, 13), words(15)),
        .limit = _mm512_sub_epi32(_mm512_slli_epi32(frequency, 23), words(1)),
    };
}

// Lanes from which a word goes out lose it.
INLINE __m512i put_words(__m512i x, __mmask16 full, uint8_t **words_at) {
    _mm256_storeu_si256((__m256i *)*words_at, _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(full, x)));
    *words_at += 2 * __builtin_popcount(full);
    return _mm512_mask_srli_epi32(x, full, x, 16);
}

// x / frequency.
INLINE __m512i divided(__m512i x, __m512i reciprocal, __m512i shift) {
    const __m512i twice = _mm512_add_epi32(x, x), even = _mm512_srli_epi64(_mm512_mul_epu32(twice, reciprocal), 32);
    const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(twice, 32), _mm512_srli_epi64(reciprocal, 32));
    return _mm512_srlv_epi32(_mm512_mask_mov_epi32(even, 0xaaaa, odd), shift);
}

INLINE __m512i encode_few(const Few *few, __m512i symbols, __m512i x, uint8_t **words_at) {
    x = put_words(x, _mm512_cmpgt_epi32_mask(x, _mm512_permutexvar_epi32(symbols, few->limit)), words_at);
    const __m512i bias = _mm512_permutexvar_epi32(symbols, few->bias);
    const __m512i quotient = divided(x, _mm512_permutexvar_epi32(symbols, few->reciprocal), _mm512_permutexvar_epi32(symbols, few->shift));
    x = _mm512_add_epi32(x, _mm512_and_si512(bias, words(0xffff)));
    return _mm512_add_epi32(x, _mm512_mullo_epi32(quotient, _mm512_srli_epi32(bias, 16)));
}

INLINE __m512i encode_many(const ck_rans_table *t, __m512i symbols, __m512i x, uint8_t **words_at) {
    const __m512i low = _mm512_i32gather_epi64(_mm512_castsi512_si256(symbols), t->code, 8);
    const __m512i high = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(symbols, 1), t->code, 8);
    const __m512i code = codes_of(low, high), frequency = _mm512_and_si512(code, words(0x1fff));
    x = put_words(x, _mm512_cmpge_epi32_mask(_mm512_srli_epi32(x, 19), frequency), words_at);
    const __m512i shift = _mm512_and_si512(_mm512_srli_epi32(code, 13), words(15));
    const __m512i quotient = divided(x, reciprocals_of(low, high), shift);
    x = _mm512_add_epi32(x, _mm512_srli_epi32(code, 17));
    return _mm512_add_epi32(x, _mm512_mullo_epi32(quotient, _mm512_sub_epi32(words(4096), frequency)));
}

INLINE __m512i load_symbols(const uint8_t *symbols) { return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)symbols)); }

INLINE __m512i encode_lanes(const bool many, const ck_rans_table *t, const Few *few, const uint8_t *symbols, __m512i x,
                            uint8_t **words_at) {
    return many ? encode_many(t, load_symbols(symbols), x, words_at) : encode_few(few, load_symbols(symbols), x, words_at);
}

INLINE uint8_t *encode_run(const bool many, const size_t registers, const uint8_t *symbols, const ck_rans_run *run, uint32_t *states,
                           uint8_t *words_at) {
    const ck_rans_table *t = run->table;
    const Few few = few_of(t);
    const size_t lanes = registers * LANES, whole = run->count / lanes * lanes;
    __m512i x[MOST];
    UNROLL for (size_t v = 0; v < registers; v++) x[v] = load_64(states + v * LANES);
    size_t i = 0;
    for (; i < whole; i += lanes)
        UNROLL for (size_t v = 0; v < registers; v++) x[v] = encode_lanes(many, t, &few, symbols + i + v * LANES, x[v], &words_at);
    UNROLL for (size_t v = 0; v < registers; v++) store_64(states + v * LANES, x[v]);
    for (; i + LANES <= run->count; i += LANES, states += LANES)
        store_64(states, encode_lanes(many, t, &few, symbols + i, load_64(states), &words_at));
    for (; i < run->count; i++, states++) words_at = rans_put(t, symbols[i], states, words_at);
    return words_at;
}

INLINE uint8_t *encode_on(const bool many, size_t lanes, const uint8_t *symbols, const ck_rans_run *run, uint32_t *states, uint8_t *words_at) {
    switch (lanes) {
    case 32: return encode_run(many, 2, symbols, run, states, words_at);
    case 64: return encode_run(many, 4, symbols, run, states, words_at);
    default: return encode_run(many, 8, symbols, run, states, words_at);
    }
}

static uint8_t *encode(size_t lanes, const uint8_t *symbols, const ck_rans_run *run, uint32_t *states, uint8_t *words_at) {
    if (run->table->bits == 12) return encode_on(true, lanes, symbols, run, states, words_at);
    return encode_on(false, lanes, symbols, run, states, words_at);
}

// ---- Decoding -------------------------------------------------------------------------------------------------------------------

// The symbols of 256 slots, and of sixteen symbols the frequency and the start << 16.
typedef struct Slots {
    __m512i symbol[4], code;
} Slots;

INLINE Slots slots_of(const ck_rans_table *t) {
    const __m512i code = codes_at(t->code);
    Slots slots = {.code = _mm512_or_si512(_mm512_and_si512(code, words(0x1fff)), _mm512_slli_epi32(_mm512_srli_epi32(code, 17), 16))};
    UNROLL for (size_t i = 0; i < 4; i++) slots.symbol[i] = load_64(t->symbol + 64 * i);
    return slots;
}

// Lanes that are too small take a word.
INLINE __m512i refill(__m512i x, const uint8_t **words_at) {
    const __mmask16 empty = _mm512_cmplt_epi32_mask(x, words(RANS_LEAST));
    *words_at -= 2 * __builtin_popcount(empty);
    const __m512i some = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)*words_at));
    return _mm512_mask_or_epi32(x, empty, _mm512_slli_epi32(x, 16), _mm512_maskz_expand_epi32(empty, some));
}

INLINE __m512i decode_few(const Slots *slots, __m512i *x) {
    const __m512i slot = _mm512_and_si512(*x, words(255));
    const __m512i low = _mm512_permutex2var_epi8(slots->symbol[0], slot, slots->symbol[1]);
    const __m512i high = _mm512_permutex2var_epi8(slots->symbol[2], slot, slots->symbol[3]);
    // Bit 7 of a slot tells the half; the upper bytes of a word are those of slot 0.
    const __m512i bytes = _mm512_mask_mov_epi32(low, _mm512_test_epi32_mask(slot, words(128)), high);
    const __m512i symbol = _mm512_and_si512(bytes, words(255)), code = _mm512_permutexvar_epi32(symbol, slots->code);
    const __m512i product = _mm512_mullo_epi32(_mm512_srli_epi32(*x, 8), _mm512_and_si512(code, words(0xffff)));
    *x = _mm512_add_epi32(product, _mm512_sub_epi32(slot, _mm512_srli_epi32(code, 16)));
    return symbol;
}

INLINE __m512i decode_many(const ck_rans_table *t, __m512i *x) {
    const __m512i slot = _mm512_i32gather_epi32(_mm512_and_si512(*x, words(0xfff)), t->slot, 4), above = _mm512_srli_epi32(*x, 12);
    const __m512i less = _mm512_and_si512(_mm512_srli_epi32(slot, 8), words(0xfff));
    *x = _mm512_add_epi32(_mm512_add_epi32(_mm512_mullo_epi32(above, less), above), _mm512_srli_epi32(slot, 20));
    return _mm512_and_si512(slot, words(255));
}

INLINE __m512i decode_lanes(const bool many, const ck_rans_table *t, const Slots *slots, __m512i *x, const uint8_t **words_at) {
    const __m512i symbol = many ? decode_many(t, x) : decode_few(slots, x);
    *x = refill(*x, words_at);
    return symbol;
}

INLINE const uint8_t *decode_run(const bool many, const size_t registers, const uint8_t *least, const uint8_t *words_at,
                                 const ck_rans_run *run, uint32_t *states, uint8_t *symbols) {
    const ck_rans_table *t = run->table;
    const Slots slots = slots_of(t);
    const size_t lanes = registers * LANES, whole = run->count / lanes * lanes;
    size_t i = run->count;
    for (; i % LANES; i--) {
        words_at = rans_get(t, symbols + i - 1, states + (i - 1) % lanes, words_at);
        if (words_at < least) return NULL;
    }
    for (; i > whole; i -= LANES) {
        uint32_t *at = states + i - LANES - whole;
        __m512i x = load_64(at);
        _mm_storeu_si128((__m128i *)(symbols + i - LANES), _mm512_cvtepi32_epi8(decode_lanes(many, t, &slots, &x, &words_at)));
        store_64(at, x);
        if (words_at < least) return NULL;
    }
    __m512i x[MOST], symbol[MOST];
    UNROLL for (size_t v = 0; v < registers; v++) x[v] = load_64(states + v * LANES);
    for (; i > 0; i -= lanes) {
        UNROLL for (size_t v = registers; v > 0; v -= 2) {
            symbol[v - 1] = decode_lanes(many, t, &slots, &x[v - 1], &words_at);
            symbol[v - 2] = decode_lanes(many, t, &slots, &x[v - 2], &words_at);
            // The slack before the bytes is what two registers take at most.
            if (__builtin_expect(words_at < least, 0)) return NULL;
        }
        uint8_t *to = symbols + i - lanes;
        if (registers == 2) {
            _mm_storeu_si128((__m128i *)to, _mm512_cvtepi32_epi8(symbol[0]));
            _mm_storeu_si128((__m128i *)(to + LANES), _mm512_cvtepi32_epi8(symbol[1]));
        }
        UNROLL for (size_t v = 0; v + 4 <= registers; v += 4) store_64(to + v * LANES, bytes_of(symbol + v));
    }
    UNROLL for (size_t v = 0; v < registers; v++) store_64(states + v * LANES, x[v]);
    return words_at;
}

INLINE const uint8_t *decode_on(const bool many, size_t lanes, const uint8_t *least, const uint8_t *words_at, const ck_rans_run *run,
                                uint32_t *states, uint8_t *symbols) {
    switch (lanes) {
    case 32: return decode_run(many, 2, least, words_at, run, states, symbols);
    case 64: return decode_run(many, 4, least, words_at, run, states, symbols);
    default: return decode_run(many, 8, least, words_at, run, states, symbols);
    }
}

static const uint8_t *decode(size_t lanes, const uint8_t *least, const uint8_t *words_at, const ck_rans_run *run, uint32_t *states,
                             uint8_t *symbols) {
    if (run->table->bits == 12) return decode_on(true, lanes, least, words_at, run, states, symbols);
    return decode_on(false, lanes, least, words_at, run, states, symbols);
}

static size_t place(size_t lane) { return lane; }

const ck_rans_kernels ck_rans_avx512 = {encode, decode, place};

#pragma clang attribute pop
#endif
