/* Matrix products of unsigned bytes (activations) with signed bytes (weights), which VNNI sums in 32 bits, and the
   steps that follow on each sum while it is still in a register. */
#pragma once

#include <stddef.h>

#include "vectors.h"

enum { TILE_ROWS = 14, PANEL_COLUMNS = 2 * LANES };
/* 14 rows by 2 vectors are 28 sums, enough to hide the instruction's latency. With 2 vectors of weights and 1 of
   activations they fit into the 32 registers. */

typedef struct {
    int32_t inputs, outputs;    /* multiples of 4 and of 32 */
    const int8_t *weight;       /* [outputs / 32][inputs / 4][32][4], aligned to 64 bytes */
    const float *weight_scale;  /* [outputs] */
    const float *bias;          /* [outputs] */
    const float *column_sum;    /* [outputs]; sum of the weights' bytes */
} product;

/* The left operand: bytes [rows, inputs]; the value of each is scale[row] * (byte - zero[row]). */
typedef struct {
    uint8_t *bytes;
    float *scale, *zero;
} quantized;

/* The step after zero point, scales and bias are applied to a sum. RESIDUAL adds the value that is in the output; GELU
   applies Gelu and keeps the largest value of each row. */
typedef enum { PLAIN, RESIDUAL, GELU } finish;

INLINE void tile(finish kind, int rows, const product *p, int column, quantized input, float *output,
                 float *row_largest, const float *gelu_coefficients) {
    const int inputs = p->inputs, outputs = p->outputs;
    const int8_t *weight = p->weight + (size_t)column * inputs;
    __m512i sum[TILE_ROWS][2];
    UNROLL
    for (int row = 0; row < rows; row++) sum[row][0] = sum[row][1] = _mm512_setzero_si512();
    for (int k = 0; k < inputs; k += 4, weight += 4 * PANEL_COLUMNS) {
        /* Loads the next panel from the third-level into the second-level cache in time. */
        _mm_prefetch((const char *)weight + (size_t)inputs * PANEL_COLUMNS, _MM_HINT_T1);
        _mm_prefetch((const char *)weight + (size_t)inputs * PANEL_COLUMNS + 64, _MM_HINT_T1);
        __m512i weight_left = _mm512_load_si512(weight), weight_right = _mm512_load_si512(weight + 64);
        UNROLL
        for (int row = 0; row < rows; row++) {
            int32_t four;
            __builtin_memcpy(&four, input.bytes + (size_t)row * inputs + k, 4);
            __m512i activations = _mm512_set1_epi32(four);
            sum[row][0] = _mm512_dpbusd_epi32(sum[row][0], activations, weight_left);
            sum[row][1] = _mm512_dpbusd_epi32(sum[row][1], activations, weight_right);
        }
    }
    __m512 scale[2], bias[2], column_sum[2];
    UNROLL
    for (int half = 0; half < 2; half++) {
        scale[half] = _mm512_loadu_ps(p->weight_scale + column + half * LANES);
        bias[half] = _mm512_loadu_ps(p->bias + column + half * LANES);
        column_sum[half] = _mm512_loadu_ps(p->column_sum + column + half * LANES);
    }
    UNROLL
    for (int row = 0; row < rows; row++) {
        __m512 row_scale = _mm512_set1_ps(input.scale[row]), row_zero = _mm512_set1_ps(input.zero[row]);
        float *out = output + (size_t)row * outputs + column;
        UNROLL
        for (int half = 0; half < 2; half++) {
            __m512 value = _mm512_fnmadd_ps(row_zero, column_sum[half], _mm512_cvtepi32_ps(sum[row][half]));
            value = _mm512_fmadd_ps(_mm512_mul_ps(value, scale[half]), row_scale, bias[half]);
            if (kind == RESIDUAL) value = _mm512_add_ps(value, _mm512_loadu_ps(out + half * LANES));
            if (kind == GELU) {
                value = gelu(value, gelu_coefficients);
                float *largest = row_largest + row * LANES;
                _mm512_storeu_ps(largest, _mm512_max_ps(_mm512_loadu_ps(largest), value));
            }
            _mm512_storeu_ps(out + half * LANES, value);
        }
    }
}

#define TILE_CASE(rows_) \
    case rows_: tile(kind, rows_, p, column, input, output, row_largest, gelu_coefficients); return;

/* One copy of the tile for each kind and number of rows, so that all sums stay in registers. */
#define TILES(name, kind_)                                                                                         \
    static __attribute__((noinline)) void name(int rows, const product *p, int column, quantized input,            \
                                               float *output, float *row_largest, const float *gelu_coefficients) { \
        const finish kind = kind_;                                                                                 \
        switch (rows) {                                                                                            \
            TILE_CASE(1) TILE_CASE(2) TILE_CASE(3) TILE_CASE(4) TILE_CASE(5) TILE_CASE(6) TILE_CASE(7)             \
            TILE_CASE(8) TILE_CASE(9) TILE_CASE(10) TILE_CASE(11) TILE_CASE(12) TILE_CASE(13) TILE_CASE(14)        \
        }                                                                                                          \
    }
TILES(plain_tile, PLAIN)
TILES(residual_tile, RESIDUAL)
TILES(gelu_tile, GELU)

/* Writes output [rows, outputs] = finish(input x weight). Only GELU uses `row_largest` [rows, 16]. */
static void multiply(finish kind, const product *p, int rows, quantized input, float *output, float *row_largest,
                     const float *gelu_coefficients) {
    int tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
    for (int column = 0; column < p->outputs; column += PANEL_COLUMNS)
        for (int each = 0; each < tiles; each++) { /* Of similar height: too few sums would not hide the latency. */
            int first = (int)((int64_t)rows * each / tiles), end = (int)((int64_t)rows * (each + 1) / tiles);
            quantized part = {input.bytes + (size_t)first * p->inputs, input.scale + first, input.zero + first};
            (kind == PLAIN ? plain_tile : kind == RESIDUAL ? residual_tile : gelu_tile)(
                end - first, p, column, part, output + (size_t)first * p->outputs,
                kind == GELU ? row_largest + (size_t)first * LANES : NULL, gelu_coefficients);
        }
}
