// Products of planes and matrices in tiles of four rows that stay in registers; included by the vector files, which have multiply-adds of
// sixteen floats in one or two registers.

typedef float Sixteen __attribute__((ext_vector_type(16)));

#define TILE_ROWS 4
#define EACH_SIXTEEN 16

// `some` columns from the first on.
INLINE void product_tile(const float *in, size_t in_stride, const size_t rows, size_t inner, const float *matrix, size_t columns, size_t some,
                         float *out, size_t out_stride) {
    Sixteen sum[TILE_ROWS] = {0};
    for (size_t i = 0; i < inner; i++) {
        Sixteen weight = {0};
        memcpy(&weight, matrix + i * columns, some * sizeof(float));
        UNROLL for (size_t r = 0; r < rows; r++)
            sum[r] = __builtin_elementwise_fma((Sixteen)in[r * in_stride + i], weight, sum[r]);
    }
    UNROLL for (size_t r = 0; r < rows; r++) memcpy(out + r * out_stride, sum + r, some * sizeof(float));
}

static void product(const float *in, size_t in_stride, size_t rows, size_t inner, const float *matrix, size_t columns, float *out,
                    size_t out_stride) {
    for (size_t c = 0; c < columns; c += EACH_SIXTEEN) {
        size_t r = 0;
        if (columns - c >= EACH_SIXTEEN)
            for (; r + TILE_ROWS <= rows; r += TILE_ROWS)
                product_tile(in + r * in_stride, in_stride, TILE_ROWS, inner, matrix + c, columns, EACH_SIXTEEN, out + r * out_stride + c,
                             out_stride);
        const size_t some = columns - c < EACH_SIXTEEN ? columns - c : EACH_SIXTEEN;
        for (; r < rows; r++)
            product_tile(in + r * in_stride, in_stride, 1, inner, matrix + c, columns, some, out + r * out_stride + c, out_stride);
    }
}
