/* Attention of one text.

   Each lane is a head: the columns of queries, keys and values are ordered [depth][heads], so that one load reads the
   same component of every head. No transposition is needed, and softmax runs over the keys without crossing lanes.
   Lanes after the last head compute on arbitrary data and are never stored.

   Queries are scaled by log2(e) / sqrt(depth), and biases by log2(e), so that softmax uses powers of two. */
#pragma once

#include "vectors.h"

enum { BLOCK = 4 }; /* queries, keys or components at a time: 16 sums in registers */

typedef struct {
    int heads, depth;   /* at most 16; a multiple of 4 */
    int stride;         /* floats from one token to the next */
    const float *query, *key, *value;
    int length;         /* tokens of the text */
    const float *bias;  /* [..., 16] by the distance from query to key, points at distance 0 (MPNet); or NULL */
} text_attention;

/* Writes into scores [rows][length][16] those of `rows` queries from `first` on and `columns` keys from `key` on. */
INLINE void score_block(int rows, int columns, const text_attention *a, int first, int key, float *scores) {
    const float *queries = a->query + (size_t)first * a->stride, *keys = a->key + (size_t)key * a->stride;
    __m512 sum[BLOCK][BLOCK];
    UNROLL
    for (int row = 0; row < rows; row++)
        UNROLL
        for (int column = 0; column < columns; column++)
            sum[row][column] = a->bias ? _mm512_loadu_ps(a->bias + (key + column - first - row) * LANES)
                                       : _mm512_setzero_ps();
    for (int component = 0; component < a->depth * a->heads; component += a->heads) {
        __m512 k[BLOCK];
        UNROLL
        for (int column = 0; column < columns; column++)
            k[column] = _mm512_loadu_ps(keys + (size_t)column * a->stride + component);
        UNROLL
        for (int row = 0; row < rows; row++) {
            __m512 q = _mm512_loadu_ps(queries + (size_t)row * a->stride + component);
            UNROLL
            for (int column = 0; column < columns; column++) sum[row][column] = _mm512_fmadd_ps(q, k[column], sum[row][column]);
        }
    }
    UNROLL
    for (int row = 0; row < rows; row++)
        UNROLL
        for (int column = 0; column < columns; column++)
            _mm512_storeu_ps(scores + ((size_t)row * a->length + key + column) * LANES, sum[row][column]);
}

INLINE void attend_rows(int rows, const text_attention *a, int first, float *scores, float *output) {
    const int length = a->length;
    int key = 0;
    for (; key + BLOCK <= length; key += BLOCK) score_block(rows, BLOCK, a, first, key, scores);
    for (; key < length; key++) score_block(rows, 1, a, first, key, scores);

    __m512 share[BLOCK];
    UNROLL
    for (int row = 0; row < rows; row++) {
        float *weights = scores + (size_t)row * length * LANES;
        __m512 largest = _mm512_loadu_ps(weights), sum = _mm512_setzero_ps();
        for (int j = 1; j < length; j++) largest = _mm512_max_ps(largest, _mm512_loadu_ps(weights + j * LANES));
        for (int j = 0; j < length; j++) {
            __m512 power = _mm512_sub_ps(_mm512_loadu_ps(weights + j * LANES), largest);
            /* 2^-100 does not change the sum; denormal numbers would be slow. */
            __m512 weight = exp2_fine(_mm512_max_ps(power, _mm512_set1_ps(-100.0f)));
            sum = _mm512_add_ps(sum, weight);
            _mm512_storeu_ps(weights + j * LANES, weight);
        }
        share[row] = _mm512_div_ps(_mm512_set1_ps(1.0f), sum);
    }

    const __mmask16 real = (__mmask16)((1u << a->heads) - 1);
    for (int component = 0; component < a->depth; component += BLOCK) {
        __m512 sum[BLOCK][BLOCK];
        UNROLL
        for (int row = 0; row < rows; row++)
            UNROLL
            for (int each = 0; each < BLOCK; each++) sum[row][each] = _mm512_setzero_ps();
        for (int j = 0; j < length; j++) {
            const float *values = a->value + (size_t)j * a->stride + component * a->heads;
            __m512 value[BLOCK];
            UNROLL
            for (int each = 0; each < BLOCK; each++) value[each] = _mm512_loadu_ps(values + each * a->heads);
            UNROLL
            for (int row = 0; row < rows; row++) {
                __m512 weight = _mm512_loadu_ps(scores + ((size_t)row * length + j) * LANES);
                UNROLL
                for (int each = 0; each < BLOCK; each++) sum[row][each] = _mm512_fmadd_ps(weight, value[each], sum[row][each]);
            }
        }
        UNROLL
        for (int row = 0; row < rows; row++)
            UNROLL
            for (int each = 0; each < BLOCK; each++)
                _mm512_mask_storeu_ps(
                    output + (size_t)(first + row) * a->heads * a->depth + (component + each) * a->heads, real,
                    _mm512_mul_ps(sum[row][each], share[row]));
    }
}

/* Writes output [length, heads * depth]. `scores` has room for BLOCK * length * 16 floats. */
static void attend(const text_attention *a, float *scores, float *output) {
    int first = 0;
    for (; first + BLOCK <= a->length; first += BLOCK) attend_rows(BLOCK, a, first, scores, output);
    switch (a->length - first) {
        case 3: attend_rows(3, a, first, scores, output); return;
        case 2: attend_rows(2, a, first, scores, output); return;
        case 1: attend_rows(1, a, first, scores, output); return;
    }
}
