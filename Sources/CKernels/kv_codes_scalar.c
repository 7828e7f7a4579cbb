// Fixed-length codes and counts: the specification.
#include "kv.h"

// Bits of a symbol go to parts of 4, 2 and 1 bits; each part of a group fills whole lines.
static void pack_group(const uint8_t *symbols, size_t count, size_t line, unsigned bits, uint8_t *out) {
    memset(out, 0, bits * line);
    for (unsigned low = 0, width; low < bits; low += width) {
        width = kv_part(bits - low);
        for (size_t i = 0; i < count; i++) {
            const size_t eighth = i / line, byte = i % line;
            const unsigned value = symbols[i] >> low & ((1u << width) - 1);
            out[(low + eighth * width / 8) * line + byte] |= (uint8_t)(value << eighth * width % 8);
        }
    }
}

static void unpack_group(const uint8_t *in, size_t count, size_t line, unsigned bits, uint8_t *symbols) {
    memset(symbols, 0, count);
    for (unsigned low = 0, width; low < bits; low += width) {
        width = kv_part(bits - low);
        for (size_t i = 0; i < count; i++) {
            const size_t eighth = i / line, byte = i % line;
            const unsigned value = in[(low + eighth * width / 8) * line + byte] >> eighth * width % 8 & ((1u << width) - 1);
            symbols[i] |= (uint8_t)(value << low);
        }
    }
}

static void pack_bits(const uint8_t *symbols, size_t count, unsigned bits, uint8_t *out) {
    for (; count >= KV_GROUP; count -= KV_GROUP, symbols += KV_GROUP, out += bits * KV_LINE)
        pack_group(symbols, KV_GROUP, KV_LINE, bits, out);
    if (count) pack_group(symbols, count, kv_line(count), bits, out);
}

static void unpack_bits(const uint8_t *in, size_t count, unsigned bits, uint8_t *symbols) {
    for (; count >= KV_GROUP; count -= KV_GROUP, symbols += KV_GROUP, in += bits * KV_LINE)
        unpack_group(in, KV_GROUP, KV_LINE, bits, symbols);
    if (count) unpack_group(in, count, kv_line(count), bits, symbols);
}

static void count(const uint8_t *symbols, size_t count, uint32_t *counts) {
    for (size_t i = 0; i < count; i++) counts[symbols[i]]++;
}

const ck_kv_codes ck_kv_codes_scalar = {pack_bits, unpack_bits, count};
