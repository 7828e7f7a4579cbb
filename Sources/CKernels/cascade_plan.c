// Which symbols and which shape make a segment smallest. Whole numbers only, so every machine finds the same.
#include "cascade.h"

#define GROUP 32
#define GROUPS (256 / GROUP)

// The greatest count of each 32 exponents: what is looked for is in few of them. (Signed, for which every x86-64 has an instruction.)
static void find_greatest(const uint16_t *counts, int16_t greatest[GROUPS]) {
    for (size_t group = 0; group < GROUPS; group++) {
        int16_t most = 0;
        for (size_t i = 0; i < GROUP; i++) {
            const int16_t count = (int16_t)counts[group * GROUP + i];
            most = count > most ? count : most;
        }
        greatest[group] = most;
    }
}

// The most frequent exponent, the lowest of equals.
static size_t most_frequent(const uint16_t *counts, const int16_t *greatest) {
    size_t group = 0;
    for (size_t i = 1; i < GROUPS; i++) group = greatest[i] > greatest[group] ? i : group;
    size_t e = group * GROUP;
    while (counts[e] != greatest[group]) e++;
    return e;
}

// From the most frequent exponent on always the more frequent of the two neighbours of what is taken; of equals the one below.
static uint16_t find_run(ck_type type, const uint16_t *counts, const int16_t *greatest, uint8_t *symbols) {
    size_t low = most_frequent(counts, greatest), high = low, limit = exponents_of(type) - 1;
    uint16_t directions = 0;
    symbols[0] = (uint8_t)low;
    for (size_t r = 1; r < MOST_SYMBOLS; r++) {
        const bool up = high < limit && (low == 0 || counts[high + 1] > counts[low - 1]);
        directions |= (uint16_t)(up << (r - 1));
        symbols[r] = (uint8_t)(up ? ++high : --low);
    }
    return directions;
}

// More frequent, or as frequent and lower.
static bool precedes(const uint16_t *counts, uint8_t a, uint8_t b) {
    return counts[a] != counts[b] ? counts[a] > counts[b] : a < b;
}

// Puts `e` where it belongs into the sorted list and lets what then is too much fall off the end.
static size_t insert(const uint16_t *counts, uint8_t e, uint8_t *list, size_t count) {
    size_t at = count < MOST_SYMBOLS ? count : MOST_SYMBOLS - 1;
    for (; at > 0 && precedes(counts, e, list[at - 1]); at--) list[at] = list[at - 1];
    list[at] = e;
    return count < MOST_SYMBOLS ? count + 1 : count;
}

// The most frequent exponents of all. Those of the run come first, as there is little left to do after them.
static size_t find_list(ck_type type, const uint16_t *counts, const int16_t *greatest, const uint8_t *run, uint8_t *list) {
    size_t count = 0, low = run[0], high = run[0];
    for (size_t r = 0; r < MOST_SYMBOLS; r++) {
        low = run[r] < low ? run[r] : low, high = run[r] > high ? run[r] : high;
        if (counts[run[r]]) count = insert(counts, run[r], list, count);
    }
    for (size_t group = 0; group < exponents_of(type) / GROUP; group++)
        for (size_t e = group * GROUP; e < (group + 1) * GROUP; e++) {
            const uint16_t least = count < MOST_SYMBOLS ? 1 : counts[list[count - 1]];
            if (greatest[group] < least) break;
            if (e >= low && e <= high) e = high;        // and on to what is above the run
            else if (counts[e] >= least && (count < MOST_SYMBOLS || precedes(counts, (uint8_t)e, list[count - 1])))
                count = insert(counts, (uint8_t)e, list, count);
        }
    return count;
}

// Symbols that the levels above each one have, and the last one's in the end.
static const uint8_t before_222[] = {0, 3, 6, 9}, before_21122[] = {0, 3, 4, 5, 8, 11};

// `sums[r]`: how often the first r symbols occur.
static void measure(ck_type type, size_t count, const uint16_t *sums, Plan *plan) {
    const uint8_t *before = plan->shape == SHAPE_222 ? before_222 : before_21122;
    size_t end = 0, level = 1;
    for (; level < levels_of(plan->shape); level++) {
        const size_t left = count - sums[before[level]];
        plan->levels[level] = (Level){left, end, (left + 7) / 8};
        end = level_end(plan->levels[level], width_of(plan->shape, level));
    }
    plan->raw = count - sums[before[level]];
    plan->bytes = (plan->listed ? 1 + plan->count : RUN_HEAD) + chunks_of(count) * (CHUNK + more_bytes(type) + 2 * EACH_PLANE) +
                  (end + 7) / 8 + plan->raw;
}

Plan ck_cascade_plan(ck_type type, const uint16_t *counts, size_t count) {
    Plan best = {.shape = VERBATIM, .bytes = 1 + count * ck_size(type)};
    uint8_t symbols[2][MOST_SYMBOLS];                           // of the run, the list
    uint16_t sums[2][MOST_SYMBOLS + 1] = {0};
    int16_t greatest[GROUPS];
    find_greatest(counts, greatest);
    const uint16_t directions = find_run(type, counts, greatest, symbols[0]);
    const size_t listed = find_list(type, counts, greatest, symbols[0], symbols[1]);
    for (size_t r = 0; r < MOST_SYMBOLS; r++) {
        sums[0][r + 1] = (uint16_t)(sums[0][r] + counts[symbols[0][r]]);
        sums[1][r + 1] = (uint16_t)(sums[1][r] + (r < listed ? counts[symbols[1][r]] : 0));
    }
    for (Shape shape = SHAPE_222; shape <= SHAPE_21122; shape++)
        for (int form = 0; form < 2; form++) {
            const size_t most = symbols_of(shape);
            Plan plan = {.shape = shape, .listed = form, .count = (uint8_t)(form && listed < most ? listed : most)};
            measure(type, count, sums[form], &plan);
            if (plan.bytes >= best.bytes) continue;
            memcpy(plan.symbols, symbols[form], plan.count);
            plan.directions = (uint16_t)(directions & ((1 << (most - 1)) - 1));
            best = plan;
        }
    return best;
}
