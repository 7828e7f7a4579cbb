// Transforms and ranges of planes: the specification.
#include "kv.h"
#include "kv_transforms_body.h"

// One power of two of a row.
static void butterflies(float *x, size_t n) {
    for (size_t distance = 1; distance < n; distance *= 2)
        for (size_t i = 0; i < n; i++) {
            if (i & distance) continue;
            const float a = x[i], b = x[i + distance];
            x[i] = a + b;
            x[i + distance] = a - b;
        }
    for (size_t i = 0; i < n; i++) x[i] *= kv_root(n);
}

static void turn(float *x, size_t n, const uint32_t *signs) {
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, 4);
        bits ^= kv_turn(signs, i);
        memcpy(x + i, &bits, 4);
    }
}

static void hadamard(float *plane, size_t stride, size_t rows, size_t columns, const uint32_t *signs, bool inverse) {
    for (size_t r = 0; r < rows; r++) {
        float *x = plane + r * stride;
        if (!inverse) turn(x, columns, signs);
        for (size_t done = 0; done < columns; done += kv_power(columns - done)) butterflies(x + done, kv_power(columns - done));
        if (inverse) turn(x, columns, signs);
    }
}

// The lesser, or the greater: y where x is NaN.
static float lesser(float x, float y) { return x < y ? x : y; }
static float greater(float x, float y) { return x > y ? x : y; }

static void range(const float *x, size_t step, size_t count, float *least, float *greatest) {
    float low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        low = lesser(x[i * step], low);
        high = greater(x[i * step], high);
    }
    *least = low > high ? 0 : low + 0.0f;
    *greatest = low > high ? 0 : high + 0.0f;
}

static void range_rows(const float *plane, size_t stride, size_t rows, size_t columns, float *least, float *greatest) {
    for (size_t r = 0; r < rows; r++) range(plane + r * stride, 1, columns, least + r, greatest + r);
}

static void range_columns(const float *plane, size_t stride, size_t rows, size_t columns, float *least, float *greatest) {
    for (size_t c = 0; c < columns; c++) range(plane + c, stride, rows, least + c, greatest + c);
}

static void product(const float *in, size_t in_stride, size_t rows, size_t inner, const float *matrix, size_t columns, float *out,
                    size_t out_stride) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) {
            float sum = 0;
            for (size_t i = 0; i < inner; i++) sum = fmaf(in[r * in_stride + i], matrix[i * columns + c], sum);
            out[r * out_stride + c] = sum;
        }
}

static void energy_rows(const float *plane, size_t stride, size_t rows, size_t columns, float *energy) {
    for (size_t r = 0; r < rows; r++) {
        float lane[16] = {0};
        for (size_t c = 0; c < columns; c++) lane[c % 16] = fmaf(plane[r * stride + c], plane[r * stride + c], lane[c % 16]);
        for (size_t d = 8; d; d /= 2)
            for (size_t j = 0; j < d; j++) lane[j] += lane[j + d];
        energy[r] = lane[0];
    }
}

const ck_kv_transforms ck_kv_transforms_scalar = {hadamard, affine_columns, affine_rows, product, range_rows, range_columns, energy_rows};
