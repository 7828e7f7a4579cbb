// AVX-512 without bf16 instructions: products in f32, equal to the scalar twin.
#include "planes3.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang fp contract(off)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)

#include "avx512_lanes.h"

// Seven to twelve rows take tiles of 32 columns: all rows in one pass, so each weight is widened once.
#define UNITS_AT(rows) ((rows) > 6 && (rows) <= 12 ? 2 : 4)
#define TALLEST(units) ((units) <= 2 ? 12 : 6)
#define MOST_ROWS 12
#define BLOCK_COLUMNS 96            // 24 KB widened, half of the first-level cache
#define MANY_COLUMNS 288            // 72 KB widened: the second-level cache is fast enough for tiles of six rows
#define BLOCK_ROWS 126

#include "multiply_body.h"
#include "rows_body.h"
#include "attention_body.h"
#include "probe_body.h"

const ck_table ck_avx512_table = SIMD_TABLE;

#pragma clang attribute pop
#endif
