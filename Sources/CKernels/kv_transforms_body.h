// Transforms that compilers make vectors of; included by the file of each instruction set.

static void affine_columns(float *plane, size_t stride, size_t rows, size_t columns, const float *factor, const float *term) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) plane[r * stride + c] = fmaf(plane[r * stride + c], factor[c], term[c]);
}

static void affine_rows(float *plane, size_t stride, size_t rows, size_t columns, const float *factor, const float *term) {
    for (size_t r = 0; r < rows; r++) {
        const float f = factor[r], t = term[r];
        for (size_t c = 0; c < columns; c++) plane[r * stride + c] = fmaf(plane[r * stride + c], f, t);
    }
}

#define PRODUCT_COLUMNS 64      // whose sums are kept at a time

static void product(const float *in, size_t in_stride, size_t rows, size_t inner, const float *matrix, size_t columns, float *out,
                    size_t out_stride) {
    for (size_t first = 0; first < columns; first += PRODUCT_COLUMNS) {
        const size_t some = columns - first < PRODUCT_COLUMNS ? columns - first : PRODUCT_COLUMNS;
        for (size_t r = 0; r < rows; r++) {
            float sum[PRODUCT_COLUMNS] = {0};
            for (size_t i = 0; i < inner; i++) {
                const float x = in[r * in_stride + i], *row = matrix + i * columns + first;
                for (size_t j = 0; j < some; j++) sum[j] = fmaf(x, row[j], sum[j]);
            }
            memcpy(out + r * out_stride + first, sum, some * sizeof(float));
        }
    }
}
