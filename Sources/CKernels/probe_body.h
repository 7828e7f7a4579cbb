// What the machine could do at best, for one instruction set; included last, as it also gathers the table.

static uint64_t probe_arithmetic(ck_type type, uint64_t rounds, float *sink) {
#ifdef DOT_PRODUCT
    if (type == CK_BF16) {
        const uint16_t half_one[2] = {0x3f00, 0x3f80};
        D x = d_all(half_one);
        V sum[CHAINS];
        for (size_t j = 0; j < CHAINS; j++) sum[j] = v_zero();
        for (uint64_t i = 0; i < rounds; i++) {
            UNROLL for (size_t j = 0; j < CHAINS; j++) sum[j] = v_dot(x, x, sum[j]);
        }
        for (size_t j = 0; j < CHAINS; j++) *sink += v_sum(sum[j]);
        return rounds * CHAINS * 64;
    }
#endif
    (void)type;
    const V x = v_all(0.5f), y = v_all(1.0f);
    V sum[CHAINS];
    for (size_t j = 0; j < CHAINS; j++) sum[j] = v_zero();
    for (uint64_t i = 0; i < rounds; i++) {
        UNROLL for (size_t j = 0; j < CHAINS; j++) sum[j] = v_fma(sum[j], x, y);
    }
    for (size_t j = 0; j < CHAINS; j++) *sink += v_sum(sum[j]);
    return rounds * CHAINS * 32;
}

static uint64_t probe_read(const void *bytes, size_t count) {
    const char *p = bytes;
    Fold fold[4] = {0};
    for (size_t i = 0; i + 256 <= count; i += 256) {
        UNROLL for (size_t j = 0; j < 4; j++) {
            __builtin_prefetch(p + i + j * 64 + PROBE_AHEAD);
            fold_line(&fold[j], p + i + j * 64);
        }
    }
    return fold_value(fold[0]) ^ fold_value(fold[1]) ^ fold_value(fold[2]) ^ fold_value(fold[3]);
}

#define SIMD_TABLE                                                                                                             \
    {                                                                                                                          \
        multiply, multiply_planes3, operand_rows, rms_norm, head_norm, rotate, silu_multiply, to_float, from_float, write_kv,  \
        attend_span, join, finish, find_largest, exponentiate, probe_arithmetic, probe_read,                                   \
    }
