// The public functions of the cascade: blocks made of segments.
#include "cascade.h"

static const ck_cascade_table *table(ck_isa isa) {
    switch (ck_codec_level(isa)) {
#if defined(__x86_64__)
    case CK_AVX2: return &ck_cascade_avx2;
    case CK_AVX512: return &ck_cascade_avx512;
#endif
    default: return &ck_cascade_scalar;
    }
}

size_t ck_cascade_bound(ck_type type, size_t count) { return (count + SEGMENT - 1) / SEGMENT + count * ck_size(type); }

// The padding of the last chunk has the exponent of the first symbol, so that it costs no bits below the first level.
static void pad(uint8_t *chunk, size_t from, uint8_t exponent) {
    for (size_t s = 0; s < CHUNK; s++)
        if (element_of_slot(s) >= from) chunk[s] = exponent;
}

static size_t write_head(const Plan *plan, uint8_t *out) {
    if (plan->listed) {
        out[0] = (uint8_t)(plan->shape | LISTED | plan->count << 4);
        memcpy(out + 1, plan->symbols, plan->count);
        return 1 + plan->count;
    }
    const uint32_t head = (uint32_t)plan->shape | (uint32_t)plan->symbols[0] << 3 | (uint32_t)plan->directions << 11;
    memcpy(out, &head, RUN_HEAD);
    return RUN_HEAD;
}

// `usual`: the most frequent exponent of what came before.
static size_t write_segment(const ck_cascade_table *codes, const ck_chunk_table *chunks, ck_type type, const uint8_t *elements,
                            size_t count, uint8_t *usual, uint8_t *out) {
    const size_t whole = count / CHUNK, part = count % CHUNK, all = chunks_of(count), size = ck_size(type);
    _Alignas(64) uint8_t exponents[SEGMENT];
    uint8_t tail[CHUNK * 4] = {0};
    uint16_t counts[256] = {0};
    memcpy(tail, elements + whole * CHUNK * size, part * size);
    chunks->exponents(type, elements, whole, exponents);
    chunks->exponents(type, tail, all - whole, exponents + whole * CHUNK);
    chunks->count(exponents, all, *usual, counts);
    counts[0] -= (uint16_t)(all * CHUNK - count);

    const Plan plan = ck_cascade_plan(type, counts, count);
    if (plan.shape == VERBATIM) {
        out[0] = VERBATIM;
        memcpy(out + 1, elements, count * size);
        return plan.bytes;
    }
    *usual = plan.symbols[0];
    if (part) pad(exponents + whole * CHUNK, part, plan.symbols[0]);
    uint8_t *const rests = out + write_head(&plan, out), *const more = rests + all * CHUNK;
    uint8_t *const first = more + all * more_bytes(type), *const bits = first + all * 2 * EACH_PLANE;
    chunks->rests(type, elements, whole, rests, more);
    chunks->rests(type, tail, all - whole, rests + whole * CHUNK, more + whole * more_bytes(type));

    codes->write(&plan, exponents, all, first, bits, out + plan.bytes - plan.raw);
    return plan.bytes;
}

size_t ck_cascade_encode(ck_isa isa, ck_type type, const void *elements, size_t count, void *block) {
    assert(count > 0 && count <= CK_CODEC_BLOCK);
    const ck_cascade_table *codes = table(isa);
    const ck_chunk_table *chunks = ck_chunks(isa);
    const uint8_t *from = elements;
    uint8_t *out = block;
    uint8_t usual = exponent_of(type, upper_half(type, from, 0));
    for (size_t done = 0; done < count; done += SEGMENT) {
        const size_t some = count - done < SEGMENT ? count - done : SEGMENT;
        out += write_segment(codes, chunks, type, from + done * ck_size(type), some, &usual, out);
    }
    return (size_t)(out - (uint8_t *)block);
}

bool ck_cascade_decode(ck_isa isa, ck_type type, const void *block, size_t bytes, size_t count, void *elements) {
    if (count == 0 || count > CK_CODEC_BLOCK) return false;
    const ck_cascade_table *codes = table(isa);
    const uint8_t *at = block, *const end = at + bytes;
    uint8_t *to = elements;
    for (size_t done = 0; done < count; done += SEGMENT) {
        const size_t some = count - done < SEGMENT ? count - done : SEGMENT;
        const size_t taken = codes->read(type, at, (size_t)(end - at), some, to + done * ck_size(type));
        if (taken == 0) return false;
        at += taken;
    }
    return at == end;
}
