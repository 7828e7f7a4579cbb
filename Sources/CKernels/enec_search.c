// The parameter search of the paper (section V-E): b for the least sum of codes, then m and l for the least bits per element.
#include "enec.h"

bool ck_enec_valid(ck_enec p) {
    return p.n >= 1 && p.n <= 8 && p.m >= 1 && p.m <= p.n && (p.l == 16 || p.l == 32 || p.l == 64 || p.l == 128);
}

static unsigned bit_length(unsigned x) {
    unsigned bits = 0;
    for (; x; x >>= 1) bits++;
    return bits;
}

// Doubles are only multiplied, added and compared here, so every machine finds the same.
static double share(const uint64_t counts[256], ck_enec p, uint64_t all, unsigned limit) {
    uint64_t within = 0;
    for (unsigned e = 0; e < 256; e++)
        if (enec_code(p, e) < limit) within += counts[e];
    return (double)within / (double)all;
}

ck_enec ck_enec_search(const uint64_t counts[256]) {
    ck_enec best = {0, 1, 1, 16};
    unsigned low = 0, high = 255;
    while (low < 256 && counts[low] == 0) low++;
    if (low == 256) return best;
    while (counts[high] == 0) high--;
    best.b = (uint8_t)low;
    if (low == high) return best;

    // The paper tries b inside (low, high) and fails when n would be 9. Here the ends count too, and n = 8 reaches every exponent.
    uint64_t all = 0, least = UINT64_MAX;
    for (unsigned e = low; e <= high; e++) all += counts[e];
    for (unsigned b = low; b <= high; b++) {
        const unsigned below = bit_length(b - low), above = b < high ? bit_length(high - b - 1) : 0;
        const unsigned n = (below > above ? below : above) + 1;
        const ck_enec p = {(uint8_t)b, (uint8_t)(n > 8 ? 8 : n), 1, 16};
        uint64_t sum = 0;
        for (unsigned e = low; e <= high; e++) sum += counts[e] * enec_code(p, e);
        if (sum < least) least = sum, best = p;
    }
    double fewest = best.n;         // m = n: no masks, no high bits
    best.m = best.n;
    for (unsigned m = 1; m < best.n; m++) {
        double power = share(counts, best, all, 1u << m);
        for (int i = 0; i < 4; i++) power *= power;         // to the 16th
        for (unsigned l = 16; l <= 128; l *= 2, power *= power) {
            const double bits = 1.0 / l + best.n - (double)(best.n - m) * power;
            if (bits < fewest) fewest = bits, best.m = (uint8_t)m, best.l = (uint8_t)l;
        }
    }
    return best;
}
