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

