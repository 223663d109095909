/* Functions on 16 floats at a time (AVX-512). */
#pragma once

#include <immintrin.h>
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

enum { LANES = 16 };

/* 2^x, for values that are rounded to 8 bits. The polynomial's relative error is below 8e-4 (Taylor, degree 3). */
INLINE __m512 exp2_coarse(__m512 x) {
    __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 rest = _mm512_sub_ps(x, whole);
    __m512 value = _mm512_set1_ps(0.05550411f);
    value = _mm512_fmadd_ps(value, rest, _mm512_set1_ps(0.24022651f));
    value = _mm512_fmadd_ps(value, rest, _mm512_set1_ps(0.69314718f));
    value = _mm512_fmadd_ps(value, rest, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(value, whole);
}

/* 2^x, for softmax. The polynomial's relative error is below 3e-7 (Taylor, degree 6). */
INLINE __m512 exp2_fine(__m512 x) {
    __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 rest = _mm512_sub_ps(x, whole);
    __m512 value = _mm512_set1_ps(1.5403530e-4f);
    value = _mm512_fmadd_ps(value, rest, _mm512_set1_ps(1.3333558e-3f));
    value = _mm512_fmadd_ps(value, rest, _mm512_set1_ps(9.6181291e-3f));
    value = _mm512_fmadd_ps(value, rest, _mm512_set1_ps(5.5504109e-2f));
    value = _mm512_fmadd_ps(value, rest, _mm512_set1_ps(2.4022651e-1f));
    value = _mm512_fmadd_ps(value, rest, _mm512_set1_ps(6.9314718e-1f));
    value = _mm512_fmadd_ps(value, rest, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(value, whole);
}

/* x / (1 + 2^(x (a + b x^2 + c x^4))). With the coefficients in weights.py it is Gelu or its tanh form; the formula
   differs from Gelu by less than 3e-5; exp2_coarse and the inverse add their errors. x^2 is bounded to the range where the
   polynomial is monotonic. */
INLINE __m512 gelu(__m512 x, const float *coefficients) {
    __m512 square = _mm512_min_ps(_mm512_mul_ps(x, x), _mm512_set1_ps(64.0f));
    __m512 power = _mm512_fmadd_ps(square, _mm512_set1_ps(coefficients[2]), _mm512_set1_ps(coefficients[1]));
    power = _mm512_fmadd_ps(square, power, _mm512_set1_ps(coefficients[0]));
    power = _mm512_mul_ps(x, power); /* Where 2^power is infinite, its inverse is 0. */
    return _mm512_mul_ps(x, _mm512_rcp14_ps(_mm512_add_ps(exp2_coarse(power), _mm512_set1_ps(1.0f))));
}
