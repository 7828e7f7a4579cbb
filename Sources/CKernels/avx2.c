// AVX2, FMA, F16C.
#include "planes3.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang fp contract(off)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#include "avx2_lanes.h"

// Twelve accumulators, two weights and an operand fill the register file; fewer rows leave room for more columns. (Three rows of
// 32 columns do not fit: with four weights they spill.)
#define UNITS_AT(rows) ((rows) == 1 ? 4 : (rows) == 2 ? 2 : 1)
#define TALLEST(units) ((units) == 1 ? 6 : (units) == 2 ? 2 : 1)
#define MOST_UNITS 2
#define MOST_ROWS 6
#define KEEP_FROM 2
#define BLOCK_COLUMNS 192           // 12 KB widened, a third of the first-level cache
#define MANY_COLUMNS BLOCK_COLUMNS
#define BLOCK_ROWS 126              // x 192 operands: 97 KB of the second-level cache
#define CHAINS 6                    // of the arithmetic probe: twelve registers, more than latency x units
#define PROBE_AHEAD 4096

#include "multiply_body.h"
#include "rows_body.h"
#include "attention_body.h"
#include "probe_body.h"

const ck_table ck_avx2_table = SIMD_TABLE;

#pragma clang attribute pop
#endif
