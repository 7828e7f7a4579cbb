// Numeric kernels of a transformer: plain C, no heap, no I/O, no threads, no flags.
//
// Every function takes the instruction set as its first argument and is looked up in a constant table. A kernel cannot fail; wrong
// arguments are asserts. Rows, columns and key ranges are parameters: who runs which range on which thread is the caller's affair.
// No kernel writes outside the ranges it is given. README.md beside this folder explains layouts, register tiles and blocking.
//
// Order of arithmetic (the contract that makes answers independent of batch, chunk and thread count):
//   products     one fused multiply-add chain per output element, k ascending; CK_AVX512BF16 with bf16: k pairs ascending
//   sums         sixteen lanes, lane j adds elements j, j+16, ...; lanes are then added pairwise at distance 8, 4, 2, 1
//   exponential  2^x by one polynomial of degree 6
//   int8         whole sums over k (or 32 columns) in int32, hence exact; the few f32 operations per sum are written at ck_int8_product
// CK_SCALAR, CK_AVX2, CK_AVX512 and CK_AVX512VNNI give equal bits. CK_AVX512BF16 gives equal bits with itself and, in what is computed
// from int8, with the others; otherwise close values.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CK_PANEL 64             // output rows of a weight panel; keys of a KV page
#define CK_COLUMN_UNIT 16       // granularity of column ranges of a product
#define CK_SPAN 1024            // keys after which attention starts a fresh partial result, at absolute positions
#define CK_ATTENTION_ROWS 48    // rows (token x query head of one KV head) of one attention call, at most
#define CK_MAX_HEAD 256         // head dimension, at most
#define CK_STATE_HEAD 16        // floats before the weighted values in one row of an attention state

typedef enum ck_isa {
    CK_SCALAR = 0,
    CK_AVX2 = 1,        // AVX2, FMA, F16C
    CK_AVX512 = 2,      // AVX-512 F, BW, DQ, VL
    CK_AVX512VNNI = 3,  // the same and VNNI: products of bytes in one instruction
    CK_AVX512BF16 = 4,  // the same and BF16
} ck_isa;

typedef enum ck_type {
    CK_BF16 = 0,
    CK_F32 = 1,
    CK_F16 = 2,         // sources only
} ck_type;

/// Whether this machine can run `isa`.
bool ck_supported(ck_isa isa);

/// The fastest that this machine can run. Decided by what the processor is, never by a timing, so that the workers of a machine
/// agree: CK_AVX512BF16 only where vdpbf16ps does more than the fp32 multiply-adds that replace it.
ck_isa ck_fastest(void);

/// The type in which left operands of products are stored: CK_BF16 for (CK_AVX512BF16, CK_BF16), otherwise CK_F32.
/// With weights of CK_BF16 the values are rounded to bf16 in either case.
ck_type ck_operand_type(ck_isa isa, ck_type weights);

/// One wait step of a spinning thread.
static inline void ck_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

// ---- Products -------------------------------------------------------------------------------------------------------------

/// c[m][n0..n1] = a[m][k] . w[n0..n1][k]^T, or added to what c holds.
typedef struct ck_product {
    const void *a;      // [m][a_stride] operands; elements k.. of a row are not read
    size_t a_stride;    // elements
    const void *w;      // bf16 [ceil(n/64)][k/2][64][2], f32 [ceil(n/64)][k][64]; rows n.. are zero
    float *c;           // [m][c_stride]
    size_t c_stride;    // elements
    size_t m;
    size_t k;           // even
    size_t n;           // rows of the weight matrix
    size_t n0, n1;      // n0 a multiple of 16; n1 a multiple of 16, or n
    ck_type type;       // of the weights
    bool accumulate;    // chains start at c instead of 0
    const void *next;   // what the caller reads after these weights, or null: its first 16 KB are fetched into the cache meanwhile
} ck_product;

void ck_multiply(ck_isa isa, const ck_product *product);

/// Row-major rows [rows][source_stride] become weight rows first.. of the panels [..][k][64] that begin at `panels`.
/// `columns` may be odd: the missing element of the last pair is written as zero. Rows of the last panel that no call
/// writes must be zeroed by the caller.
void ck_pack_rows(const void *source, ck_type source_type, size_t source_stride, size_t rows, size_t columns,
                  void *panels, ck_type type, size_t first);

/// Weight row `row` of panels with `columns` columns -> out[columns].
void ck_unpack_row(const void *panels, ck_type type, size_t columns, size_t row, float *out);

// ---- Products of int8 ---------------------------------------------------------------------------------------------------------
// Weights and operands are whole numbers -127..127 times a scale. An operand row has one scale, its greatest magnitude / 127; it is
// rounded to nearest even.

#define CK_INT8_COLUMNS 65536   // columns of a matrix, at most: sums of that many products fit int32
#define CK_INT8_GROUP 32

typedef enum ck_int8 {
    CK_INT8_ROW = 0,    // weights: one f32 scale per row
    CK_INT8_GROUPS = 1, // weights: one bf16 scale per 32 columns of a row
} ck_int8;

/// Bytes of the panels of a matrix. A panel of 64 rows is contiguous:
///   CK_INT8_ROW     f32 scale[64], then [ceil(columns/4)][64][4] weights
///   CK_INT8_GROUPS  for each 32 columns: bf16 scale[64], then [8][64][4] weights
/// A weight is stored as itself + 128. What is missing at the end of a row is 0 (stored 128).
size_t ck_int8_panel_bytes(ck_int8 form, size_t rows, size_t columns);

/// Row-major rows [rows][source_stride] become weight rows first.. of the panels that begin at `panels`, rounded to nearest even.
/// A row or group with a value that is not finite gets the scale NaN, and so do its results. Rows of the last panel that no call
/// writes must be zeroed by the caller.
void ck_int8_pack_rows(ck_int8 form, const void *source, ck_type source_type, size_t source_stride, size_t rows, size_t columns,
                       void *panels, size_t first);

/// Weight row `row` of panels with `columns` columns -> out[columns].
void ck_int8_unpack_row(ck_int8 form, const void *panels, size_t columns, size_t row, float *out);

/// Bytes of an operand row: f32 scale, int32 -128 * sum of the values, up to byte 64 nothing; the values up to a multiple of 32, then
/// as zeros up to a multiple of 64; int32 -128 * sum for each 32 values. A multiple of 64.
size_t ck_int8_operand_bytes(size_t columns);

/// out[i] = x[pick[i]] as an operand row; pick may be null (row i). x[..][x_stride] of CK_F32 or CK_BF16; `out_stride` in bytes.
/// A row with a value that is not finite gets the scale NaN. Rows whose greatest magnitude is below 2^-100 become zero.
void ck_int8_operand(ck_isa isa, ck_type x_type, const void *x, size_t x_stride, const int32_t *pick, size_t rows, size_t columns,
                     void *out, size_t out_stride);

/// As ck_rms_norm with CK_F32, but to operand rows. Uses 256 KB of stack, as does the next.
void ck_int8_rms_norm(ck_isa isa, const float *x, size_t x_stride, const int32_t *pick, size_t rows, size_t columns,
                      const float *weight, float epsilon, void *out, size_t out_stride);

/// As ck_silu_multiply with CK_F32, but to operand rows.
void ck_int8_silu_multiply(ck_isa isa, const float *x, size_t x_stride, size_t rows, size_t columns, void *out, size_t out_stride);

/// c[m][n0..n1] = a[m][k] . w[n0..n1][k]^T, or added to what c holds. In f32, each operation rounded:
///   CK_INT8_ROW     c = fma(float(sum) * a_scale, w_scale, c or 0)
///   CK_INT8_GROUPS  s = 0; for each group, ascending: s = fma(float(sum), w_scale, s); then c = fma(s, a_scale, c or 0)
typedef struct ck_int8_product {
    const void *a;      // [m] operand rows, a_stride bytes apart
    size_t a_stride;
    const void *w;      // panels
    float *c;           // [m][c_stride]
    size_t c_stride;    // elements
    size_t m;
    size_t k;           // columns of the matrix
    size_t n;           // rows of the matrix
    size_t n0, n1;      // n0 a multiple of 16; n1 a multiple of 16, or n
    ck_int8 form;
    bool accumulate;
    const void *next;   // as in ck_product
} ck_int8_product;

void ck_int8_multiply(ck_isa isa, const ck_int8_product *product);

// ---- Rows -----------------------------------------------------------------------------------------------------------------
// Operand results are [rows][out_stride] elements of ck_operand_type(isa, type), rounded to bf16 when type is CK_BF16.

/// out[i] = operand(x[pick[i]]); pick may be null (row i).
void ck_operand(ck_isa isa, ck_type type, const float *x, size_t x_stride, const int32_t *pick, size_t rows, size_t columns,
                void *out, size_t out_stride);

/// out[i] = operand(x[pick[i]] / sqrt(mean(x^2) + epsilon) * weight); weight[columns]; pick may be null (row i).
void ck_rms_norm(ck_isa isa, ck_type type, const float *x, size_t x_stride, const int32_t *pick, size_t rows, size_t columns,
                 const float *weight, float epsilon, void *out, size_t out_stride);

/// The same per head and in place: x[rows][x_stride] begins with `heads` heads of `dimension`; weight[dimension].
void ck_head_norm(ck_isa isa, float *x, size_t x_stride, size_t rows, size_t heads, size_t dimension, const float *weight,
                  float epsilon);

/// Rotates pairs (i, i + half) of every head in place. x[rows][x_stride] begins with `heads` heads of `dimension` >= 2*half;
/// cosine, sine [positions][half]; position[rows].
void ck_rotate(ck_isa isa, float *x, size_t x_stride, size_t rows, size_t heads, size_t dimension, size_t half,
               const float *cosine, const float *sine, const int32_t *position);

/// out[i][j] = operand(silu(x[i][j]) * x[i][columns + j]); x[rows][x_stride] holds gate then up, `columns` each.
void ck_silu_multiply(ck_isa isa, ck_type type, const float *x, size_t x_stride, size_t rows, size_t columns, void *out,
                      size_t out_stride);

// ---- Conversions, whole arrays ----------------------------------------------------------------------------------------------
// Rounding is to nearest even; NaN stays NaN (bf16: quietened, upper payload kept).

void ck_to_float(ck_isa isa, const void *source, ck_type type, size_t count, float *out);
void ck_from_float(ck_isa isa, const float *source, ck_type type, size_t count, void *out);

// ---- KV pages and attention -------------------------------------------------------------------------------------------------
// A page holds 64 tokens. For one layer and KV head it is a K panel, then a V panel:
//   bf16  K [dimension/2][64][2]   V [32 token pairs][dimension][2]
//   f32   K [dimension][64]        V [64][dimension]
// Memory of a page that a token has not been written to must be finite (zero it before its first use).

/// Writes tokens position.. of one KV head. k, v [tokens][stride] begin at that head. `kv` is this layer's and head's place
/// in page 0, `pages[i]` the page of tokens 64i..64i+63 of the sequence.
void ck_write_kv(ck_isa isa, ck_type type, const float *k, const float *v, size_t stride, size_t tokens, size_t dimension,
                 void *kv, size_t page_bytes, const int32_t *pages, size_t position);

/// Causal attention of some rows of one KV head. Row r is query token r / group, head r % group of the group.
typedef struct ck_attention {
    const float *q;         // [tokens][q_stride]: the group's heads of `dimension`, unscaled
    size_t q_stride;        // elements
    const void *kv;         // this layer's and KV head's place in page 0
    size_t page_bytes;
    const int32_t *pages;   // page of keys 64i..64i+63
    void *out;              // operands [tokens][out_stride]: the group's heads of `dimension`
    size_t out_stride;      // elements
    size_t position;        // absolute position of query token 0
    size_t row0, rows;      // rows <= CK_ATTENTION_ROWS
    size_t dimension;       // even, 8..CK_MAX_HEAD
    size_t group;           // query heads per KV head
    ck_type type;           // of the pages
    const void *next;       // a K panel that the caller comes to next, or null: it and the V panel behind it are fetched meanwhile
} ck_attention;

/// Floats of one row of a state: maximum, sum, then the weighted values from CK_STATE_HEAD on.
static inline size_t ck_state_stride(size_t dimension) { return CK_STATE_HEAD + (dimension + 15) / 16 * 16; }

/// Spans that some row of the call sees.
static inline size_t ck_spans(const ck_attention *a) {
    return (a->position + (a->row0 + a->rows - 1) / a->group) / CK_SPAN + 1;
}

/// All keys, result to `out`. Uses up to 400 KB of stack.
void ck_attend(ck_isa isa, const ck_attention *attention);

/// Keys span*1024.. only: state[rows][ck_state_stride]. For the split of a long context over threads.
void ck_attend_span(ck_isa isa, const ck_attention *attention, size_t span, float *state);

/// Joins the states [spans][rows][ck_state_stride] in ascending order and writes `out`; equal bits with ck_attend.
void ck_attend_join(ck_isa isa, const ck_attention *attention, size_t spans, float *states);

// ---- Logits -----------------------------------------------------------------------------------------------------------------

#define CK_LOGIT_BLOCK 1024

typedef struct ck_largest {
    float value;        // -infinity if all are NaN
    size_t index;       // the lowest of that value; 0 if all are NaN
    bool nan;           // some are NaN; they count for nothing else
} ck_largest;

/// Of x[count], count > 0.
ck_largest ck_find_largest(ck_isa isa, const float *x, size_t count);

/// weights[i] = 2^((x[i] - maximum) * factor), or 0 where that is less than `floor`; weights may be null, or x. The sums of blocks of
/// CK_LOGIT_BLOCK weights go to sums[ceil(count / CK_LOGIT_BLOCK)]; returns their sum, added in order.
double ck_exponentiate(ck_isa isa, const float *x, size_t count, float maximum, float factor, float floor, float *weights, double *sums);

// ---- The machine ------------------------------------------------------------------------------------------------------------

/// Performs `rounds` rounds of independent multiply-adds in registers (vdpbf16ps for CK_AVX512BF16 and CK_BF16, otherwise
/// fp32); returns the operations done, a multiply and an add counting as two. `sink` keeps the work alive.
uint64_t ck_probe_arithmetic(ck_isa isa, ck_type type, uint64_t rounds, float *sink);

/// The same with the instructions that ck_int8_multiply uses.
uint64_t ck_int8_probe_arithmetic(ck_isa isa, uint64_t rounds, float *sink);

/// Reads bytes[count], prefetching ahead; returns a fold of them.
uint64_t ck_probe_read(ck_isa isa, const void *bytes, size_t count);
