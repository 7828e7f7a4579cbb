// A segment to be decoded, its extent known and inside the block. Included by each instruction set, inside its target region, after
// first_escapes:
//
// escapes[c] becomes the elements of chunk c with both bits set in the first level; returns how many there are in all chunks, and in
// `most` those of the fullest chunk, or something greater than SURE_BITS if that has more.
static inline __attribute__((always_inline)) size_t first_escapes(const uint8_t *first, size_t chunks, uint64_t *escapes, size_t *most);

#define LAG 8                       // chunks, see cascade_body.h

typedef struct Segment {
    Shape shape;
    size_t most;                    // escapes of the first level in the fullest chunk; not exact above SURE_BITS
    size_t chunks;
    const uint8_t *rests, *more, *first, *bits, *raw;
    Level levels[LEVELS];
    size_t raw_count, bytes;
    uint8_t symbols[16];            // by rank; 0 where there is none
    _Alignas(32) uint64_t escapes[SEGMENT_CHUNKS + LAG];    // of the first level
} Segment;

// How many of the elements that reach a level have both bits of it set, or the only one: they reach the next level. Both planes begin at
// the same bit of a byte, and the bits behind them up to a whole byte count as 0.
static inline __attribute__((always_inline)) size_t escapes_of(const uint8_t *bits, Level level, bool pair) {
    const uint8_t *plane = bits + (level.start >> 3);
    const size_t other = pair ? level.apart : 0, end = (level.start & 7) + level.count;
    uint64_t mask = ~(uint64_t)0 << (level.start & 7);
    size_t sum = 0, i = 0;
    for (; i + 64 <= end; i += 64, plane += 8, mask = ~(uint64_t)0)
        sum += set_bits(load_word(plane) & load_word(plane + other) & mask);
    if (i < end) sum += set_bits(load_word(plane) & load_word(plane + other) & mask & ~(~(uint64_t)0 << (end - i)));
    return sum;
}

// The first byte and the symbols; returns their bytes, 0 if they are none.
static inline __attribute__((always_inline)) size_t read_head(ck_type type, const uint8_t *at, size_t left, Segment *s) {
    memset(s->symbols, 0, sizeof s->symbols);
    s->shape = at[0] & 3;
    if (s->shape != SHAPE_222 && s->shape != SHAPE_21122) return 0;
    const size_t most = symbols_of(s->shape), limit = exponents_of(type);
    if (at[0] & LISTED) {
        const size_t count = at[0] >> 4;
        if (at[0] & 8 || count == 0 || count > most || left < 1 + count) return 0;
        for (size_t r = 0; r < count; r++) {
            if (at[1 + r] >= limit) return 0;
            s->symbols[r] = at[1 + r];
        }
        return 1 + count;
    }
    if (left < RUN_HEAD) return 0;
    uint32_t head = 0;
    memcpy(&head, at, RUN_HEAD);
    const uint32_t directions = head >> 11;
    const size_t middle = head >> 3 & 255, above = set_bits(directions);
    if (directions >> (most - 1) || middle + above >= limit || middle + above < most - 1) return 0;
    size_t low = middle, high = middle;
    s->symbols[0] = (uint8_t)middle;
    for (size_t r = 1; r < most; r++) {
        const size_t up = directions >> (r - 1) & 1;
        high += up, low -= 1 - up;
        s->symbols[r] = (uint8_t)(up ? high : low);
    }
    return RUN_HEAD;
}

// False if there is no segment of `count` elements at `at`. Counts are not stored: each level's follows from the bits of the one above.
static inline __attribute__((always_inline)) bool open_segment(ck_type type, const uint8_t *at, size_t left, size_t count, Segment *s) {
    if (left == 0) return false;
    const size_t head = read_head(type, at, left, s);
    s->chunks = chunks_of(count);
    const size_t fixed = head + s->chunks * (CHUNK + more_bytes(type) + 2 * EACH_PLANE);
    if (head == 0 || left < fixed) return false;
    s->rests = at + head;
    s->more = s->rests + s->chunks * CHUNK;
    s->first = s->more + s->chunks * more_bytes(type);
    s->bits = at + fixed;
    size_t reach = first_escapes(s->first, s->chunks, s->escapes, &s->most);
    size_t end = 0;
    for (size_t level = 1; level < levels_of(s->shape); level++) {
        const bool pair = width_of(s->shape, level) == 2;
        s->levels[level] = (Level){reach, end, (reach + 7) / 8};
        const size_t gap = pair ? s->levels[level].apart * 8 - reach : 0;
        end = level_end(s->levels[level], pair ? 2 : 1);
        if (left - fixed < (end + 7) / 8) return false;
        if (bits_at(s->bits, s->levels[level].start + reach) & ((1u << gap) - 1)) return false;
        reach = escapes_of(s->bits, s->levels[level], pair);
    }
    const size_t bit_bytes = (end + 7) / 8;
    if (end % 8 && s->bits[bit_bytes - 1] >> end % 8) return false;
    s->raw = s->bits + bit_bytes;
    s->raw_count = reach;
    s->bytes = fixed + bit_bytes + reach;
    if (left < s->bytes) return false;
    if (type == CK_F16)
        for (size_t i = 0; i < reach; i++)
            if (s->raw[i] >= 32) return false;
    return true;
}

// A segment that is stored as it is.
static inline size_t read_verbatim(ck_type type, const uint8_t *at, size_t left, size_t count, uint8_t *elements) {
    const size_t bytes = count * ck_size(type);
    if (left < 1 + bytes || at[0] != VERBATIM) return 0;
    memcpy(elements, at + 1, bytes);
    return 1 + bytes;
}
