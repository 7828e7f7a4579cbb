// The bits of a segment with pdep; included inside target regions with AVX2, BMI2 and POPCNT.
//
// A chunk's exponents are known by a number 0..15 of each element: which of the symbols it has. What the first level decides has the
// numbers 0 to 2; for all else the levels below make a number of four bits, to which 3 is added without carry. (a0, a1 are the planes of the
// first level, l and h the lower and upper plane of a level counted from 1, b that of a level with one.) Without a symbol it is 15 ^ 3.
//   (2,2,2)      l3, h3, l2, h2
//   (2,1,1,2,2)  b2 ^ h3 ^ h4, l3, b1 ^ l4 ^ h4, h3
// These four planes are made for the elements that escape the first level alone, as one stream each, in words of 56 bits; then they are
// spread over the chunks. So the lower levels cost a third of what they would if every chunk went down all of them.

static inline __attribute__((always_inline)) size_t first_escapes(const uint8_t *first, size_t chunks, uint64_t *escapes, size_t *most) {
    const __m256i fifteen = _mm256_set1_epi8(15), zero = _mm256_setzero_si256();
    const __m256i ones = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    __m256i sum = zero, top = zero;
    size_t c = 0;
    for (; c + 4 <= chunks; c += 4, first += 64) {
        const __m256i x = _mm256_loadu_si256((const __m256i *)first), y = _mm256_loadu_si256((const __m256i *)(first + 32));
        const __m256i both = _mm256_and_si256(_mm256_unpacklo_epi64(x, y), _mm256_unpackhi_epi64(x, y));   // of chunks 0, 2, 1, 3
        _mm256_store_si256((__m256i *)(escapes + c), _mm256_permute4x64_epi64(both, 0xd8));
        const __m256i bytes = _mm256_add_epi8(_mm256_shuffle_epi8(ones, _mm256_and_si256(both, fifteen)),
                                              _mm256_shuffle_epi8(ones, _mm256_and_si256(_mm256_srli_epi16(both, 4), fifteen)));
        const __m256i counts = _mm256_sad_epu8(bytes, zero);
        sum = _mm256_add_epi64(sum, counts);
        top = _mm256_max_epu8(top, counts);
    }
    _Alignas(32) uint64_t sums[4], tops[4];
    _mm256_store_si256((__m256i *)sums, sum);
    _mm256_store_si256((__m256i *)tops, top);
    size_t all = sums[0] + sums[1] + sums[2] + sums[3];
    *most = 0;
    for (size_t i = 0; i < 4; i++) *most = tops[i] > *most ? tops[i] : *most;
    for (size_t i = 0; i < LAG; i++) escapes[chunks + i] = 0;
    for (; c < chunks; c++, first += 16) {
        escapes[c] = load_word(first) & load_word(first + 8);
        const size_t some = set_bits(escapes[c]);
        all += some;
        *most = some > *most ? some : *most;
    }
    return all;
}

#define ABSENT 0x80     // as a rank: no symbol
static const uint8_t ranks_222[16] = {0, 1, 2, 3, ABSENT, ABSENT, ABSENT, 4, ABSENT, ABSENT, ABSENT, 5, ABSENT, 8, 7, 6};
static const uint8_t ranks_21122[16] = {0, 1, 2, 3, 6, ABSENT, 5, 4, 10, 9, ABSENT, ABSENT, ABSENT, 8, ABSENT, 7};

#define WORD_BITS 56    // of a stream; whole bytes, and fewer than SURE_BITS
#define WORD_BYTES 7

// Chunks are stored LAG chunks after they are spread: words have left the store buffer by then, and can be loaded in twos. Spreading and
// storing in one loop keep the whole machine busy.
typedef struct Numbers {
    uint8_t streams[4][SEGMENT / 8 + 16];
    _Alignas(32) uint64_t planes[SEGMENT_CHUNKS + LAG][4];
    _Alignas(32) uint64_t raw[SEGMENT_CHUNKS + LAG];    // which elements have no symbol
} Numbers;

// A word at a time: its bits of levels 2 and below are those that its bits of level 1 ask for.
INLINE void make_streams(const Segment *s, Numbers *numbers) {
    const uint8_t *const bits = s->bits, *const upper1 = bits + s->levels[1].apart, *const upper2 = bits + s->levels[2].apart;
    const uint8_t *const upper3 = bits + s->levels[3].apart, *const upper4 = bits + s->levels[4].apart;
    size_t q2 = s->levels[2].start, q3 = s->levels[3].start, q4 = s->levels[4].start, left = s->levels[1].count;
    for (size_t at = 0; left > 0; at += WORD_BYTES) {
        const size_t here = left < WORD_BITS ? left : WORD_BITS;
        const uint64_t mask = ((uint64_t)1 << here) - 1;
        uint64_t k0, k1, k2, k3;
        left -= here;
        if (s->shape == SHAPE_222) {
            k2 = load_word(bits + at) & mask, k3 = load_word(upper1 + at) & mask;
            const uint64_t e2 = k2 & k3;
            k0 = _pdep_u64(bits_at(bits, q2), e2), k1 = _pdep_u64(bits_at(upper2, q2), e2);
            q2 += set_bits(e2);
        } else {
            const uint64_t b1 = load_word(bits + at) & mask, b2 = _pdep_u64(bits_at(bits, q2), b1);
            const uint64_t l3 = _pdep_u64(bits_at(bits, q3), b2), h3 = _pdep_u64(bits_at(upper3, q3), b2), e4 = l3 & h3;
            const uint64_t l4 = _pdep_u64(bits_at(bits, q4), e4), h4 = _pdep_u64(bits_at(upper4, q4), e4);
            q2 += set_bits(b1), q3 += set_bits(b2), q4 += set_bits(e4);
            k0 = b2 ^ h3 ^ h4, k1 = l3, k2 = b1 ^ l4 ^ h4, k3 = h3;
        }
        store_word(numbers->streams[0] + at, k0);
        store_word(numbers->streams[1] + at, k1);
        store_word(numbers->streams[2] + at, k2);
        store_word(numbers->streams[3] + at, k3);
    }
}

// Chunk c, whose bits of the streams begin at q; returns where they end. Behind the last chunk there are LAG more without escapes. `full`: a
// chunk may have more than SURE_BITS escapes.
INLINE size_t spread_chunk(const Segment *s, bool full, size_t c, size_t q, Numbers *numbers) {
    const uint64_t escapes = s->escapes[c];
    uint64_t planes[4];
    for (size_t k = 0; k < 4; k++) planes[k] = _pdep_u64(full ? all_bits_at(numbers->streams[k], q) : bits_at(numbers->streams[k], q), escapes);
    for (size_t k = 0; k < 4; k++) numbers->planes[c][k] = planes[k];
    numbers->raw[c] = planes[0] & planes[1] & planes[2] & planes[3];
    return q + set_bits(escapes);
}

// The exponents by number; 0 where there is none.
INLINE __m128i symbols_by_number(const Segment *s) {
    const __m128i ranks = _mm_loadu_si128((const __m128i *)(s->shape == SHAPE_222 ? ranks_222 : ranks_21122));
    return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)s->symbols), ranks);
}
