// Quantisers: the specification.
#include "kv.h"
#include "kv_quantisers_body.h"

const ck_kv_quantisers ck_kv_quantisers_scalar = {
    quantise_rows, quantise_columns, dequantise_rows, dequantise_columns, deadzone, undeadzone, codebook, look_up, to_fp8, from_fp8,
    predict, unpredict,
};
