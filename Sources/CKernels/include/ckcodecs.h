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
