// planes3 with AVX-512 VBMI and VBMI2: a group of 64 weights at a time. Included by the files of those instruction sets inside their
// target regions.

#ifndef INLINE
#define INLINE static inline __attribute__((always_inline))
#endif
#ifndef UNROLL
#define UNROLL _Pragma("clang loop unroll(full)")
#endif
// The compiler would fold a load into an expansion, whose memory form is slow.
#ifndef IN_REGISTER
#define IN_REGISTER(x) __asm__("" : "+v"(x))
#endif

INLINE __m512i bytes(int x) { return _mm512_set1_epi8((char)x); }
// Bits of a where c has them, else of b.
#define CHOOSE(c, a, b) _mm512_ternarylogic_epi32(a, b, c, 0xe4)

// What six bits stand for: the codes in the lower three of them (`shift` 0) or in the upper three, rotated right by one bit; -1 is the
// escape, which is no such number.
INLINE __m512i symbols(const int shift) {
    static const int8_t rotated[8] = {0, -128, 1, -127, 2, -126, 3, -1};
    _Alignas(64) int8_t table[64];
    UNROLL for (int i = 0; i < 64; i++) table[i] = rotated[i >> shift & 7];
    return _mm512_loadu_si512(table);
}

// Bits that have the codes of group g: in the lower three of six for groups 0, 2, 4, else in the upper three.
INLINE __m512i codes(const uint8_t *block, const int g) {
    if (g < 6) return _mm512_loadu_si512(block + g / 2 * 64);
    const __m512i last = _mm512_loadu_si512(block + 128);
    const __m512i low = g == 6 ? _mm512_srli_epi16(last, 1) : _mm512_srli_epi16(last, 2);
    return _mm512_srli_epi16(CHOOSE(bytes(0xc0), _mm512_loadu_si512(block + (g - 6) * 64), low), 2);
}

// Bases of sixteen rows where products have the rows' pairs.
INLINE __m512i base_words(const uint8_t *bases) {
    const __m512i words = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)bases));
    return _mm512_or_si512(_mm512_slli_epi32(words, 7), _mm512_slli_epi32(words, 23));
}

typedef struct { __m512i lower, upper; } Symbols;

// Group g -> its two pairs of columns of sixteen rows.
INLINE void decode_group(const uint8_t *block, const int g, const uint8_t **escapes, const Symbols *table, __m512i base, __m512i pair[2]) {
    __m512i c = _mm512_permutexvar_epi8(codes(block, g), g < 6 && g % 2 == 0 ? table->lower : table->upper);
    const __mmask64 escaped = _mm512_cmpeq_epi8_mask(c, bytes(-1));
    __m512i given = _mm512_loadu_si512(*escapes);
    IN_REGISTER(given);
    c = _mm512_mask_expand_epi8(c, escaped, given);
    *escapes += __builtin_popcountll(escaped);
    // The sign and the upper seven bits of c; the lowest bit of c and the mantissa.
    const __m512i rest = _mm512_loadu_si512(block + 192 + g * 64);
    const __m512i high = CHOOSE(bytes(0x80), rest, c), low = CHOOSE(bytes(0x80), c, rest);
    pair[0] = _mm512_add_epi16(_mm512_unpacklo_epi8(low, high), base);
    pair[1] = _mm512_add_epi16(_mm512_unpackhi_epi8(low, high), base);
}

// Line `line` of eleven of what is decoded next and of what comes from memory.
INLINE void fetch_line(const uint8_t *far, const uint8_t *near, const int line) {
    if (line >= CK_PLANES3_BLOCK / 64) return;
    __builtin_prefetch(far + line * 64, 0, 2);
    __builtin_prefetch(near + line * 64, 0, 3);
}
// Eleven lines shared out to eight groups.
INLINE void fetch_lines(const uint8_t *far, const uint8_t *near, const int g) {
    fetch_line(far, near, g);
    fetch_line(far, near, g + P3_GROUPS);
}
