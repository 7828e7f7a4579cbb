// The public functions of planes3: argument checks, the choice of a decoder, panels composed of parts.
#include "planes3.h"

// Byte permutations and expansion, which CK_AVX512 does not promise.
#if defined(EMULATED_VBMI)
static bool has_vbmi(void) { return true; }
#elif defined(__x86_64__)
static bool has_vbmi(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2");
}
#endif

const ck_planes3_table *ck_planes3_on(ck_isa isa) {
#if defined(__x86_64__)
    if (isa >= CK_AVX512 && has_vbmi()) return &ck_planes3_avx512;
    if (isa >= CK_AVX2) return &ck_planes3_avx2;
#endif
    (void)isa;
    return &ck_planes3_scalar;
}

bool ck_planes3_is_faster(ck_isa isa) { return ck_planes3_on(isa)->multiply != NULL; }

#define computes_rows(rows, columns) ((rows) > 0 && (rows) <= CK_PANEL && (columns) > 0 && (columns) <= CK_PLANES3_COLUMNS)

static size_t blocks(size_t rows, size_t columns) { return p3_steps(columns) * p3_parts(rows) * CK_PLANES3_BLOCK; }

// Rows of part u.
static size_t rows_of(size_t rows, size_t u) { return rows - u * CK_PLANES3_PART < CK_PLANES3_PART ? rows - u * CK_PLANES3_PART : CK_PLANES3_PART; }

size_t ck_planes3_bound(size_t rows, size_t columns) {
    return p3_head(p3_parts(rows) * CK_PLANES3_PART * ck_round_up(columns, CK_PLANES3_STEP)) + blocks(rows, columns);
}

// Bases of the rows that exist, zeros behind them; returns the number of escapes.
static size_t find_bases(const ck_planes3_table *table, const uint16_t *source, size_t stride, size_t rows, size_t columns, uint8_t *bases) {
    size_t all = 0;
    memset(bases, 0, CK_PANEL);
    for (size_t i = 0; i < rows; i++) {
        size_t escapes;
        bases[i] = table->base(source + i * stride, columns, &escapes);
        all += escapes;
    }
    return all;
}

size_t ck_planes3_size(ck_isa isa, const uint16_t *source, size_t stride, size_t rows, size_t columns) {
    assert(computes_rows(rows, columns) && (columns <= stride || rows == 1));
    uint8_t bases[CK_PANEL];
    return p3_head(find_bases(ck_planes3_on(isa), source, stride, rows, columns, bases)) + blocks(rows, columns);
}

size_t ck_planes3_encode(ck_isa isa, const uint16_t *source, size_t stride, size_t rows, size_t columns, void *panel) {
    assert(computes_rows(rows, columns) && (columns <= stride || rows == 1));
    const ck_planes3_table *table = ck_planes3_on(isa);
    uint8_t *bytes = panel;
    const size_t escapes = find_bases(table, source, stride, rows, columns, bytes), head = p3_head(escapes), parts = p3_parts(rows);
    uint32_t ends[P3_PARTS];
    size_t end = 0;
    for (size_t u = 0; u < P3_PARTS; u++) {
        // A part's escapes may be written 64 bytes too far: what stands there is written later.
        if (u < parts)
            end += table->encode(source + u * CK_PLANES3_PART * stride, stride, rows_of(rows, u), columns, bytes + u * CK_PLANES3_PART,
                                 bytes + head + u * CK_PLANES3_BLOCK, parts * CK_PLANES3_BLOCK, bytes + CK_PLANES3_HEAD + end);
        ends[u] = (uint32_t)end;
    }
    assert(end == escapes);
    memcpy(bytes + CK_PANEL, ends, sizeof ends);
    memset(bytes + CK_PLANES3_HEAD + end, 0, head - CK_PLANES3_HEAD - end);
    return head + blocks(rows, columns);
}

bool ck_planes3_check(ck_isa isa, const void *panel, size_t bytes, size_t rows, size_t columns) {
    assert(computes_rows(rows, columns));
    if (bytes < CK_PLANES3_HEAD) return false;
    const ck_planes3_table *table = ck_planes3_on(isa);
    const uint8_t *start = panel;
    uint32_t ends[P3_PARTS];
    memcpy(ends, start + CK_PANEL, sizeof ends);
    for (size_t u = 1; u < P3_PARTS; u++)
        if (ends[u] < ends[u - 1]) return false;
    const size_t parts = p3_parts(rows), escapes = ends[P3_PARTS - 1];
    if (escapes > bytes - CK_PLANES3_HEAD || bytes != p3_head(escapes) + blocks(rows, columns)) return false;
    for (size_t i = 0; i < CK_PANEL; i++)
        if (start[i] > (i < rows ? P3_HIGHEST_BASE : 0)) return false;
    for (size_t i = CK_PLANES3_HEAD + escapes; i < p3_head(escapes); i++)
        if (start[i]) return false;
    for (size_t u = 0; u < P3_PARTS; u++) {
        const size_t own = ends[u] - (u ? ends[u - 1] : 0);
        const uint8_t *block = start + p3_head(escapes) + u * CK_PLANES3_BLOCK;
        if (own != (u < parts ? table->count(block, p3_steps(columns), parts * CK_PLANES3_BLOCK) : 0)) return false;
    }
    return true;
}

void ck_planes3_decode(ck_isa isa, const void *panel, size_t rows, size_t columns, uint16_t *out, size_t stride) {
    assert(computes_rows(rows, columns) && (columns <= stride || rows == 1));
    const ck_planes3_table *table = ck_planes3_on(isa);
    _Alignas(64) uint16_t words[P3_STEP_WORDS];
    p3_cursor at = p3_open(panel, rows, 0, p3_parts(rows));
    for (size_t first = 0; first < columns; first += CK_PLANES3_STEP) {
        const size_t count = columns - first < CK_PLANES3_STEP ? columns - first : CK_PLANES3_STEP;
        table->decode(&at, 1, words);
        table->rows(words, rows, count, out + first, stride);
    }
}

void ck_planes3_expand(ck_isa isa, const void *panel, size_t rows, size_t columns, uint16_t *out) {
    assert(computes_rows(rows, columns));
    const ck_planes3_table *table = ck_planes3_on(isa);
    const size_t whole = columns / CK_PLANES3_STEP, left = columns % CK_PLANES3_STEP, parts = p3_parts(rows);
    p3_cursor at = p3_open(panel, rows, 0, parts);
    if (parts < P3_PARTS) memset(out, 0, ck_round_up(columns, 2) * CK_PANEL * sizeof(uint16_t));
    table->decode(&at, whole, out);
    if (left == 0) return;
    _Alignas(64) uint16_t words[P3_STEP_WORDS] = {0};
    table->decode(&at, 1, words);
    if (left % 2)
        for (size_t i = 0; i < CK_PANEL; i++) words[left / 2 * CK_PANEL * 2 + i * 2 + 1] = 0;
    memcpy(out + whole * P3_STEP_WORDS, words, ck_round_up(left, 2) * CK_PANEL * sizeof(uint16_t));
}

void ck_planes3_unpack_row(ck_isa isa, const void *panel, size_t rows, size_t columns, size_t row, float *out) {
    assert(computes_rows(rows, columns) && row < rows);
    const ck_planes3_table *table = ck_planes3_on(isa);
    const size_t part = row / CK_PLANES3_PART;
    _Alignas(64) uint16_t words[P3_STEP_WORDS];
    p3_cursor at = p3_open(panel, rows, part, part + 1);
    for (size_t first = 0; first < columns; first += CK_PLANES3_STEP) {
        table->decode(&at, 1, words);
        for (size_t j = 0; j < CK_PLANES3_STEP && first + j < columns; j++)
            out[first + j] = ck_bf16_float(words[j / 2 * CK_PANEL * 2 + row * 2 + j % 2]);
    }
}

// What multiplies few rows with the operands of `isa`; null where nothing does.
static ck_planes3_few *few_on(ck_isa isa) {
    const ck_planes3_table *table = ck_planes3_on(isa);
    if (ck_operand_type(isa, CK_BF16) == CK_F32) return table->multiply;
#if defined(__x86_64__)
    if (table == &ck_planes3_avx512) return ck_planes3_few_bf16;
#endif
    return NULL;
}

static void multiply_few(ck_planes3_few *multiply, size_t operand, const ck_planes3_product *p) {
    const size_t steps = p->k / CK_PLANES3_STEP, ending = steps < P3_FAR ? steps : P3_FAR;
    for (size_t n = p->n0; n < p->n1;) {
        const size_t panel = n / CK_PANEL * CK_PANEL, end = p->n1 < panel + CK_PANEL ? p->n1 : panel + CK_PANEL;
        p3_cursor at = p3_in_product(p, n, end);
        _Alignas(64) float sums[P3_FEW][CK_PANEL] = {0};
        for (size_t i = 0; i < p->m && p->accumulate; i++)
            memcpy(sums[i] + (n - panel), p->c + i * p->c_stride + n, (end - n) * sizeof(float));
        if (steps > ending) multiply(&at, steps - ending, p->a, p->a_stride, p->m, sums[0]);
        // What the last steps fetch is what the caller reads next.
        if (end == p->n1 && p->next) at.far = p->next;
        const char *rest = (const char *)p->a + (steps - ending) * CK_PLANES3_STEP * operand;
        multiply(&at, ending, rest, p->a_stride, p->m, sums[0]);
        for (size_t i = 0; i < p->m; i++) memcpy(p->c + i * p->c_stride + n, sums[i] + (n - panel), (end - n) * sizeof(float));
        n = end;
    }
}

void ck_planes3_multiply(ck_isa isa, const ck_planes3_product *p) {
    assert(p->k > 0 && p->k <= CK_PLANES3_COLUMNS && p->k <= p->a_stride);
    assert(p->n0 % CK_COLUMN_UNIT == 0 && p->n0 <= p->n1 && (p->n1 % CK_COLUMN_UNIT == 0 || p->n1 == p->n));
    assert(p->n1 <= p->n && (p->n1 <= p->c_stride || p->m <= 1));
    if (p->m == 0 || p->n0 == p->n1) return;
    ck_planes3_few *few = p->m <= P3_FEW && p->k % CK_PLANES3_STEP == 0 ? few_on(isa) : NULL;
    if (few) multiply_few(few, ck_size(ck_operand_type(isa, CK_BF16)), p);
    else ck_table_of(isa)->multiply_planes3(p, ck_planes3_on(isa)->decode);
}
