// The public functions of rANS: argument checks, the ends of streams, tables.
#include "chunk.h"
#include "rans.h"

static const ck_rans_kernels *kernels_on(ck_isa isa) {
#if defined(__x86_64__)
    switch (ck_codec_level(isa)) {
    case CK_SCALAR: return &ck_rans_scalar;
    case CK_AVX2: return &ck_rans_avx2;
    default: return &ck_rans_avx512;
    }
#else
    (void)isa;
    return &ck_rans_scalar;
#endif
}

#define takes_lanes(lanes) ((lanes) == 32 || (lanes) == 64 || (lanes) == RANS_LANES)

// A state takes 4 bits for its length and at most 30 for what is behind its first bit.
size_t ck_rans_bound(size_t count, size_t lanes) { return 2 * count + (34 * lanes + 7) / 8; }

// The states' bits behind the first, then their lengths: four bits each, of two lanes a byte.
static uint8_t *put_states(size_t lanes, const uint32_t *states, const ck_rans_kernels *kernels, uint8_t *out) {
    uint8_t lengths[RANS_LANES / 2] = {0};
    uint64_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < lanes; i++) {
        const uint32_t x = states[kernels->place(i)];
        const unsigned length = 31 - (unsigned)__builtin_clz(x);
        lengths[i / 2] |= (uint8_t)((length - RANS_LEAST_BITS) << i % 2 * 4);
        bits |= (uint64_t)(x - (1u << length)) << held;
        for (held += length; held >= 8; held -= 8, bits >>= 8) *out++ = (uint8_t)bits;
    }
    if (held) *out++ = (uint8_t)bits;
    memcpy(out, lengths, lanes / 2);
    return out + lanes / 2;
}

// The other way, from the end of the stream: returns where the states begin, null if that is not in the stream or unused bits are set.
static const uint8_t *get_states(size_t lanes, uint32_t *states, const ck_rans_kernels *kernels, const uint8_t *in, size_t bytes) {
    if (bytes < lanes / 2) return NULL;
    const uint8_t *const lengths = in + bytes - lanes / 2;
    size_t all = 0;
    for (size_t i = 0; i < lanes; i++) all += RANS_LEAST_BITS + (lengths[i / 2] >> i % 2 * 4 & 15);
    if ((size_t)(lengths - in) < (all + 7) / 8) return NULL;
    const uint8_t *const start = lengths - (all + 7) / 8, *at = start;
    uint64_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < lanes; i++) {
        const unsigned length = RANS_LEAST_BITS + (lengths[i / 2] >> i % 2 * 4 & 15);
        for (; held < length; held += 8) bits |= (uint64_t)*at++ << held;
        states[kernels->place(i)] = 1u << length | (uint32_t)(bits & ((1u << length) - 1));
        bits >>= length, held -= length;
    }
    return bits ? NULL : start;
}

size_t ck_rans_encode(ck_isa isa, size_t lanes, const uint8_t *symbols, const ck_rans_run *runs, size_t count, const uint16_t *seeds,
                      uint8_t *out) {
    assert(takes_lanes(lanes));
    const ck_rans_kernels *kernels = kernels_on(isa);
    _Alignas(64) uint32_t states[RANS_LANES];
    for (size_t i = 0; i < lanes; i++) {
        assert(!seeds || seeds[i] < RANS_LEAST);
        states[kernels->place(i)] = RANS_LEAST | (seeds ? seeds[i] : 0);
    }
    uint8_t *words = out;
    for (size_t i = 0; i < count; i++) {
        words = kernels->encode(lanes, symbols + runs[i].skip, runs + i, states, words);
        symbols += (size_t)runs[i].skip + runs[i].count;
    }
    return (size_t)(put_states(lanes, states, kernels, words) - out);
}

bool ck_rans_decode(ck_isa isa, size_t lanes, const uint8_t *in, size_t bytes, const ck_rans_run *runs, size_t count, uint8_t *symbols,
                    uint16_t *seeds) {
    assert(takes_lanes(lanes));
    const ck_rans_kernels *kernels = kernels_on(isa);
    _Alignas(64) uint32_t states[RANS_LANES];
    const uint8_t *words = get_states(lanes, states, kernels, in, bytes);
    if (!words || (words - in) % 2) return false;
    for (size_t i = 0; i < count; i++) symbols += (size_t)runs[i].skip + runs[i].count;
    for (size_t i = count; i-- > 0;) {
        symbols -= runs[i].count;
        words = kernels->decode(lanes, in, words, runs + i, states, symbols);
        if (!words) return false;
        symbols -= runs[i].skip;
    }
    for (size_t i = 0; i < lanes; i++) {
        const uint32_t seed = states[kernels->place(i)] - RANS_LEAST;
        if (seed >= RANS_LEAST || (seed && !seeds)) return false;
        if (seeds) seeds[i] = (uint16_t)seed;
    }
    return words == in;
}

bool ck_rans_prepare(ck_rans_table *table, unsigned bits, const uint16_t *frequencies, size_t symbols) {
    if (bits != 8 && bits != 12) return false;
    if (symbols == 0 || symbols > (bits == 8 ? CK_RANS_FEW : CK_RANS_MANY)) return false;
    const uint32_t all = 1u << bits;
    uint32_t sum = 0;
    for (size_t s = 0; s < symbols; s++) sum += frequencies[s];
    if (sum != all) return false;
    table->bits = (uint8_t)bits;
    table->symbols = (uint16_t)symbols;
    for (uint32_t s = 0, start = 0; s < (bits == 8 ? CK_RANS_FEW : CK_RANS_MANY); s++) {
        const uint64_t frequency = s < symbols ? frequencies[s] : 0;
        // Symbols that cannot be coded have a start too: kernels count the starts up to a slot.
        table->code[s] = frequency | (uint64_t)start << 17;
        if (frequency == 0) continue;
        const uint64_t shift = frequency > 1 ? 64 - (uint64_t)__builtin_clzll(frequency - 1) : 0;
        table->code[s] |= shift << 13 | (((uint64_t)1 << (31 + shift)) + frequency - 1) / frequency << 32;
        for (uint32_t i = 0; i < frequency; i++) table->slot[start + i] = s | (uint32_t)(frequency - 1) << 8 | i << 20;
        if (bits == 8) memset(table->symbol + start, (int)s, frequency);
        start += (uint32_t)frequency;
    }
    return true;
}

// ---- Frequencies --------------------------------------------------------------------------------------------------------------

#define LOG_BITS 20             // so many that the sum for any counts fits 64 bits

// ln((f + 1) / f), by the series of atanh(1 / (2f + 1)), so that every machine finds the same.
static double ln_step(uint32_t f) {
    const double z = 1.0 / (2.0 * f + 1), square = z * z;
    double sum = 0;
    for (int k = 25; k > 0; k -= 2) sum = sum * square + 1.0 / k;
    return 2 * z * sum;
}

// 2^20 * log2(x), rounded down, bit by bit: a square above 2 is a bit.
static uint32_t log2_fixed(uint32_t x) {
    uint32_t result = 31 - (uint32_t)__builtin_clz(x);
    uint64_t m = (uint64_t)x << (63 - result);          // 1..2, as 1.63 bits
    for (int i = 0; i < LOG_BITS; i++) {
        const unsigned __int128 square = (unsigned __int128)m * m;
        const uint32_t bit = (uint32_t)(square >> 127);
        m = (uint64_t)(square >> (63 + bit));
        result = result << 1 | bit;
    }
    return result;
}

void ck_rans_prepare_logs(ck_rans_logs *logs) {
    logs->gain[0] = INFINITY;
    logs->log2[0] = 0;
    for (uint32_t f = 1; f < 4096; f++) logs->gain[f] = ln_step(f);
    for (uint32_t f = 1; f <= 4096; f++) logs->log2[f] = log2_fixed(f);
}

// What raising a frequency from f to f + 1 gains in nats.
static inline double gain(const ck_rans_logs *logs, uint32_t count, uint32_t f) { return f < 4096 ? logs->gain[f] * count : 0; }

typedef struct Margin {
    double value;
    size_t symbol;
} Margin;

static bool is_better(Margin a, Margin b) { return a.value > b.value || (a.value == b.value && a.symbol < b.symbol); }

void ck_rans_fit(const ck_rans_logs *logs, const uint32_t *counts, size_t symbols, unsigned bits, uint16_t *frequencies) {
    assert((bits == 8 && symbols <= CK_RANS_FEW) || (bits == 12 && symbols <= CK_RANS_MANY));
    assert(symbols > 0);
    const uint32_t all = 1u << bits;
    uint64_t total = 0;
    for (size_t s = 0; s < symbols; s++) total += counts[s];
    memset(frequencies, 0, symbols * sizeof *frequencies);
    if (total == 0) {
        frequencies[0] = (uint16_t)all;
        return;
    }
    // Gains fall with the frequency, so the best frequencies are those of which no raised one is worth more than a lowered one. From the
    // proportional ones it is a few steps there.
    double up[CK_RANS_MANY] = {0}, down[CK_RANS_MANY] = {0};
    uint32_t sum = 0;
    for (size_t s = 0; s < symbols; s++) {
        if (counts[s] == 0) continue;
        const uint64_t share = ((uint64_t)counts[s] << bits) / total;
        frequencies[s] = (uint16_t)(share ? share : 1);
        sum += frequencies[s];
        up[s] = gain(logs, counts[s], frequencies[s]);
        down[s] = frequencies[s] > 1 ? gain(logs, counts[s], frequencies[s] - 1u) : INFINITY;
    }
    for (;;) {
        Margin best = {-1, symbols}, least = {INFINITY, symbols};
        for (size_t s = 0; s < symbols; s++) {
            if (counts[s] == 0) continue;
            if (is_better((Margin){up[s], s}, best)) best = (Margin){up[s], s};
            if (frequencies[s] > 1 && !is_better((Margin){down[s], s}, least)) least = (Margin){down[s], s};
        }
        const bool exchange = sum == all;
        if (exchange && (least.symbol == symbols || !is_better(best, least))) return;
        const bool raise = sum <= all, lower = sum >= all;
        if (raise) frequencies[best.symbol]++, sum++;
        if (lower) frequencies[least.symbol]--, sum--;
        const size_t changed[2] = {raise ? best.symbol : least.symbol, lower ? least.symbol : best.symbol};
        for (size_t i = 0; i < 2; i++) {
            const size_t s = changed[i];
            up[s] = gain(logs, counts[s], frequencies[s]);
            down[s] = frequencies[s] > 1 ? gain(logs, counts[s], frequencies[s] - 1u) : INFINITY;
        }
    }
}

uint64_t ck_rans_cost(const ck_rans_logs *logs, const uint32_t *counts, size_t symbols, unsigned bits, const uint16_t *frequencies) {
    uint64_t cost = 0;
    for (size_t s = 0; s < symbols; s++) {
        if (counts[s] == 0) continue;
        if (frequencies[s] == 0) return UINT64_MAX;
        cost += counts[s] * (uint64_t)((bits << LOG_BITS) - logs->log2[frequencies[s]]);
    }
    return cost >> (LOG_BITS - 10);
}

// 2^20 * log2(x) by the upper twelve bits of x.
static uint64_t log2_near(const ck_rans_logs *logs, uint64_t x) {
    const unsigned bits = 64 - (unsigned)__builtin_clzll(x), low = bits > 12 ? bits - 12 : 0;
    return logs->log2[x >> low] + ((uint64_t)low << LOG_BITS);
}

uint64_t ck_rans_entropy(const ck_rans_logs *logs, const uint32_t *counts, size_t symbols) {
    uint64_t total = 0, sum = 0;
    for (size_t s = 0; s < symbols; s++) {
        if (counts[s] == 0) continue;
        total += counts[s];
        sum += counts[s] * log2_near(logs, counts[s]);
    }
    if (total == 0) return 0;
    const uint64_t all = total * log2_near(logs, total);
    return all > sum ? (all - sum) >> (LOG_BITS - 10) : 0;
}
