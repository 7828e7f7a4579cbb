// Lossless codecs for the elements of a tensor, in blocks that stand alone. Plain C as in ckernels.h: no heap, no I/O, no threads.
//
// Every bit pattern survives. Bytes do not depend on the instruction set, and equal elements give equal bytes. Byte order is little.
// Encoders write at most the bound of a block and CK_CODEC_SLACK bytes behind it. Decoders take bytes from anybody: they return false
// for what is no block of that many elements (then the output holds anything), never write outside the output and never read
// further than CK_CODEC_SLACK bytes behind the block, whose values do not matter. Sources/Weights/ENECFormat.md has the layouts.
#pragma once

#include "ckernels.h"

#define CK_CODEC_BLOCK 16384    // elements of a block, at most; at least one
#define CK_CODEC_SLACK 64

/// Adds to counts[e] how many of the elements have the exponent e. f16 has 32 of them, the others 256.
void ck_exponent_histogram(ck_isa isa, ck_type type, const void *elements, size_t count, uint64_t counts[256]);

// ---- Cascade ----------------------------------------------------------------------------------------------------------------
// For files: nearly the size of a Huffman code of the exponents. See "Cascade blocks".

/// Bytes of a block of `count` elements, at most.
size_t ck_cascade_bound(ck_type type, size_t count);

/// Returns the bytes that the block takes.
size_t ck_cascade_encode(ck_isa isa, ck_type type, const void *elements, size_t count, void *block);

bool ck_cascade_decode(ck_isa isa, ck_type type, const void *block, size_t bytes, size_t count, void *elements);

// ---- ENEC -------------------------------------------------------------------------------------------------------------------
// The published scheme (arXiv 2604.03298) in its sizes; the order of bits is our own. See "ENEC blocks".

/// An exponent e becomes y = (b - e) mod 2^n; its m low bits are stored for all elements, the others for groups of l in which some
/// element has one of them set.
typedef struct ck_enec {
    uint8_t b;
    uint8_t n;      // 1..8
    uint8_t m;      // 1..n; n: there is nothing but low bits
    uint8_t l;      // 16, 32, 64 or 128
} ck_enec;

bool ck_enec_valid(ck_enec p);

/// The parameters for a tensor by the published search. Of no elements: (0, 1, 1, 16).
ck_enec ck_enec_search(const uint64_t counts[256]);

/// As with the cascade; `p` is valid. Blocks with an exponent that n bits do not reach are stored as they are.
size_t ck_enec_bound(ck_type type, size_t count);
size_t ck_enec_encode(ck_isa isa, ck_type type, ck_enec p, const void *elements, size_t count, void *block);
bool ck_enec_decode(ck_isa isa, ck_type type, ck_enec p, const void *block, size_t bytes, size_t count, void *elements);
