/* sample.h - a small GGUF file with a value of every kind, for round trips and for breaking. */
#ifndef LINN_TESTS_GGUF_SAMPLE_H
#define LINN_TESTS_GGUF_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#include "gguf/gguf.h"

/* Writes it with the writer; LINN_OK or the writer's error. */
int sample_write(const char *path, linn_error *err);

/* ---- files by hand: a growing image with the pieces that a GGUF file is made of ---- */
typedef struct image {
    uint8_t data[1 << 16];
    size_t size;
} image;

void put_bytes(image *m, const void *data, size_t size);
void put_u8(image *m, uint8_t value);
void put_u32(image *m, uint32_t value);
void put_u64(image *m, uint64_t value);
void put_name(image *m, const char *text);
/* GGUF, version 3, and the counts */
void put_header(image *m, uint64_t n_tensors, uint64_t n_keys);
void put_key_u32(image *m, const char *name, uint32_t value);
void put_tensor(image *m, const char *name, uint32_t type, int n_dims, const uint64_t *shape,
                uint64_t offset);
/* Zeros up to a multiple of `alignment`, then `size` zeros more. */
void put_data(image *m, size_t alignment, size_t size);

#endif
