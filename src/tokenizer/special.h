/* special.h - finding special tokens in a text before anything else looks at it.
 *
 * A text is cut at its special tokens, the longest of them first: every place of the longest one,
 * then in what is left every place of the next, and so on, each from left to right. (So a longer
 * token further right wins over a shorter one that overlaps it.) Which tokens occur at all is
 * found in one pass by an Aho-Corasick automaton, so a vocabulary of thousands of special tokens
 * costs nothing where none of them is.
 */
#ifndef LINN_TOKENIZER_SPECIAL_H
#define LINN_TOKENIZER_SPECIAL_H

#include "gguf/gguf.h"

typedef struct linn_special {
    int32_t token;
    bool user;        /* user-defined: found even when special tokens are not asked for */
    bool strip_right; /* white space after it is dropped */
} linn_special;

typedef struct linn_special_node {
    int32_t child, sibling; /* 0: none */
    int32_t shorter;        /* node of the longest proper suffix that is in the tree */
    int32_t found;          /* index of the special token that ends here; -1: none */
    int32_t next_found;     /* along `shorter`, the next node where one ends; 0: none */
    uint8_t byte;
} linn_special_node;

typedef struct linn_specials {
    const linn_string *texts; /* by token, borrowed */
    linn_special *items;      /* [n], the longest first, then by id */
    size_t n;
    linn_special_node *nodes; /* [n_nodes], node 0 is the root */
    size_t n_nodes;
    int32_t first[256]; /* children of the root */
} linn_specials;

/* Takes over items[n] (malloc'd) in any order; texts that are empty, come twice or are no UTF-8
 * are dropped. False: out of memory. */
bool linn_specials_build(linn_specials *s, linn_special *items, size_t n, const linn_string *texts);
void linn_specials_free(linn_specials *s);

/* A piece of a text: a special token, or text without any. In order along `next`, from 0. */
typedef struct linn_fragment {
    const char *text;
    size_t length;
    int32_t token; /* -1: text */
    int32_t next;  /* -1: the last */
} linn_fragment;

/* Cuts text[length] into *out, for free(). False: out of memory. */
bool linn_specials_split(const linn_specials *s, const char *text, size_t length, bool only_user,
                         linn_fragment **out);

#endif
