/* product_f.c - products with F32, F16 and BF16 weights: the specification.
 *
 *     lane[l] = fma(w_k, a_k, lane[l])     for k = l, l + 8, ..., from +0
 *     y       = the tree over the 8 lanes
 *
 * Weights become float32 exactly. A row whose length is no multiple of 8 goes on
 * with w = a = +0 to the next one (which matters to the sign of a zero only).
 */
#include "kernels/c/c.h"
#include "kernels/c/tree.h"
#include "quant/half.h"

#include <string.h>

enum { COLUMNS = 16, CHUNK = 256 };

typedef void (*to_f32)(const void *w, int32_t n, float *out);

static void from_f32(const void *w, int32_t n, float *out)
{
    memcpy(out, w, (size_t)n * sizeof *out);
}

static void from_f16(const void *w, int32_t n, float *out)
{
    const uint16_t *h = w;
    for (int32_t i = 0; i < n; i++)
        out[i] = linn_f16_to_f32(h[i]);
}

static void from_bf16(const void *w, int32_t n, float *out)
{
    const uint16_t *h = w;
    for (int32_t i = 0; i < n; i++)
        out[i] = linn_bf16_to_f32(h[i]);
}

/* n <= CHUNK values, on from the lanes so far */
static void accumulate(const float *w, const float *a, int32_t n, float lanes[8])
{
    for (int32_t k = 0; k < n; k += 8)
        for (int32_t l = 0; l < 8; l++) {
            bool inside = k + l < n;
            lanes[l] = __builtin_fmaf(w[k + l], inside ? a[k + l] : 0.0f, lanes[l]);
        }
}

static void product(const linn_matrix *w, const linn_acts *a, int32_t begin, int32_t end, float *y,
                    size_t y_stride, to_f32 convert, size_t size)
{
    float chunk[CHUNK];
    for (int32_t i = begin; i < end; i++) {
        const char *row = (const char *)w->data + (size_t)i * w->row_bytes;
        for (int32_t j0 = 0; j0 < a->n; j0 += COLUMNS) {
            int32_t j1 = a->n - j0 < COLUMNS ? a->n : j0 + COLUMNS;
            float lanes[COLUMNS][8] = {{0}};
            for (int32_t k = 0; k < a->k; k += CHUNK) {
                int32_t n = a->k - k < CHUNK ? a->k - k : CHUNK;
                memset(chunk, 0, sizeof chunk);
                convert(row + (size_t)k * size, n, chunk);
                for (int32_t j = j0; j < j1; j++)
                    accumulate(chunk, a->x + (size_t)j * (size_t)a->k + k, n, lanes[j - j0]);
            }
            for (int32_t j = j0; j < j1; j++)
                y[(size_t)j * y_stride + (size_t)i] = linn_tree8(lanes[j - j0]);
        }
    }
}

void linn_c_product_f32(const linn_matrix *w, const linn_acts *a, int32_t begin, int32_t end,
                        float *y, size_t y_stride)
{
    product(w, a, begin, end, y, y_stride, from_f32, sizeof(float));
}

void linn_c_product_f16(const linn_matrix *w, const linn_acts *a, int32_t begin, int32_t end,
                        float *y, size_t y_stride)
{
    product(w, a, begin, end, y, y_stride, from_f16, sizeof(uint16_t));
}

void linn_c_product_bf16(const linn_matrix *w, const linn_acts *a, int32_t begin, int32_t end,
                         float *y, size_t y_stride)
{
    product(w, a, begin, end, y, y_stride, from_bf16, sizeof(uint16_t));
}
