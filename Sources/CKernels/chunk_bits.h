// Bits of planes that begin anywhere. Included inside target regions, so that counting is one instruction where there is one.

#define SURE_BITS 57                // an unaligned word, shifted by up to seven bits

static inline size_t set_bits(uint64_t word) { return (size_t)__builtin_popcountll(word); }

// The bits q.. of a plane, at least SURE_BITS of them; all 64.
static inline __attribute__((always_inline)) uint64_t bits_at(const uint8_t *plane, size_t q) { return load_word(plane + (q >> 3)) >> (q & 7); }
static inline __attribute__((always_inline)) uint64_t all_bits_at(const uint8_t *plane, size_t q) {
    return bits_at(plane, q) | (uint64_t)plane[(q >> 3) + 8] << 1 << (63 - (q & 7));
}
