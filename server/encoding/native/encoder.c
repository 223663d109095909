/* A post-norm transformer encoder, such as BERT, in per-token INT8, for CPUs with AVX-512 and VNNI.

   A run holds whole texts up to a budget of tokens, one after another. Each step runs on all rows of a run, attention
   on the rows of one text. No step mixes texts, and integer sums are exact: each vector is bit-identical whatever texts
   share the batch. There is no padding, so texts need no sorting.

   The library allocates no memory and has no state: the caller owns weights and workspace. */

#include <stddef.h>
#include <string.h>

#include "attention.h"
#include "product.h"
#include "rows.h"

typedef struct {
    product query_key_value, attention_output, intermediate, output;
    norm attention_norm, output_norm;
} layer;

typedef enum { MEAN, CLS, LAST_TOKEN } pooling_mode;

typedef struct {
    int32_t hidden, embedding, inner, heads, layer_count;
    int32_t pooling, normalise;
    const int8_t *words;      /* [vocabulary, embedding] */
    const float *word_scales; /* [vocabulary] */
    const float *positions;   /* [max_tokens, embedding] */
    norm embedding_norm;
    const product *projection; /* [embedding, hidden], or NULL if there is none */
    const layer *layers;
    const float *gelu_coefficients; /* [3] */
    const float *distance_bias;     /* [distances, 16], points at distance 0 in the middle; or NULL */
} encoder;

typedef struct {
    float *rows, *wide, *context, *scores, *row_largest;
    quantized narrow, inner; /* of the hidden width, and of the width between intermediate and output */
} workspace;

enum { ALIGNMENT = 64 };

/* Lays the workspace out from `memory` on; returns its size. `wide` holds queries, keys and values, then the result of
   the intermediate product. */
static size_t lay_out(const encoder *e, int tokens, int longest, uint8_t *memory, workspace *w) {
    size_t used = 0, rows = (size_t)tokens;
    int widest = 3 * e->hidden > e->inner ? 3 * e->hidden : e->inner;
    int widest_input = e->hidden > e->embedding ? e->hidden : e->embedding;
#define TAKE(name, count)                              \
    w->name = (void *)(memory + used);                 \
    used += ((count) * sizeof(*w->name) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    TAKE(rows, rows * widest_input)
    TAKE(wide, rows * widest + LANES) /* Attention loads past the last row. */
    TAKE(context, rows * widest_input)
    TAKE(scores, (size_t)BLOCK * longest * LANES)
    TAKE(row_largest, rows * LANES)
    TAKE(narrow.bytes, rows * widest_input)
    TAKE(narrow.scale, rows)
    TAKE(narrow.zero, rows)
    TAKE(inner.bytes, rows * e->inner)
    TAKE(inner.scale, rows)
    TAKE(inner.zero, rows)
#undef TAKE
    return used;
}

static void embed(const encoder *e, int texts, const int32_t *token_ids, const int32_t *lengths, const workspace *w) {
    const int width = e->embedding;
    float *rows = e->projection ? w->context : w->rows;
    size_t row = 0;
    for (int text = 0; text < texts; text++)
        for (int place = 0; place < lengths[text]; place++, row++) {
            const int8_t *word = e->words + (size_t)token_ids[row] * width;
            const float *position = e->positions + (size_t)place * width;
            __m512 word_scale = _mm512_set1_ps(e->word_scales[token_ids[row]]);
            for (int i = 0; i < width; i += LANES) {
                __m512i whole = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(word + i)));
                __m512 value = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole), word_scale, _mm512_loadu_ps(position + i));
                _mm512_storeu_ps(rows + row * width + i, value);
            }
            normalise_row(rows + row * width, width, &e->embedding_norm, w->narrow, row);
        }
    if (e->projection) {
        multiply(PLAIN, e->projection, (int)row, w->narrow, w->rows, NULL, NULL);
        for (size_t each = 0; each < row; each++)
            quantize_row(w->rows + each * e->hidden, e->hidden, w->narrow, each);
    }
}

static void run_layer(const encoder *e, const layer *l, int texts, const int32_t *lengths, int tokens,
                      const workspace *w) {
    const int hidden = e->hidden, inner = e->inner;
    multiply(PLAIN, &l->query_key_value, tokens, w->narrow, w->wide, NULL, NULL);
    size_t row = 0;
    for (int text = 0; text < texts; row += lengths[text++]) {
        const float *first = w->wide + row * 3 * hidden;
        text_attention a = {e->heads, hidden / e->heads, 3 * hidden, first, first + hidden, first + 2 * hidden,
                            lengths[text], e->distance_bias};
        attend(&a, w->scores, w->context + row * hidden);
    }
    for (row = 0; row < (size_t)tokens; row++)
        quantize_row(w->context + row * hidden, hidden, w->narrow, row);
    multiply(RESIDUAL, &l->attention_output, tokens, w->narrow, w->rows, NULL, NULL);
    for (row = 0; row < (size_t)tokens; row++)
        normalise_row(w->rows + row * hidden, hidden, &l->attention_norm, w->narrow, row);
    memset(w->row_largest, 0, (size_t)tokens * LANES * sizeof(float));
    multiply(GELU, &l->intermediate, tokens, w->narrow, w->wide, w->row_largest, e->gelu_coefficients);
    for (row = 0; row < (size_t)tokens; row++)
        quantize(w->wide + row * inner, inner, GELU_LOWEST,
                 _mm512_reduce_max_ps(_mm512_loadu_ps(w->row_largest + row * LANES)), w->inner, row);
    multiply(RESIDUAL, &l->output, tokens, w->inner, w->rows, NULL, NULL);
    for (row = 0; row < (size_t)tokens; row++)
        normalise_row(w->rows + row * hidden, hidden, &l->output_norm, w->narrow, row);
}

static void pool(const encoder *e, const float *rows, int length, float *vector) {
    const int hidden = e->hidden;
    int first = e->pooling == LAST_TOKEN ? length - 1 : 0, end = e->pooling == MEAN ? length : first + 1;
    __m512 squares = _mm512_setzero_ps(), share = _mm512_set1_ps(1.0f / (float)(end - first));
    for (int i = 0; i < hidden; i += LANES) {
        __m512 sum = _mm512_setzero_ps();
        for (int row = first; row < end; row++) sum = _mm512_add_ps(sum, _mm512_loadu_ps(rows + (size_t)row * hidden + i));
        sum = _mm512_mul_ps(sum, share);
        squares = _mm512_fmadd_ps(sum, sum, squares);
        _mm512_storeu_ps(vector + i, sum);
    }
    if (!e->normalise) return;
    __m512 factor = _mm512_set1_ps(1.0f / sqrtf(_mm512_reduce_add_ps(squares)));
    for (int i = 0; i < hidden; i += LANES)
        _mm512_storeu_ps(vector + i, _mm512_mul_ps(_mm512_loadu_ps(vector + i), factor));
}

/* Returns the digest of the sources that this was compiled from. Do not pass structs of another version. */
uint64_t chaja_source_digest(void) { return SOURCE_DIGEST; }

/* Returns the size of the workspace in bytes for runs of at most `tokens` tokens, with texts of at most `longest`. */
size_t chaja_workspace_bytes(const encoder *e, int32_t tokens, int32_t longest) {
    workspace w;
    return lay_out(e, tokens, longest, NULL, &w);
}

/* Encodes texts, given as the token ids of all texts one after another and the length of each, at least 1.
   `memory`, aligned to 64 bytes, is a workspace for the larger of `run_tokens` and the longest text.
   Writes `vectors` [texts, hidden]. */
void chaja_encode(const encoder *e, int32_t texts, const int32_t *token_ids, const int32_t *lengths,
                  int32_t run_tokens, uint8_t *memory, float *vectors) {
    for (int first = 0; first < texts;) {
        int tokens = 0, end = first, longest = 0;
        while (end < texts && (end == first || tokens + lengths[end] <= run_tokens)) {
            longest = lengths[end] > longest ? lengths[end] : longest;
            tokens += lengths[end++];
        }
        workspace w;
        lay_out(e, tokens, longest, memory, &w);
        embed(e, end - first, token_ids, lengths + first, &w);
        for (int each = 0; each < e->layer_count; each++)
            run_layer(e, e->layers + each, end - first, lengths + first, tokens, &w);
        const float *rows = w.rows;
        for (int text = first; text < end; rows += (size_t)lengths[text++] * e->hidden)
            pool(e, rows, lengths[text], vectors + (size_t)text * e->hidden);
        token_ids += tokens;
        first = end;
    }
}

/* Runs repeats * 512 multiply-accumulates at the speed limit of one core, as a reference for benchmarks. */
int32_t chaja_multiply_only(int64_t repeats) {
    __m512i ones = _mm512_set1_epi8(1), sum[8];
    UNROLL
    for (int i = 0; i < 8; i++) sum[i] = ones;
    for (int64_t repeat = 0; repeat < repeats; repeat++) {
        UNROLL
        for (int i = 0; i < 8; i++) {
            sum[i] = _mm512_dpbusd_epi32(sum[i], ones, ones);
            __asm__ volatile("" : "+v"(sum[i])); /* keeps the compiler from merging the sums */
        }
    }
    UNROLL
    for (int i = 1; i < 8; i++) sum[0] = _mm512_add_epi32(sum[0], sum[i]);
    return _mm512_reduce_add_epi32(sum[0]);
}
