/* merge.h - byte pair encoding of one word: merging neighbours, the best pair first.
 *
 * Symbols lie in an array by the offset of their first byte in the word, so the right neighbour of
 * symbol i is i + length. Candidates wait in a binary heap; one whose symbols have changed since
 * is recognised by its size: symbols only grow, so left and right still have the joint size that
 * they had only if neither has changed. O(n log n) for n symbols.
 */
#ifndef LINN_TOKENIZER_MERGE_H
#define LINN_TOKENIZER_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct linn_symbol {
    uint32_t length; /* bytes; 0: part of a symbol further left */
    uint32_t left;   /* offset of the left neighbour; of the first symbol: 0 */
    int32_t id;      /* what it is, or -1 */
} linn_symbol;

typedef struct linn_candidate {
    uint64_t key;  /* order << 32 | left: lower is better, then further left */
    uint32_t size; /* bytes of both symbols */
    int32_t id;    /* what they become */
} linn_candidate;

/* Whether two neighbours merge: sets *order (lower first) and *id. `left` is the offset of the
 * first in the word. */
typedef bool (*linn_pair_fn)(const void *arg, const linn_symbol *symbols, uint32_t left,
                             uint32_t *order, int32_t *id);

/* symbols[length], of which those with a length form a word of `length` bytes (at least one) from
 * left to right; heap has room for 2 * length. */
void linn_merge(linn_symbol *symbols, uint32_t length, linn_candidate *heap, linn_pair_fn pair,
                const void *arg);

#endif
