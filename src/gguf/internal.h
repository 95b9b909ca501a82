/* internal.h - what a linn_file holds; for the files of this folder only. */
#ifndef LINN_GGUF_INTERNAL_H
#define LINN_GGUF_INTERNAL_H

#include "base/file.h"
#include "gguf/gguf.h"

typedef struct linn_gguf_key {
    linn_string name;
    const char *name_z;      /* the same, terminated */
    linn_gguf_kind kind;     /* of the elements, of an array */
    bool is_array;           /* of n elements; else n is 1 */
    uint64_t n;              /* elements */
    const uint8_t *elements; /* strings: length (u64) and bytes, one after the other */
    const uint8_t *raw; /* the value as the file has it: type, perhaps element type and count */
    size_t raw_size;    /* bytes */
} linn_gguf_key;

struct linn_file {
    char *path;
    linn_mapping mapping; /* empty when the image is the caller's */
    const uint8_t *data;  /* [size] */
    size_t size;
    uint32_t version;
    linn_gguf_key *keys; /* [n_keys], in the order of the file */
    size_t n_keys;
    const linn_gguf_key **keys_by_name; /* sorted by strcmp */
    char *key_names;                    /* where name_z point to */
    linn_tensor *tensors;               /* [n_tensors], likewise */
    size_t n_tensors;
    const linn_tensor **tensors_by_name;
    char *tensor_names;
};

enum {
    LINN_GGUF_ALIGNMENT = 32,    /* where general.alignment is missing */
    LINN_GGUF_MIN_ALIGNMENT = 8, /* what the format allows: any scalar can be read in place */
    LINN_GGUF_MAX_NAME = 0xffff, /* bytes of a key or tensor name */
    LINN_GGUF_N_KINDS = LINN_GGUF_F64 + 1,
};

/* Bytes of a scalar; 0 for strings and arrays. */
size_t linn_gguf_kind_size(linn_gguf_kind kind);
/* "float32", "string" */
const char *linn_gguf_kind_name(linn_gguf_kind kind);

/* UTF-8 without control characters, so that a name can go into any message or list as it is. */
bool linn_gguf_is_name(linn_string text);

const linn_gguf_key *linn_file_find_key(const linn_file *f, const char *name);

#endif
