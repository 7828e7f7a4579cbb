// Products of few rows that use weights as they are decoded: these never leave the registers. Included by the AVX-512 files, which supply
//   OPERAND                        the type of operands
//   MULTIPLY_PAIR(sum, pair, x)    sum + the pair of columns times the operands x[0], x[1], in the order of ckernels.h
//
// A sum is one chain over k. Of one part, a chain would wait for itself longer than a group takes to decode; so up to four parts are
// decoded in turn (with more rows two, or one: there are more chains, and not more registers).

// Or the compiler delays sums and loads operands of other rows and groups early, and has too few registers for all of them.
#ifndef IN_PLACE
#define IN_PLACE(sum) __asm__ volatile("" : "+v"(sum) : : "memory")
#endif

INLINE void few(p3_cursor *at, size_t steps, const OPERAND *a, size_t a_stride, const size_t rows, size_t first, const size_t parts,
                float *sums) {
    const Symbols table = {symbols(0), symbols(3)};
    __m512i base[P3_PARTS];
    __m512 sum[P3_FEW][P3_PARTS];
    const uint8_t *escapes[P3_PARTS];
    const size_t step = at->step;
    UNROLL for (size_t u = 0; u < parts; u++) {
        base[u] = base_words(at->bases + (first + u) * CK_PLANES3_PART);
        escapes[u] = at->escapes[first + u];
        UNROLL for (size_t i = 0; i < rows; i++) sum[i][u] = _mm512_loadu_ps(sums + i * CK_PANEL + (first + u) * CK_PLANES3_PART);
    }
    const uint8_t *block = p3_block(at, first), *far = p3_far(at, first);
    for (; steps > 0; steps--, block += step, far += step, a += CK_PLANES3_STEP)
        UNROLL for (int g = 0; g < P3_GROUPS; g++)
            UNROLL for (size_t u = 0; u < parts; u++) {
                fetch_lines(far + u * CK_PLANES3_BLOCK, block + step + u * CK_PLANES3_BLOCK, g);
                __m512i pair[2];
                decode_group(block + u * CK_PLANES3_BLOCK, g, &escapes[u], &table, base[u], pair);
                UNROLL for (size_t i = 0; i < rows; i++) {
                    UNROLL for (size_t j = 0; j < 2; j++)
                        sum[i][u] = MULTIPLY_PAIR(sum[i][u], pair[j], a + i * a_stride + (size_t)g * 4 + j * 2);
                    IN_PLACE(sum[i][u]);
                }
            }
    UNROLL for (size_t u = 0; u < parts; u++) {
        at->escapes[first + u] = escapes[u];
        UNROLL for (size_t i = 0; i < rows; i++) _mm512_storeu_ps(sums + i * CK_PANEL + (first + u) * CK_PLANES3_PART, sum[i][u]);
    }
}

// One function for each shape, so that every sum has its register.
#define FEW(rows)                                                                                                              \
    static void few_##rows(p3_cursor *at, size_t steps, const OPERAND *a, size_t a_stride, float *sums) {                      \
        const size_t together = rows == 1 ? 4 : rows <= 4 ? 2 : 1;                                                             \
        size_t u = at->first;                                                                                                  \
        for (; u + together <= at->end; u += together) few(at, steps, a, a_stride, rows, u, together, sums);                   \
        for (; together > 2 && u + 2 <= at->end; u += 2) few(at, steps, a, a_stride, rows, u, 2, sums);                        \
        for (; together > 1 && u < at->end; u++) few(at, steps, a, a_stride, rows, u, 1, sums);                                \
    }
FEW(1)
FEW(2)
FEW(3)
FEW(4)
FEW(5)
FEW(6)
FEW(7)
FEW(8)

static void multiply_few(p3_cursor *at, size_t steps, const void *a, size_t a_stride, size_t rows, float *sums) {
    switch (rows) {
    case 1: few_1(at, steps, a, a_stride, sums); break;
    case 2: few_2(at, steps, a, a_stride, sums); break;
    case 3: few_3(at, steps, a, a_stride, sums); break;
    case 4: few_4(at, steps, a, a_stride, sums); break;
    case 5: few_5(at, steps, a, a_stride, sums); break;
    case 6: few_6(at, steps, a, a_stride, sums); break;
    case 7: few_7(at, steps, a, a_stride, sums); break;
    case 8: few_8(at, steps, a, a_stride, sums); break;
    default: __builtin_unreachable();
    }
    at->block += steps * at->step;
    at->far += steps * at->step;
}
