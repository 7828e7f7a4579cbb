// What coding a KV cache needs: planes, transforms, quantisers, entropy coding. Plain C as in ckernels.h: no heap, no I/O, no threads.
//
// A *plane* is a matrix [rows][columns] of f32, rows `stride` floats apart: one KV head of a block as [token][dimension] or, transposed,
// [dimension][token]. Symbols are bytes [rows][columns] without gaps. "rows" functions have one parameter per row, "columns" functions one per
// column. Rows and columns may be any number, 0 included; nothing outside them is touched unless a slack is named.
//
// Every instruction set gives equal bits, but for which NaN it is. f32 arithmetic is as written; fma() means one rounding.
#pragma once

#include "ckernels.h"

#define CK_KV_TOKENS 128        // of a block, at most
#define CK_KV_SLACK 64          // bytes behind coded data that vector kernels may read (values do not matter) or overwrite

// ---- Planes -----------------------------------------------------------------------------------------------------------------
// `panel` is the K or V panel of one page (64 tokens) as ckernels.h has it, of bf16.

typedef enum ck_side { CK_KEYS = 0, CK_VALUES = 1 } ck_side;

/// Tokens first..first+tokens of a page -> plane[token][dimension], or with `transposed` plane[dimension][token].
void ck_kv_load(ck_isa isa, ck_side side, const uint16_t *panel, size_t first, size_t tokens, size_t dimension, bool transposed,
                float *plane, size_t stride);

/// The other way, rounded to nearest even; NaN stays NaN. Other tokens of the panel keep what they hold.
void ck_kv_store(ck_isa isa, ck_side side, const float *plane, size_t stride, bool transposed, size_t first, size_t tokens,
                 size_t dimension, uint16_t *panel);

/// Tokens first..first+tokens of a page -> out[dimension][out_stride] (so that a dimension's tokens stand together) as they are, and back.
void ck_kv_unpack(ck_isa isa, ck_side side, const uint16_t *panel, size_t first, size_t tokens, size_t dimension, uint16_t *out,
                  size_t out_stride);
void ck_kv_pack(ck_isa isa, ck_side side, const uint16_t *in, size_t in_stride, size_t first, size_t tokens, size_t dimension,
                uint16_t *panel);

/// in[rows][columns] -> out[columns][rows].
void ck_kv_transpose(ck_isa isa, const float *in, size_t in_stride, size_t rows, size_t columns, float *out, size_t out_stride);
void ck_kv_transpose_symbols(ck_isa isa, const uint8_t *in, size_t rows, size_t columns, uint8_t *out);

// ---- Transforms, in place ---------------------------------------------------------------------------------------------------

/// Orthonormal Hadamard transform of each row: forwards x -> H(s x), back y -> s H(y). Columns split into descending powers of two
/// (96 = 64 + 32), each with its own 1/sqrt. Bit i % 32 of signs[i / 32] set: s[i] = -1. Butterflies of distance 1, 2, 4, ... in this order, then the
/// one multiplication by the f32 nearest to 1/sqrt.
void ck_kv_hadamard(ck_isa isa, float *plane, size_t stride, size_t rows, size_t columns, const uint32_t *signs, bool inverse);

/// x = x * factor[column] + term[column] (fma).
void ck_kv_affine_columns(ck_isa isa, float *plane, size_t stride, size_t rows, size_t columns, const float *factor, const float *term);
void ck_kv_affine_rows(ck_isa isa, float *plane, size_t stride, size_t rows, size_t columns, const float *factor, const float *term);

/// out[r][j] = sum over i of in[r][i] * matrix[i][j]: one fma chain over ascending i. matrix [inner][columns] without gaps.
void ck_kv_product(ck_isa isa, const float *in, size_t in_stride, size_t rows, size_t inner, const float *matrix, size_t columns,
                   float *out, size_t out_stride);

// ---- Ranges -----------------------------------------------------------------------------------------------------------------
// The least and the greatest of each row or column; NaN are passed over. Of nothing, or of NaN only: 0 and 0. A zero is +0.

void ck_kv_range_rows(ck_isa isa, const float *plane, size_t stride, size_t rows, size_t columns, float *least, float *greatest);
void ck_kv_range_columns(ck_isa isa, const float *plane, size_t stride, size_t rows, size_t columns, float *least, float *greatest);

/// Sums of squares of rows: sixteen lanes as ckernels.h has it.
void ck_kv_energy_rows(ck_isa isa, const float *plane, size_t stride, size_t rows, size_t columns, float *energy);

// ---- Uniform quantisers -----------------------------------------------------------------------------------------------------
// symbol = clamp(round to nearest even(fma(x, factor, bias)), 0, top); NaN becomes 0. top <= 255.
// x = fma(symbol, step, offset).

void ck_kv_quantise_rows(ck_isa isa, const float *plane, size_t stride, size_t rows, size_t columns, const float *factor,
                         const float *bias, unsigned top, uint8_t *symbols);
void ck_kv_quantise_columns(ck_isa isa, const float *plane, size_t stride, size_t rows, size_t columns, const float *factor,
                            const float *bias, unsigned top, uint8_t *symbols);
void ck_kv_dequantise_rows(ck_isa isa, const uint8_t *symbols, size_t rows, size_t columns, const float *step, const float *offset,
                           float *plane, size_t stride);
void ck_kv_dequantise_columns(ck_isa isa, const uint8_t *symbols, size_t rows, size_t columns, const float *step, const float *offset,
                              float *plane, size_t stride);

/// A quantiser whose symbols are entropy coded: q = trunc(|x| * factor[row] + rounding) with x's sign; symbol q + 7 where |q| <= 7, else 15.
/// `rounding` is 0.5 or less: less makes the zero wider. Returns how many symbols are 15: their q, clamped to +-32767, go to `wide` in order
/// [row][column]; `wide` has room for rows * columns. NaN counts as 0.
size_t ck_kv_deadzone(ck_isa isa, const float *plane, size_t stride, size_t rows, size_t columns, const float *factor, float rounding,
                      uint8_t *symbols, int16_t *wide);

/// The other way: sign(q) * (|q| - pull) * step[row], q = 0 gives 0. `pull` moves values towards zero, 0..0.5. False, and plane holds
/// anything, if a symbol is over 15 or the symbols 15 are not `count` many.
bool ck_kv_undeadzone(ck_isa isa, const uint8_t *symbols, size_t rows, size_t columns, const float *step, float pull, const int16_t *wide,
                      size_t count, float *plane, size_t stride);

// ---- Other quantisers -------------------------------------------------------------------------------------------------------

/// symbol = how many of the `count` <= 255 ascending thresholds are below x * factor[row]; NaN becomes 0.
void ck_kv_codebook(ck_isa isa, const float *plane, size_t stride, size_t rows, size_t columns, const float *factor,
                    const float *thresholds, size_t count, uint8_t *symbols);

/// x = levels[symbol] * step[row]. levels[256].
void ck_kv_look_up(ck_isa isa, const uint8_t *symbols, size_t rows, size_t columns, const float levels[256], const float *step, float *plane,
                   size_t stride);

/// FP8 E4M3 (4 exponent bits, bias 7, no infinities, greatest 448, 0x7F and 0xFF are NaN, written as 0x7F) of x * row[r] * column[c], rounded to
/// nearest even, saturating.
void ck_kv_to_fp8(ck_isa isa, const float *plane, size_t stride, size_t rows, size_t columns, const float *row, const float *column,
                  uint8_t *symbols);
void ck_kv_from_fp8(ck_isa isa, const uint8_t *symbols, size_t rows, size_t columns, const float *row, const float *column, float *plane,
                    size_t stride);

/// Error-bounded prediction along rows (tokens) of each column: the prediction p is the value before as the decoder has it (0 at first);
/// q = round to nearest even((x - p) / (2 bound)); the value is bf16(fma(q, 2 bound, p)). symbol = q + 127 where |q| <= 127 and the value differs from x by
/// no more than `bound`; else 255, and the value is bf16(x), of which the bits go to `exact` in order [row][column]. x must be bf16 numbers, so that
/// the bound holds always. Returns how many are exact; `exact` has room for rows * columns.
size_t ck_kv_predict(ck_isa isa, const float *plane, size_t stride, size_t rows, size_t columns, float bound, uint8_t *symbols, uint16_t *exact);

/// False, and plane holds anything, if the symbols 255 are not `count` many.
bool ck_kv_unpredict(ck_isa isa, const uint8_t *symbols, size_t rows, size_t columns, float bound, const uint16_t *exact, size_t count,
                     float *plane, size_t stride);

// ---- Fixed-length codes -----------------------------------------------------------------------------------------------------
// `bits` 1..8 for each symbol; symbols that need more are cut. A format: README.md has the order of bits.

size_t ck_kv_packed_bytes(size_t count, unsigned bits);
void ck_kv_pack_bits(ck_isa isa, const uint8_t *symbols, size_t count, unsigned bits, uint8_t *out);
void ck_kv_unpack_bits(ck_isa isa, const uint8_t *in, size_t count, unsigned bits, uint8_t *symbols);

// ---- rANS -------------------------------------------------------------------------------------------------------------------
// Interleaved rANS (Duda, arXiv 1311.2540; Giesen, arXiv 1402.3392): 32-bit states in [2^15, 2^31), 16-bit words, static tables. Symbols are coded
// in *runs*, each with a table; symbol i of a run goes to lane i % lanes, lanes begin anew with each run. The encoder goes forwards and the decoder
// backwards, so that both write and read whole vectors. README.md has the format.

#define CK_RANS_FEW 16          // symbols of a table of 8 bits
#define CK_RANS_MANY 256        // symbols of a table of 12 bits

/// What coding with one set of frequencies needs; made by ck_rans_prepare, read by the kernels of every instruction set. 64-byte aligned.
typedef struct ck_rans_table {
    // frequency | shift << 13 | start << 17 | ceil(2^(31 + shift) / frequency) << 32; shift = ceil(log2(frequency))
    _Alignas(64) uint64_t code[CK_RANS_MANY];
    uint32_t slot[4096];                    // symbol | (frequency - 1) << 8 | (slot - start) << 20
    uint8_t symbol[256];                    // of a slot, if bits is 8
    uint8_t bits;                           // 8 or 12
    uint16_t symbols;
} ck_rans_table;

/// Bytes from one table to the next, for callers that do not see the type.
static inline size_t ck_rans_table_bytes(void) { return sizeof(ck_rans_table); }

/// Makes the table of `symbols` frequencies that sum to 1 << bits; a symbol of frequency 0 cannot be coded. bits is 8 with at most CK_RANS_FEW symbols,
/// 12 with at most CK_RANS_MANY. False for frequencies that are no such table: then `table` holds anything.
bool ck_rans_prepare(ck_rans_table *table, unsigned bits, const uint16_t *frequencies, size_t symbols);

/// Logarithms of frequencies, for choosing among tables: made once, read by anybody.
typedef struct ck_rans_logs {
    double gain[4096];                      // ln((f + 1) / f)
    uint32_t log2[4097];                    // 2^20 * log2(f), rounded down
} ck_rans_logs;

/// For callers that do not see the type.
static inline size_t ck_rans_logs_bytes(void) { return sizeof(ck_rans_logs); }

void ck_rans_prepare_logs(ck_rans_logs *logs);

/// The frequencies, each at least 1 where counts[i] > 0, that code these counts best (greedy, ties to the lower symbol). All counts 0: symbol 0 has all.
void ck_rans_fit(const ck_rans_logs *logs, const uint32_t *counts, size_t symbols, unsigned bits, uint16_t *frequencies);

typedef struct ck_rans_run {
    const ck_rans_table *table;
    uint32_t skip;                          // symbols in front of it that are not coded
    uint32_t count;
} ck_rans_run;

#define CK_RANS_SEED_BITS 15                // what a lane can hold beside symbols, in its first state

/// Bytes that coding `count` symbols takes at most.
size_t ck_rans_bound(size_t count, size_t lanes);

/// lanes: 32, 64 or 128. Every symbol has a frequency in its table. `seeds`: a number below 2^15 for each lane that the decoder gets back, for nothing
/// but the room of its bits; NULL: zeros. `out` has the bound and CK_KV_SLACK. Returns the bytes.
size_t ck_rans_encode(ck_isa isa, size_t lanes, const uint8_t *symbols, const ck_rans_run *runs, size_t count, const uint16_t *seeds,
                      uint8_t *out);

/// Fills `symbols`, as many as the runs code, and `seeds` (NULL: they must be zeros), from anybody's bytes; false if they are no such coding (then both
/// hold anything). Reads CK_KV_SLACK before and behind `in` at most, whose values do not matter.
bool ck_rans_decode(ck_isa isa, size_t lanes, const uint8_t *in, size_t bytes, const ck_rans_run *runs, size_t count, uint8_t *symbols,
                    uint16_t *seeds);

/// Adds to counts[s] how many symbols are s.
void ck_kv_count(ck_isa isa, const uint8_t *symbols, size_t count, uint32_t counts[256]);

/// 1024 * sum of counts[i] * -log2(frequency[i] / 2^bits), for choosing among tables; UINT64_MAX if a symbol that occurs has no frequency.
uint64_t ck_rans_cost(const ck_rans_logs *logs, const uint32_t *counts, size_t symbols, unsigned bits, const uint16_t *frequencies);

/// What no table codes the counts with less than, in the same unit, a thousandth of a bit a symbol uncertain. The sum of counts is below 2^32.
uint64_t ck_rans_entropy(const ck_rans_logs *logs, const uint32_t *counts, size_t symbols);
