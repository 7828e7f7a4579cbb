// The public functions of ENEC blocks: their layout, and what no instruction set speeds up.
#include "enec.h"

static const ck_enec_table *table(ck_isa isa) {
#if defined(__x86_64__)
    if (ck_codec_level(isa) != CK_SCALAR) return &ck_enec_avx2;
#endif
    (void)isa;
    return &ck_enec_scalar;
}

size_t ck_enec_bound(ck_type type, size_t count) { return 1 + count * ck_size(type); }

// Elements whose high bits are stored, if these are the masks of the columns.
static size_t high_count(const uint64_t *masks, size_t columns, size_t chunks) {
    size_t sum = 0;
    for (size_t column = 0; column < columns; column++) {
        const size_t rows = (chunks - column + columns - 1) / columns;
        sum += (size_t)__builtin_popcountll(masks[column]) * rows;
    }
    return sum;
}

static size_t mask_bytes(ck_enec p, size_t chunks) { return p.m < p.n ? enec_columns(p, chunks) * EACH_PLANE : 0; }

static size_t fixed_bytes(ck_type type, ck_enec p, size_t chunks) {
    return 1 + chunks * (CHUNK + more_bytes(type) + p.m * EACH_PLANE) + mask_bytes(p, chunks);
}

size_t ck_enec_encode(ck_isa isa, ck_type type, ck_enec p, const void *elements, size_t count, void *block) {
    assert(count > 0 && count <= CK_CODEC_BLOCK && ck_enec_valid(p));
    const ck_enec_table *codes = table(isa);
    const ck_chunk_table *some = ck_chunks(isa);
    const uint8_t *from = elements;
    uint8_t *out = block;
    const size_t whole = count / CHUNK, part = count % CHUNK, chunks = chunks_of(count), size = ck_size(type);
    const size_t columns = enec_columns(p, chunks);
    _Alignas(64) uint8_t exponents[CK_CODEC_BLOCK];
    _Alignas(64) uint64_t planes[ENEC_PLANES][ENEC_CHUNKS], masks[ENEC_CHUNKS];
    uint8_t tail[CHUNK * 4] = {0};
    memcpy(tail, from + whole * CHUNK * size, part * size);
    some->exponents(type, from, whole, exponents);
    some->exponents(type, tail, chunks - whole, exponents + whole * CHUNK);
    for (size_t s = 0; part && s < CHUNK; s++)              // padding has the code 0
        if (element_of_slot(s) >= part) exponents[whole * CHUNK + s] = enec_exponent(type, p, 0);

    bool coded = codes->map(type, p, exponents, chunks, planes);
    memset(masks, 0, sizeof masks);
    for (size_t c = 0; c < chunks; c++)
        for (size_t plane = p.m; plane < p.n; plane++) masks[c % columns] |= planes[plane][c];
    const size_t high_bytes = (high_count(masks, columns, chunks) + 7) / 8, fixed = fixed_bytes(type, p, chunks);
    coded = coded && fixed + high_bytes * (p.n - p.m) < 1 + count * size;
    if (!coded) {
        out[0] = ENEC_VERBATIM;
        memcpy(out + 1, elements, count * size);
        return 1 + count * size;
    }
    out[0] = ENEC_CODED;
    uint8_t *const rests = out + 1, *const more = rests + chunks * CHUNK, *low = more + chunks * more_bytes(type);
    some->rests(type, from, whole, rests, more);
    some->rests(type, tail, chunks - whole, rests + whole * CHUNK, more + whole * more_bytes(type));
    for (size_t c = 0; c < chunks; c++)
        for (size_t plane = 0; plane < p.m; plane++, low += EACH_PLANE) store_word(low, planes[plane][c]);
    memcpy(low, masks, mask_bytes(p, chunks));
    for (size_t c = columns; c < chunks; c++) masks[c] = masks[c - columns];
    for (size_t plane = p.m; plane < p.n; plane++) codes->pack(planes[plane], masks, chunks, out + fixed + (plane - p.m) * high_bytes);
    return fixed + high_bytes * (p.n - p.m);
}

static bool open_block(ck_type type, ck_enec p, const uint8_t *at, size_t bytes, size_t count, EnecBlock *b) {
    b->p = p;
    b->chunks = chunks_of(count);
    b->columns = enec_columns(p, b->chunks);
    const size_t fixed = fixed_bytes(type, p, b->chunks);
    if (at[0] != ENEC_CODED || bytes < fixed) return false;
    b->rests = at + 1;
    b->more = b->rests + b->chunks * CHUNK;
    b->low = b->more + b->chunks * more_bytes(type);
    b->high = at + fixed;
    memset(b->masks, 0, sizeof b->masks);
    memcpy(b->masks, b->high - mask_bytes(p, b->chunks), mask_bytes(p, b->chunks));
    const size_t high = high_count(b->masks, b->columns, b->chunks);
    b->high_bytes = (high + 7) / 8;
    b->most = 0;
    for (size_t column = 0; column < b->columns; column++) {
        const size_t flagged = (size_t)__builtin_popcountll(b->masks[column]);
        b->most = flagged > b->most ? flagged : b->most;
    }
    if (bytes != fixed + b->high_bytes * (p.n - p.m)) return false;
    for (size_t plane = 0; high % 8 && plane < (size_t)(p.n - p.m); plane++)
        if (b->high[(plane + 1) * b->high_bytes - 1] >> high % 8) return false;
    return true;
}

bool ck_enec_decode(ck_isa isa, ck_type type, ck_enec p, const void *block, size_t bytes, size_t count, void *elements) {
    assert(ck_enec_valid(p));
    if (count == 0 || count > CK_CODEC_BLOCK || bytes == 0) return false;
    const uint8_t *at = block;
    const size_t whole = count / CHUNK, part = count % CHUNK, size = ck_size(type);
    if (at[0] == ENEC_VERBATIM) {
        if (bytes != 1 + count * size) return false;
        memcpy(elements, at + 1, count * size);
        return true;
    }
    EnecBlock b;
    if (!open_block(type, p, at, bytes, count, &b)) return false;
    uint8_t tail[CHUNK * 4];
    table(isa)->read(type, &b, whole, elements, tail);
    if (part == 0) return true;
    memcpy((uint8_t *)elements + whole * CHUNK * size, tail, part * size);
    return is_padding(type, enec_exponent(type, p, 0), tail, part);
}
