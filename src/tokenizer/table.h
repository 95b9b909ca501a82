/* table.h - the two hash tables of a vocabulary: text to id, and pair of ids to merge.
 *
 * Open addressing with linear probing, at most half full. Built once, then only read.
 */
#ifndef LINN_TOKENIZER_TABLE_H
#define LINN_TOKENIZER_TABLE_H

#include "gguf/gguf.h"

/* Of bytes, well mixed in all 64 bits. */
uint64_t linn_hash(const char *data, size_t length);

typedef struct linn_text_slot {
    uint32_t hash; /* upper half, to skip most comparisons */
    int32_t id;    /* -1: empty */
} linn_text_slot;

/* The texts themselves are the caller's array, indexed by id. */
typedef struct linn_text_table {
    linn_text_slot *slots; /* [n_slots] */
    size_t n_slots;        /* a power of two */
    size_t n;
} linn_text_table;

/* Room for n texts before it has to grow. False: out of memory. */
bool linn_text_table_init(linn_text_table *t, size_t n);
void linn_text_table_free(linn_text_table *t);
/* -1: not there. */
int32_t linn_text_table_find(const linn_text_table *t, const linn_string *texts, const char *data,
                             size_t length);
/* Adds texts[id] unless the same text is there. False: out of memory. */
bool linn_text_table_add(linn_text_table *t, const linn_string *texts, int32_t id);

typedef struct linn_pair_slot {
    int32_t left, right; /* left -1: empty */
    uint32_t rank;       /* lower merges first */
    int32_t merged;
} linn_pair_slot;

typedef struct linn_pair_table {
    linn_pair_slot *slots;
    size_t n_slots;
} linn_pair_table;

bool linn_pair_table_init(linn_pair_table *t, size_t n);
void linn_pair_table_free(linn_pair_table *t);
/* NULL: not there. */
const linn_pair_slot *linn_pair_table_find(const linn_pair_table *t, int32_t left, int32_t right);
/* Keeps the first of equal pairs. There must be room. */
void linn_pair_table_add(linn_pair_table *t, linn_pair_slot pair);

#endif
