// Private: segments of cascade blocks. A segment codes its own exponents with its own symbols; ENECFormat.md has the layout.
#pragma once

#include "chunk.h"

#define SEGMENT 2048            // elements: small enough to follow the rows of a matrix, large enough for its header
#define SEGMENT_CHUNKS (SEGMENT / CHUNK)
#define MOST_SYMBOLS 11
#define RUN_HEAD 3

typedef enum Shape {
    VERBATIM = 0,
    SHAPE_222 = 1,
    SHAPE_21122 = 2,
} Shape;

#define LISTED 4                // bit of the first byte: symbols are a list, not a run

static inline size_t symbols_of(Shape shape) { return shape == SHAPE_222 ? 9 : MOST_SYMBOLS; }

#define LEVELS 5                // at most
static inline size_t levels_of(Shape shape) { return shape == SHAPE_222 ? 3 : LEVELS; }
static inline size_t width_of(Shape shape, size_t level) { return shape == SHAPE_21122 && (level == 1 || level == 2) ? 1 : 2; }

// Where the bits of a level below the first begin, counted from the first such bit of the segment. A level of two planes has its second
// plane a whole number of bytes behind the first, so both are shifted alike.
typedef struct Level {
    size_t count;               // elements that reach the level
    size_t start;               // of its first plane
    size_t apart;               // bytes from its first plane to its second
} Level;

static inline size_t level_end(Level level, size_t width) { return level.start + (width == 2 ? level.apart * 8 : 0) + level.count; }

// What the encoder found best for a segment.
typedef struct Plan {
    Shape shape;
    bool listed;
    uint8_t count;              // symbols
    uint8_t symbols[MOST_SYMBOLS];
    uint16_t directions;        // of a run: bit r - 1 set if symbol r is above all before it, otherwise it is below them
    Level levels[LEVELS];
    size_t raw;                 // elements that no level decides
    size_t bytes;
} Plan;

// The smallest of both shapes with a run or a list of symbols, or verbatim if none is smaller than that.
Plan ck_cascade_plan(ck_type type, const uint16_t counts[256], size_t count);

// What is coded: the state of an element as bits, one for each plane of each level. The place in `marks` is the rank of its exponent,
// the last place is that of exponents without a symbol.
//   (2,2,2)      level 0 bits 0, 1; level 1 bits 2, 3; level 2 bits 4, 5
//   (2,1,1,2,2)  level 0 bits 0, 1; level 1 bit 2; level 2 bit 3; level 3 bits 4, 5; level 4 bits 6, 7
static const uint8_t ck_marks_222[10] = {0, 1, 2, 3, 7, 11, 15, 31, 47, 63};
static const uint8_t ck_marks_21122[12] = {0, 1, 2, 3, 7, 15, 31, 47, 63, 127, 191, 255};

static inline const uint8_t *marks_of(Shape shape) { return shape == SHAPE_222 ? ck_marks_222 : ck_marks_21122; }

typedef struct ck_cascade_table {
    // Exponents in the order of slots -> planes of level 0 [chunks][2], then the bits below and raw exponents, which follow each other;
    // up to 8 bytes behind them may be overwritten.
    void (*write)(const Plan *, const uint8_t *exponents, size_t chunks, uint8_t *first, uint8_t *bits, uint8_t *raw);
    // Decodes one segment that begins at `at`, of which at most `left` bytes are there; returns how many it takes, 0 if it is none.
    size_t (*read)(ck_type, const uint8_t *at, size_t left, size_t count, uint8_t *elements);
} ck_cascade_table;

// The encoder of both vector tables.
void ck_cascade_write_avx2(const Plan *, const uint8_t *exponents, size_t chunks, uint8_t *first, uint8_t *bits, uint8_t *raw);

extern const ck_cascade_table ck_cascade_scalar, ck_cascade_avx2, ck_cascade_avx512;
