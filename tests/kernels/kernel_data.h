/* kernel_data.h - random inputs and guarded buffers for the kernel tests and the
 * kernel benchmark. */
#ifndef LINN_TESTS_KERNELS_KERNEL_DATA_H
#define LINN_TESTS_KERNELS_KERNEL_DATA_H

#include "kernels/kernels.h"

uint64_t kd_random(void); /* splitmix64 */
void kd_seed(uint64_t seed);
int32_t kd_range(int32_t from, int32_t to); /* both included */
float kd_normal(void);                      /* mean 0, deviation 1 or so */

/* size bytes at a multiple of 64 (plus `offset`), between guards; kd_free checks them. */
void *kd_alloc_at(size_t size, size_t offset);
void *kd_alloc(size_t size);
bool kd_free(const void *p); /* false: something was written outside */

typedef enum kd_weights {
    KD_RANDOM,  /* every bit random but the scales, which are finite */
    KD_EXTREME, /* all levels and sub-scales at one end: 0x00, 0xff, 0x7f or 0x80 bytes */
    KD_WEIGHTS
} kd_weights;

/* A matrix of the type, each row of it followed by nothing (as in a file). Free w->data. */
linn_matrix kd_matrix(uint32_t type, int32_t n_rows, int32_t n_cols, kd_weights kind);

/* Packs w for the table, in parts; free with kd_unpack, which says whether all was well. */
void kd_pack(const linn_kernels *t, linn_matrix *w);
bool kd_unpack(linn_matrix *w);

typedef enum kd_values {
    KD_NORMAL,
    KD_MAX,      /* all +-max of the block: levels of +-127 */
    KD_OUTLIERS, /* widely different sizes, zeros, subnormals */
    KD_VALUES
} kd_values;
void kd_fill(float *x, size_t n, kd_values kind);

/* n rows of k, in the form that the type multiplies with, quantised by `t`. */
linn_acts kd_acts(const linn_kernels *t, uint32_t type, int32_t n, int32_t k, kd_values kind);
void kd_acts_free(linn_acts *a);

extern const uint32_t kd_types[15];

/* Every table this machine can run, plain C first; NULL at the end. */
const linn_kernels *const *kd_tables(void);

#endif
