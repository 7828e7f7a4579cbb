// Products of planes and matrices in tiles of rows that stay in registers; included by the vector files, which have multiply-adds of
// sixteen floats in one or two registers and say how many rows a tile has (TILE_ROWS): as many as there are registers for.

typedef float Sixteen __attribute__((ext_vector_type(16)));

#define EACH_SIXTEEN 16
#define EACH_INNER 256          // so many rows of a matrix make a panel that stays in the first cache beside the rows of a tile

// Goes on with `some` columns of out, or begins them; `panel` has `inner` rows of sixteen columns.
INLINE void product_tile(const float *in, size_t in_stride, const size_t rows, size_t inner, const float *panel, size_t some, bool begins,
                         float *out, size_t out_stride) {
    Sixteen sum[TILE_ROWS] = {0};
    if (!begins) UNROLL for (size_t r = 0; r < rows; r++) memcpy(sum + r, out + r * out_stride, some * sizeof(float));
    for (size_t i = 0; i < inner; i++) {
        Sixteen weight;
        memcpy(&weight, panel + i * EACH_SIXTEEN, sizeof weight);
        UNROLL for (size_t r = 0; r < rows; r++)
            sum[r] = __builtin_elementwise_fma((Sixteen)in[r * in_stride + i], weight, sum[r]);
    }
    UNROLL for (size_t r = 0; r < rows; r++) memcpy(out + r * out_stride, sum + r, some * sizeof(float));
}

// Sixteen columns are copied to one place first: where they lie, powers of two apart, they would fight for the same few lines of every cache.
static void product(const float *in, size_t in_stride, size_t rows, size_t inner, const float *matrix, size_t columns, float *out,
                    size_t out_stride) {
    _Alignas(64) float panel[EACH_INNER * EACH_SIXTEEN];
    for (size_t c = 0; c < columns; c += EACH_SIXTEEN) {
        const size_t some = columns - c < EACH_SIXTEEN ? columns - c : EACH_SIXTEEN;
        size_t first = 0;
        do {
            const size_t count = inner - first < EACH_INNER ? inner - first : EACH_INNER;
            if (some < EACH_SIXTEEN) memset(panel, 0, sizeof panel);
            for (size_t i = 0; i < count; i++) memcpy(panel + i * EACH_SIXTEEN, matrix + (first + i) * columns + c, some * sizeof(float));
            size_t r = 0;
            if (some == EACH_SIXTEEN) {
                for (; r + TILE_ROWS <= rows; r += TILE_ROWS)
                    product_tile(in + r * in_stride + first, in_stride, TILE_ROWS, count, panel, EACH_SIXTEEN, first == 0,
                                 out + r * out_stride + c, out_stride);
                for (; r + 2 <= rows; r += 2)
                    product_tile(in + r * in_stride + first, in_stride, 2, count, panel, EACH_SIXTEEN, first == 0, out + r * out_stride + c,
                                 out_stride);
            }
            for (; r < rows; r++)
                product_tile(in + r * in_stride + first, in_stride, 1, count, panel, some, first == 0, out + r * out_stride + c, out_stride);
            first += count;
        } while (first < inner);
    }
}
