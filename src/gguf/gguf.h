/* gguf.h - reading and writing GGUF files (version 2 and 3, little-endian).
 *
 * A linn_file (public type, linn_tools.h) is a mapped file whose header, keys and tensor
 * table have all been checked: every length, offset, alignment, type and shape,
 * so that what the getters return needs no further check of bounds. Everything
 * returned is borrowed from the mapping and lives until linn_file_close.
 *
 * Accepted beyond the bare format: gaps between tensors; tensors of a type that GGUF
 * names but linn has no code for (their size is 0 and their data NULL, so that the
 * file can be looked into; who loads a model checks linn_type_find). Refused: arrays
 * of arrays; names that are empty, have control characters or are not UTF-8; names
 * that occur twice; an alignment that is not a power of two from 8 on (the format asks
 * for a multiple of 8); tensors that overlap; bools other than 0 and 1.
 *
 * Format: github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
#ifndef LINN_GGUF_GGUF_H
#define LINN_GGUF_GGUF_H

#include "linn_tools.h"

#include <stdio.h>

typedef enum linn_gguf_kind {
    LINN_GGUF_U8,
    LINN_GGUF_I8,
    LINN_GGUF_U16,
    LINN_GGUF_I16,
    LINN_GGUF_U32,
    LINN_GGUF_I32,
    LINN_GGUF_F32,
    LINN_GGUF_BOOL,
    LINN_GGUF_STRING,
    LINN_GGUF_ARRAY,
    LINN_GGUF_U64,
    LINN_GGUF_I64,
    LINN_GGUF_F64,
} linn_gguf_kind;

typedef struct linn_string {
    const char *data; /* not terminated; may hold any byte */
    size_t length;
} linn_string;

/* An array of scalars (data: unaligned, little-endian) or of strings (walk it with
 * linn_gguf_next_string). */
typedef struct linn_gguf_array {
    linn_gguf_kind kind; /* of the elements */
    uint64_t n;          /* elements left, when walked */
    const uint8_t *data;
} linn_gguf_array;

typedef struct linn_tensor {
    linn_string name;
    const char *name_z; /* the same, terminated */
    uint32_t type;      /* a LINN_TYPE_*, or one that linn has no code for */
    int n_dims;         /* 1 to 4 */
    uint64_t shape[4];  /* elements, fastest first; 1 beyond n_dims; none is 0 */
    uint64_t offset;    /* of the data, from the start of the file */
    size_t size;        /* bytes; 0 exactly when linn has no code for the type */
    const void *data;   /* aligned as the file says (at most to a page); NULL when size is 0 */
} linn_tensor;

const char *linn_file_path(const linn_file *f);
bool linn_file_has(const linn_file *f, const char *key);

/* Required values: LINN_EFORMAT, naming file and key, when missing, of another kind or out of
 * range. Integers of any width convert when the value fits; so do floats, which must be
 * finite. */
int linn_file_get_u32(const linn_file *f, const char *key, uint32_t *out, linn_error *err);
int linn_file_get_f32(const linn_file *f, const char *key, float *out, linn_error *err);
int linn_file_get_bool(const linn_file *f, const char *key, bool *out, linn_error *err);
int linn_file_get_string(const linn_file *f, const char *key, linn_string *out, linn_error *err);
/* kind: what the elements must be. */
int linn_file_get_array(const linn_file *f, const char *key, linn_gguf_kind kind,
                        linn_gguf_array *out, linn_error *err);
/* Steps through an array of strings; false at its end. */
bool linn_gguf_next_string(linn_gguf_array *a, linn_string *out);

/* Optional values: *out keeps what it had when the key is missing. A value of the
 * wrong kind is still an error. */
int linn_file_maybe_u32(const linn_file *f, const char *key, uint32_t *out, linn_error *err);
int linn_file_maybe_f32(const linn_file *f, const char *key, float *out, linn_error *err);
int linn_file_maybe_bool(const linn_file *f, const char *key, bool *out, linn_error *err);
int linn_file_maybe_string(const linn_file *f, const char *key, linn_string *out, linn_error *err);

const linn_tensor *linn_file_tensor_at(const linn_file *f, size_t i);
/* NULL when there is none of that name. */
const linn_tensor *linn_file_find_tensor(const linn_file *f, const char *name);

/* Parses a file image in memory, which must outlive the result (fuzzing, tests). `path` only
 * names it in messages. */
int linn_file_parse(linn_file **out, const void *data, size_t size, const char *path,
                    linn_error *err);

/* ---- writing ---------------------------------------------------------------------
 * Keys first, in order; then all tensors declared; then `begin_data`; then the bytes of
 * each tensor in the order of declaration, in pieces of any size; then `finish`. The file
 * appears under its name only at the end (base/file.h). After an error every call returns
 * that error, which `finish` describes; `free` drops what was not finished.
 *
 * Files have version 3 and the format's default alignment of 32 bytes, so the key
 * general.alignment is not there: putting it is an error, copying it does nothing. */
typedef struct linn_gguf_writer linn_gguf_writer;

int linn_gguf_writer_create(linn_gguf_writer **out, const char *path, linn_error *err);
void linn_gguf_writer_free(linn_gguf_writer *w);
int linn_gguf_put_u32(linn_gguf_writer *w, const char *key, uint32_t value);
int linn_gguf_put_f32(linn_gguf_writer *w, const char *key, float value);
int linn_gguf_put_bool(linn_gguf_writer *w, const char *key, bool value);
int linn_gguf_put_string(linn_gguf_writer *w, const char *key, const char *value, size_t length);
int linn_gguf_put_strings(linn_gguf_writer *w, const char *key, const linn_string *values,
                          size_t n);
/* kind: a scalar; data: host-order elements, bools one byte each */
int linn_gguf_put_array(linn_gguf_writer *w, const char *key, linn_gguf_kind kind, const void *data,
                        size_t n);
/* Copies key i of a file as it is. */
int linn_gguf_put_copy(linn_gguf_writer *w, const linn_file *f, size_t i);
/* type: one that linn has code for; shape: elements, fastest first. */
int linn_gguf_put_tensor(linn_gguf_writer *w, const char *name, uint32_t type, int n_dims,
                         const uint64_t *shape);
int linn_gguf_begin_data(linn_gguf_writer *w);
int linn_gguf_write_data(linn_gguf_writer *w, const void *data, size_t size);
int linn_gguf_writer_finish(linn_gguf_writer *w, linn_error *err);

#endif
