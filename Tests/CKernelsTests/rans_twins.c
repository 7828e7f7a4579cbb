// Compares rANS of one instruction set with the scalar twin: equal bytes, equal symbols, equal verdicts on what is no coding. Usage:
// rans_twins <number of ck_isa>. An instruction set that the machine lacks is emulated or left out (see emulate-avx512.sh).
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ckkv.h"

static ck_isa isa;
static int failures;
static size_t refused, accepted;

static uint64_t state = 88172645463325252u;
static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static void expect(bool holds, const char *what, size_t lanes, size_t count) {
    if (holds) return;
    if (failures++ < 50) printf("DIFFERS %s: %zu lanes, %zu symbols\n", what, lanes, count);
}

static const ck_rans_logs *logs(void) {
    static ck_rans_logs logs;
    if (logs.log2[2] == 0) ck_rans_prepare_logs(&logs);
    return &logs;
}

#define MOST (1u << 18)

// Memory with pages before and behind it that may not be touched.
static uint8_t *guarded(uint8_t **end) {
    uint8_t *p = mmap(NULL, MOST + 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mprotect(p, 4096, PROT_NONE) || mprotect(p + 4096 + MOST, 4096, PROT_NONE)) exit(2);
    *end = p + 4096 + MOST;
    return p + 4096;
}

#define SKIPPED 0x77            // stands where nothing is coded, and must go on standing there

static uint8_t *in_start, *in_end, *out_start, *out_end, *symbols_start, *symbols_end;

// ---- Cases ----------------------------------------------------------------------------------------------------------------------

#define RUNS 6
static ck_rans_table tables[RUNS];
static ck_rans_run runs[RUNS];

// Frequencies that sum to 1 << bits, of one of several natures.
static void make_table(ck_rans_table *table, unsigned bits, size_t symbols) {
    uint32_t counts[256] = {0};
    uint16_t frequencies[256];
    const int nature = (int)(next() % 5);
    for (size_t s = 0; s < symbols; s++)
        switch (nature) {
        case 0: counts[s] = 1; break;
        case 1: counts[s] = (uint32_t)(next() % 1000); break;
        case 2: counts[s] = next() % 3 ? 0 : (uint32_t)(next() % 1000); break;
        case 3: counts[s] = (uint32_t)(1e6 * exp(-fabs((double)s - (double)symbols / 2) * 0.8)); break;
        default: counts[s] = s == symbols / 2 ? 4000000 : 1;
        }
    if (nature == 4 && next() % 2) memset(counts, 0, sizeof counts), counts[next() % symbols] = 1;
    ck_rans_fit(logs(), counts, symbols, bits, frequencies);
    expect(ck_rans_prepare(table, bits, frequencies, symbols), "prepared table", bits, symbols);
}

// Symbols about as often as their frequencies say, or only rare ones.
static void fill(const ck_rans_run *run, uint8_t *symbols) {
    const ck_rans_table *t = run->table;
    const uint32_t all = 1u << t->bits;
    const bool rare = next() % 8 == 0;
    uint8_t least = 0;
    uint32_t lowest = all;
    for (size_t s = 0; s < t->symbols; s++) {
        const uint32_t f = t->code[s] & 0x1fff;
        if (f && f <= lowest) lowest = f, least = (uint8_t)s;
    }
    for (size_t i = 0; i < run->count; i++) symbols[i] = rare ? least : (uint8_t)t->slot[next() % all];
}

// What the lanes begin with: those of the case, null for zeros; those that came back.
static uint16_t seeds_given[128], seeds_found[128];
static const uint16_t *seeds;
static uint8_t *seeds_start, *seeds_end;

static bool decode(ck_isa on, size_t lanes, const uint8_t *coded, size_t bytes, size_t count, size_t symbols) {
    // Before and behind the slack nothing may be read.
    const bool low = next() % 2, seeded = seeds;
    uint8_t *in = low ? in_start + CK_KV_SLACK : in_end - CK_KV_SLACK - bytes;
    memset(in - CK_KV_SLACK, (int)next(), CK_KV_SLACK);
    memcpy(in, coded, bytes);
    memset(in + bytes, (int)next(), CK_KV_SLACK);
    uint8_t *out = low ? symbols_start + 64 : symbols_end - 64 - symbols;
    memset(out - 64, 0xa5, symbols + 128);
    for (size_t i = 0, place = 0; i < count; i++, place += runs[i - 1].count) memset(out + place, SKIPPED, runs[i].skip), place += runs[i].skip;
    uint16_t *found = low ? (uint16_t *)seeds_start : (uint16_t *)seeds_end - lanes;
    const bool taken = ck_rans_decode(on, lanes, in, bytes, runs, count, out, seeded ? found : NULL);
    if (seeded) memcpy(seeds_found, found, lanes * 2);
    for (int i = 1; i <= 64; i++)
        if (out[-i] != 0xa5 || out[symbols + (size_t)i - 1] != 0xa5) expect(false, "wrote beside the symbols", lanes, symbols);
    memmove(symbols_start, out, symbols);
    return taken;
}

// The format as README.md has it, with divisions.
static size_t plain(size_t lanes, const uint8_t *symbols, size_t count, const uint16_t *seeds, uint8_t *out) {
    uint32_t state[128];
    size_t bytes = 0;
    for (size_t i = 0; i < lanes; i++) state[i] = (1 << 15) + (seeds ? seeds[i] : 0);
    for (size_t r = 0; r < count; r++) {
        uint32_t frequencies[256], starts[256], sum = 0;
        for (size_t s = 0; s < runs[r].table->symbols; s++) {
            frequencies[s] = runs[r].table->code[s] & 0x1fff, starts[s] = sum;
            sum += frequencies[s];
        }
        symbols += runs[r].skip;
        for (size_t i = 0; i < runs[r].count; i++, symbols++) {
            uint32_t *x = &state[i % lanes];
            const uint64_t f = frequencies[*symbols];
            if ((uint64_t)*x * sum >= f << 31) {
                out[bytes++] = (uint8_t)*x, out[bytes++] = (uint8_t)(*x >> 8);
                *x >>= 16;
            }
            *x = (uint32_t)(*x / f * sum + *x % f + starts[*symbols]);
        }
    }
    size_t at = bytes * 8;
    memset(out + bytes, 0, lanes * 17 / 4 + 1);
    uint8_t lengths[64] = {0};
    for (size_t i = 0; i < lanes; i++) {
        unsigned length = 0;
        while (state[i] >> (16 + length)) length++;
        lengths[i / 2] |= (uint8_t)(length << (i % 2 ? 4 : 0));
        for (unsigned j = 0; j < 15 + length; j++, at++) out[at / 8] |= (uint8_t)((state[i] >> j & 1) << at % 8);
    }
    bytes = (at + 7) / 8;
    memcpy(out + bytes, lengths, lanes / 2);
    return bytes + lanes / 2;
}

static uint8_t coded[MOST], again[MOST], symbols[MOST], broken[MOST], kept[MOST];

// Of the stream that `coded` holds.
static size_t states_bytes(size_t lanes, size_t bytes) {
    size_t bits = 0;
    for (size_t i = 0; i < lanes; i++) bits += 15u + (coded[bytes - lanes / 2 + i / 2] >> i % 2 * 4 & 15);
    return (bits + 7) / 8 + lanes / 2;
}

static void hostile(size_t lanes, size_t bytes, size_t count, size_t all) {
    size_t length = bytes;
    memcpy(broken, coded, bytes);
    switch (next() % 8) {
    case 7:     // more words than are asked for
        length += 2 * (1 + next() % 20);
        memmove(broken + length - bytes, broken, bytes);
        break;
    case 0: length = next() % (bytes + 1); break;
    case 1: length += 2 * (1 + next() % 20); memset(broken + bytes, (int)next(), 40); break;
    case 2: broken[bytes - 1 - next() % (lanes * 2)] ^= (uint8_t)(1 << next() % 8); break;
    case 3: broken[next() % bytes] ^= (uint8_t)(1 << next() % 8); break;
    case 4:
        for (size_t i = next() % bytes, end = i + next() % 300; i < end && i < bytes; i++) broken[i] = (uint8_t)next();
        break;
    case 5:     // right states and nothing else
        for (size_t i = 0; i + states_bytes(lanes, bytes) < bytes; i++) broken[i] = (uint8_t)next();
        break;
    default:    // too few words
        length = states_bytes(lanes, bytes) + (bytes - states_bytes(lanes, bytes)) / 4 * 2;
        memmove(broken, broken + bytes - length, length);
    }
    const bool expected = decode(CK_SCALAR, lanes, broken, length, count, all);
    memcpy(kept, symbols_start, all);
    uint16_t seeds_kept[128];
    memcpy(seeds_kept, seeds_found, sizeof seeds_kept);
    if (decode(isa, lanes, broken, length, count, all) != expected) expect(false, "verdict on broken bytes", lanes, all);
    else if (expected && (memcmp(kept, symbols_start, all) || (seeds && memcmp(seeds_kept, seeds_found, lanes * 2)))) expect(false, "symbols of broken bytes", lanes, all);
    // What is taken is the coding of what comes out of it.
    if (expected) {
        const bool same = plain(lanes, kept, count, seeds ? seeds_kept : NULL, again) == length && memcmp(again, broken, length) == 0;
        expect(same, "took what is no coding", lanes, all);
    }
    if (expected) accepted++;
    else refused++;
}

static void check(size_t lanes, size_t count, size_t most) {
    size_t all = 0;
    for (size_t i = 0; i < count; i++) {
        const unsigned bits = next() % 3 ? 8 : 12;
        make_table(&tables[i], bits, 1 + next() % (bits == 8 ? CK_RANS_FEW : CK_RANS_MANY));
        const size_t n = next() % 6 == 0 ? 0 : next() % 4 == 0 ? lanes * (next() % 9) : next() % most;
        runs[i] = (ck_rans_run){&tables[i], next() % 3 ? 0 : (uint32_t)(next() % 100), (uint32_t)n};
        memset(symbols + all, SKIPPED, runs[i].skip);
        fill(&runs[i], symbols + all + runs[i].skip);
        all += runs[i].skip + n;
    }
    seeds = next() % 2 ? seeds_given : NULL;
    for (size_t i = 0; i < lanes; i++) seeds_given[i] = (uint16_t)(next() % 4 ? next() & 0x7fff : next() % 2 ? 0x7fff : 0);
    const size_t bound = ck_rans_bound(all, lanes);
    memset(coded, 0x5a, bound + 256);
    const size_t a = ck_rans_encode(CK_SCALAR, lanes, symbols, runs, count, seeds, coded);
    uint8_t *out = out_end - CK_KV_SLACK - bound;
    memset(out - 256, 0x5a, bound + 256);
    const size_t b = ck_rans_encode(isa, lanes, symbols, runs, count, seeds, out);
    expect(a == b && memcmp(coded, out, a) == 0, "encode", lanes, all);
    expect(plain(lanes, symbols, count, seeds, kept) == a && memcmp(kept, coded, a) == 0, "format", lanes, all);
    expect(a <= bound, "bound", lanes, all);
    for (int i = 1; i <= 256; i++) expect(out[-i] == 0x5a, "wrote before the bytes", lanes, all);
    expect(decode(CK_SCALAR, lanes, coded, a, count, all) && memcmp(symbols_start, symbols, all) == 0, "scalar round trip", lanes, all);
    expect(!seeds || memcmp(seeds_found, seeds, lanes * 2) == 0, "scalar seeds", lanes, all);
    expect(decode(isa, lanes, coded, a, count, all) && memcmp(symbols_start, symbols, all) == 0, "round trip", lanes, all);
    expect(!seeds || memcmp(seeds_found, seeds, lanes * 2) == 0, "seeds", lanes, all);
    for (int i = 0; i < 12; i++) hostile(lanes, a, count, all);
}

// ---- Tables ---------------------------------------------------------------------------------------------------------------------

// The frequencies are those of the plain greedy choice, and the cost is near what they cost.
static void fit(unsigned bits, size_t symbols) {
    uint32_t counts[256];
    uint16_t frequencies[256], greedy[256] = {0};
    for (size_t s = 0; s < symbols; s++) counts[s] = next() % 4 ? (uint32_t)(next() % (next() % 2 ? 10 : 100000)) : 0;
    ck_rans_fit(logs(), counts, symbols, bits, frequencies);
    size_t left = (size_t)1 << bits;
    double cost = 0, all = 0;
    for (size_t s = 0; s < symbols; s++)
        if (counts[s]) greedy[s] = 1, left--;
    if (left == (size_t)1 << bits) greedy[0] = (uint16_t)left, left = 0;
    for (; left; left--) {
        size_t best = 0;
        double most = -1;
        for (size_t s = 0; s < symbols; s++) {
            const double gain = counts[s] * log1p(1.0 / (greedy[s] ? greedy[s] : 1));
            if (counts[s] && gain > most * (1 + 1e-13)) most = gain, best = s;
        }
        greedy[best]++;
    }
    expect(memcmp(greedy, frequencies, symbols * 2) == 0, "greedy frequencies", bits, symbols);
    for (size_t s = 0; s < symbols; s++)
        if (counts[s]) cost += counts[s] * (bits - log2(frequencies[s])) * 1024, all += counts[s];
    // A millionth of a bit for each symbol.
    expect(fabs((double)ck_rans_cost(logs(), counts, symbols, bits, frequencies) - cost) <= all / 1024 + 1, "cost", bits, symbols);
    double entropy = 0;
    for (size_t s = 0; s < symbols; s++)
        if (counts[s]) entropy += counts[s] * log2(all / counts[s]) * 1024;
    expect(fabs((double)ck_rans_entropy(logs(), counts, symbols) - entropy) <= all + 1, "entropy", bits, symbols);
}

static void bad_tables(void) {
    ck_rans_table *t = &tables[0];
    uint16_t f[257] = {255, 1};
    expect(ck_rans_prepare(t, 8, f, 2), "good table", 8, 2);
    expect(!ck_rans_prepare(t, 8, f, 1) && !ck_rans_prepare(t, 8, f, 0) && !ck_rans_prepare(t, 8, f, 17), "table of bad size", 8, 17);
    expect(!ck_rans_prepare(t, 7, f, 2) && !ck_rans_prepare(t, 12, f, 2) && !ck_rans_prepare(t, 12, f, 257), "table of bad bits", 12, 2);
    f[2] = 0xffff, f[3] = 1;
    expect(!ck_rans_prepare(t, 8, f, 4), "table that overflows", 8, 4);
    uint32_t counts[2] = {0, 0};
    ck_rans_fit(logs(), counts, 2, 12, f);
    expect(f[0] == 4096 && f[1] == 0, "frequencies of nothing", 12, 2);
    counts[1] = 5;
    expect(ck_rans_cost(logs(), counts, 2, 12, f) == UINT64_MAX, "cost of what cannot be coded", 12, 2);
}

// Streams that are written down: of forty symbols by all bytes, of four hundred by a checksum (FNV-1a).
static void golden(void) {
    const uint16_t f[3] = {1, 2, 253};
    static const uint8_t expected[] = {
        0x12, 0x03, 0x25, 0x61, 0x40, 0x62, 0xf0, 0x48, 0x18, 0x08, 0x18, 0x06, 0x24, 0x06, 0x00, 0x01, 0x00, 0x80, 0xc4, 0xc0,
        0x30, 0x60, 0x18, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x86, 0x01, 0xc3, 0x80, 0x61, 0xc0, 0x30, 0x10, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x0c, 0x03, 0x86, 0x01, 0xc3, 0x40, 0x00, 0x00, 0x60, 0x18, 0x30, 0x0c, 0x00, 0x00, 0x00, 0x0c, 0x03, 0x01,
        0x00, 0x80, 0x61, 0xc0, 0x30, 0x60, 0x18, 0x30, 0x0c, 0x00, 0x00, 0x00, 0x00, 0x70, 0x80, 0x07, 0x0f, 0x00, 0x78, 0x00,
        0x00, 0x87, 0x00, 0x70, 0x00, 0x08, 0x07, 0x00, 0x80,
    };
    uint8_t s[400], out[400 * 2 + 136 + CK_KV_SLACK];
    for (int i = 0; i < 400; i++) s[i] = i % 7 == 3 ? 0 : i % 5 == 1 ? 1 : 2;
    ck_rans_prepare(&tables[0], 8, f, 3);
    runs[0] = (ck_rans_run){&tables[0], 0, 40};
    const size_t few = ck_rans_encode(isa, 32, s, runs, 1, NULL, out);
    expect(few == sizeof expected && memcmp(out, expected, few) == 0, "golden bytes", 32, 40);
    runs[0].count = 400;
    uint64_t sum = 0xcbf29ce484222325;
    uint16_t numbers[32];
    for (int i = 0; i < 32; i++) numbers[i] = (uint16_t)(1000 * i);
    const size_t bytes = ck_rans_encode(isa, 32, s, runs, 1, numbers, out);
    for (size_t i = 0; i < bytes; i++) sum = (sum ^ out[i]) * 0x100000001b3;
    expect(bytes == 194 && sum == 0xcfe961c4ff89a363, "golden checksum", bytes, 400);
}

// Ends of streams that no encoder writes. One symbol that takes no bits leaves states as they are.
static void bad_states(void) {
    const uint16_t f[1] = {256};
    uint8_t bytes[CK_KV_SLACK + 32 * 15 / 8 + 16 + CK_KV_SLACK] = {0}, *in = bytes + CK_KV_SLACK, symbol;
    const size_t all = 32 * 15 / 8 + 16;
    uint16_t numbers[32];
    ck_rans_prepare(&tables[0], 8, f, 1);
    runs[0] = (ck_rans_run){&tables[0], 0, 1};
    expect(ck_rans_decode(isa, 32, in, all, runs, 1, &symbol, NULL), "plain states", 32, 1);
    in[0] = 1;
    expect(!ck_rans_decode(isa, 32, in, all, runs, 1, &symbol, NULL), "a seed where there is none", 32, 1);
    expect(ck_rans_decode(isa, 32, in, all, runs, 1, &symbol, numbers) && numbers[0] == 1 && numbers[1] == 0, "a seed", 32, 1);
    in[0] = 0;
    expect(!ck_rans_decode(isa, 32, in + 1, all - 1, runs, 1, &symbol, NULL), "states that begin before the stream", 32, 1);
    expect(!ck_rans_decode(isa, 32, in + all - 15, 15, runs, 1, &symbol, NULL), "lengths that begin before the stream", 32, 1);
    // A state of 16 bits makes 481 bits of all: seven are left.
    in[-1] = 0, in[all - 1] = 0x10;
    expect(!ck_rans_decode(isa, 32, in - 1, all + 1, runs, 1, &symbol, numbers), "a first state above 2^16", 32, 1);
    in[all - 17] = 0x80;
    expect(!ck_rans_decode(isa, 32, in - 1, all + 1, runs, 1, &symbol, numbers), "unused bits", 32, 1);
}

int main(int count, char **words) {
    if (count != 2) return 2;
    isa = (ck_isa)atoi(words[1]);
    in_start = guarded(&in_end), out_start = guarded(&out_end), symbols_start = guarded(&symbols_end);
    seeds_start = guarded(&seeds_end);
    golden();
    bad_tables();
    bad_states();
    for (size_t s = 1; s <= 16; s++) fit(8, s), fit(8, s);
    for (size_t s = 1; s <= 256; s += 17) fit(12, s);
    for (size_t lanes = 32; lanes <= 128; lanes *= 2) {
        for (int i = 0; i < 700; i++) check(lanes, next() % (RUNS + 1), i % 20 ? 700 : 9000);
        for (int i = 0; i < 300; i++) check(lanes, 1, 300);
    }
    printf("rans on instruction set %d: %d differences; of broken bytes %zu refused, %zu taken\n", (int)isa, failures, refused, accepted);
    return failures > 0;
}
