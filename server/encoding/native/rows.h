/* Normalises and quantizes the row of one token. */
#pragma once

#include <math.h>

#include "product.h"

typedef struct {
    const float *gain, *bias; /* [width] */
    float epsilon;
} norm;

#define GELU_LOWEST (-0.17f) /* minimum of Gelu: -0.169971, of its tanh form: -0.170041; both become byte 0 */
#define LEAST_RANGE 1e-20f   /* for rows of equal values, whose range is 0 */

/* Quantizes row `at` so that its lowest value becomes 0 and its largest 255. Most models have an outlier on one side,
   which would halve the precision in a symmetric range around 0. */
INLINE void quantize(const float *row, int width, float lowest, float largest, quantized q, size_t at) {
    float range = largest - lowest > LEAST_RANGE ? largest - lowest : LEAST_RANGE, inverse = 255.0f / range;
    __m512 factor = _mm512_set1_ps(inverse), zero = _mm512_set1_ps(-lowest * inverse);
    uint8_t *bytes = q.bytes + at * (size_t)width;
    for (int i = 0; i < width; i += LANES) {
        __m512i whole = _mm512_cvtps_epi32(_mm512_fmadd_ps(_mm512_loadu_ps(row + i), factor, zero));
        _mm_storeu_si128((__m128i *)(bytes + i), _mm512_cvtepi32_epi8(whole)); /* 0 to 255 by construction */
    }
    q.scale[at] = range / 255.0f;
    q.zero[at] = -lowest * inverse;
}

INLINE void quantize_row(const float *row, int width, quantized q, size_t at) {
    __m512 lowest = _mm512_loadu_ps(row), largest = lowest;
    for (int i = LANES; i < width; i += LANES) {
        __m512 value = _mm512_loadu_ps(row + i);
        lowest = _mm512_min_ps(lowest, value), largest = _mm512_max_ps(largest, value);
    }
    quantize(row, width, _mm512_reduce_min_ps(lowest), _mm512_reduce_max_ps(largest), q, at);
}

/* Applies layer normalisation in place and quantizes the result. */
INLINE void normalise_row(float *row, int width, const norm *n, quantized q, size_t at) {
    __m512 sum = _mm512_setzero_ps(), squares = sum;
    for (int i = 0; i < width; i += LANES) sum = _mm512_add_ps(sum, _mm512_loadu_ps(row + i));
    __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / (float)width);
    for (int i = 0; i < width; i += LANES) {
        __m512 centred = _mm512_sub_ps(_mm512_loadu_ps(row + i), mean);
        squares = _mm512_fmadd_ps(centred, centred, squares);
    }
    float variance = _mm512_reduce_add_ps(squares) / (float)width;
    __m512 factor = _mm512_set1_ps(1.0f / sqrtf(variance + n->epsilon));
    __m512 lowest = _mm512_set1_ps(INFINITY), largest = _mm512_set1_ps(-INFINITY);
    for (int i = 0; i < width; i += LANES) {
        __m512 value = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(row + i), mean), factor);
        value = _mm512_fmadd_ps(value, _mm512_loadu_ps(n->gain + i), _mm512_loadu_ps(n->bias + i));
        _mm512_storeu_ps(row + i, value);
        lowest = _mm512_min_ps(lowest, value), largest = _mm512_max_ps(largest, value);
    }
    quantize(row, width, _mm512_reduce_min_ps(lowest), _mm512_reduce_max_ps(largest), q, at);
}
