// Which symbols and which shape make a segment smallest. Whole numbers only, so every machine finds the same.
#include "cascade.h"

// The most frequent exponent, the lowest of equals.
static size_t most_frequent(const uint16_t *counts) {
    uint16_t most = 0;
    for (size_t e = 0; e < 256; e++) most = counts[e] > most ? counts[e] : most;
    size_t e = 0;
    while (counts[e] != most) e++;
    return e;
}

// From the most frequent exponent on always the more frequent of the two neighbours of what is taken; of equals the one below.
static uint16_t find_run(ck_type type, const uint16_t *counts, uint8_t *symbols) {
    size_t low = most_frequent(counts), high = low, limit = exponents_of(type) - 1;
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
static size_t find_list(ck_type type, const uint16_t *counts, const uint8_t *run, uint8_t *list) {
    size_t count = 0, low = run[0], high = run[0];
    for (size_t r = 0; r < MOST_SYMBOLS; r++) {
        low = run[r] < low ? run[r] : low, high = run[r] > high ? run[r] : high;
        if (counts[run[r]]) count = insert(counts, run[r], list, count);
    }
    enum { GROUP = 32 };
    for (size_t first = 0; first < exponents_of(type); first += GROUP) {
        uint16_t most = 0;
        for (size_t e = first; e < first + GROUP; e++) most = counts[e] > most ? counts[e] : most;
        const uint16_t least = count < MOST_SYMBOLS ? 1 : counts[list[count - 1]];
        if (most < least) continue;
        for (size_t e = first; e < first + GROUP; e++)
            if ((e < low || e > high) && counts[e] > 0 && (count < MOST_SYMBOLS || precedes(counts, (uint8_t)e, list[count - 1])))
                count = insert(counts, (uint8_t)e, list, count);
    }
    return count;
}

static void measure(ck_type type, const uint16_t *counts, size_t count, Plan *plan) {
    size_t left = count, symbol = 0, end = 0, level = 0;
    for (; level < levels_of(plan->shape); level++) {
        const size_t width = width_of(plan->shape, level);
        plan->levels[level] = (Level){left, end, (left + 7) / 8};
        if (level > 0) end = level_end(plan->levels[level], width);
        for (size_t taken = 1; taken < (size_t)1 << width && symbol < plan->count; taken++) left -= counts[plan->symbols[symbol++]];
    }
    plan->raw = left;
    plan->bytes = (plan->listed ? 1 + plan->count : RUN_HEAD) + chunks_of(count) * (CHUNK + more_bytes(type) + 2 * EACH_PLANE) +
                  (end + 7) / 8 + left;
}

Plan ck_cascade_plan(ck_type type, const uint16_t *counts, size_t count) {
    Plan best = {.shape = VERBATIM, .bytes = 1 + count * ck_size(type)};
    uint8_t run[MOST_SYMBOLS], list[MOST_SYMBOLS];
    const uint16_t directions = find_run(type, counts, run);
    const size_t listed = find_list(type, counts, run, list);
    for (Shape shape = SHAPE_222; shape <= SHAPE_21122; shape++)
        for (int form = 0; form < 2; form++) {
            const size_t most = symbols_of(shape);
            Plan plan = {.shape = shape, .listed = form, .count = (uint8_t)(form && listed < most ? listed : most)};
            memcpy(plan.symbols, form ? list : run, plan.count);
            plan.directions = (uint16_t)(directions & ((1 << (most - 1)) - 1));
            measure(type, counts, count, &plan);
            if (plan.bytes < best.bytes) best = plan;
        }
    return best;
}
