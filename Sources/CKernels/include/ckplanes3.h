// planes3: weights of bf16 without their predictable exponent bits, in a form that products compute on.
//
// A bf16 number has 8 exponent bits, of which the weights of a row use few. Each row has a base; a weight w is kept as the 16-bit
// difference w - (base << 7), modulo 2^16, whose "exponent" c (bits 7..14) is 0..6 for nearly all weights: 3 bits. Other weights have the
// code 7, and their c stands in a list of escapes. Sign and mantissa (bits 15 and 0..6) are kept as one byte. Every bit pattern survives.
//
// A panel of up to 64 rows is one piece of memory that begins at a multiple of 64 bytes:
//   0    base[64]                      of rows; 0 for rows that do not exist
//   64   uint32 end[4]                 where the escapes of each part of 16 rows end, counted from byte 80, little-endian
//   80   escapes                       c rotated right by one bit; in the order in which blocks and their bytes meet them
//        zeros up to a multiple of 64
//   then for each step of 32 columns, for each part of 16 rows that exists: a block of 704 bytes
// A block has 512 weights in 8 groups of 64 (16 rows x 4 columns). Byte i of a group is row (i / 16) * 4 + i % 8 / 2 of the part and column
// group * 4 + i / 8 % 2 * 2 + i % 2 of the step: unpacking the low (high) bytes of each 128-bit quarter gives two columns of all rows.
//   0    64 x 3 bytes of codes: byte i of the first has the codes of groups 0 (bits 0-2) and 1 (3-5), of the second 2 and 3, of the third
//        4 and 5. Bits 6 and 7 of the first: the upper bits of the code of group 6; of the second: of group 7; of the third: the lowest bits of
//        groups 6 and 7.
//   192  64 x 8 bytes of sign and mantissa, group after group
// Rows and columns that do not exist count as weights equal to their base (0 rows: base 0), so that they need no escapes.
//
// Equal input gives equal bytes: the base is the lowest number for which codes 0..6 cover most weights of the row.
#pragma once

#include "ckernels.h"

#define CK_PLANES3_STEP 32              // columns of a block
#define CK_PLANES3_PART 16              // rows of a block
#define CK_PLANES3_BLOCK 704            // bytes of a block
#define CK_PLANES3_HEAD 80              // bytes before the escapes
#define CK_PLANES3_COLUMNS (1 << 24)    // at most

/// Whether products of few rows on `isa` and this machine are faster with planes3 than with bf16 (that is, with AVX-512 VBMI2). All are equal.
bool ck_planes3_is_faster(ck_isa isa);

/// Bytes of a coded panel of `rows` <= 64 rows at most.
size_t ck_planes3_bound(size_t rows, size_t columns);

/// Bytes that ck_planes3_encode would write.
size_t ck_planes3_size(ck_isa isa, const uint16_t *source, size_t stride, size_t rows, size_t columns);

/// Codes source[rows][stride] of bf16 as one panel; returns its bytes, a multiple of 64.
size_t ck_planes3_encode(ck_isa isa, const uint16_t *source, size_t stride, size_t rows, size_t columns, void *panel);

/// Whether `bytes` bytes are a panel of that shape: then all that follows is safe with it. Reads no byte outside. The values of the
/// weights are not looked at.
bool ck_planes3_check(ck_isa isa, const void *panel, size_t bytes, size_t rows, size_t columns);

/// A checked panel -> out[rows][stride] of bf16.
void ck_planes3_decode(ck_isa isa, const void *panel, size_t rows, size_t columns, uint16_t *out, size_t stride);

/// A checked panel -> the weights of 64 rows as products of bf16 have them: [ceil(columns/2)][64][2]. Rows that do not exist, and the
/// column that makes an odd number even, become zero.
void ck_planes3_expand(ck_isa isa, const void *panel, size_t rows, size_t columns, uint16_t *out);

/// Row `row` of a checked panel -> out[columns]. O(16 * columns).
void ck_planes3_unpack_row(ck_isa isa, const void *panel, size_t rows, size_t columns, size_t row, float *out);

/// c[m][n0..n1] = a[m][k] . w[n0..n1][k]^T, or added to what c holds. Equal bits with ck_multiply of the same weights.
typedef struct ck_planes3_product {
    const void *a;          // [m][a_stride] operands as ck_operand_type(isa, CK_BF16) says
    size_t a_stride;        // elements
    const void *w;          // panel p begins at byte 64 * panels[p]
    const uint32_t *panels; // [ceil(n/64)]
    float *c;               // [m][c_stride]
    size_t c_stride;        // elements
    size_t m;
    size_t k;               // columns of the matrix; operands behind them up to an even number are zero
    size_t n;               // rows of the matrix
    size_t n0, n1;          // n0 a multiple of 16; n1 a multiple of 16, or n
    bool accumulate;
    const void *next;       // as in ck_product
} ck_planes3_product;

/// Uses up to 200 KB of stack.
void ck_planes3_multiply(ck_isa isa, const ck_planes3_product *product);
