/* split.h - pre-tokenizers: cutting text into words before byte-level BPE merges within them.
 *
 * A pre-tokenizer is a list of patterns as llama.cpp has it for each `tokenizer.ggml.pre`. The
 * first cuts the text into matches and what lies between; each next one cuts every piece so far,
 * as if that piece were all there is (a look ahead sees its end). The patterns are compiled once;
 * a splitter may be used by many threads at once, each with its own match data.
 */
#ifndef LINN_TOKENIZER_SPLIT_H
#define LINN_TOKENIZER_SPLIT_H

#include "linn.h"

typedef struct linn_splitter linn_splitter;

typedef struct linn_splitter_rules {
    bool ignore_merges; /* a word that is a token is that token */
    bool add_bos;       /* unless the file says otherwise */
} linn_splitter_rules;

/* LINN_EUNSUPPORTED for a name[length] that linn does not know, with `where` in the message. */
int linn_splitter_create(linn_splitter **out, const char *name, size_t length, const char *where,
                         linn_splitter_rules *rules, linn_error *err);
void linn_splitter_free(linn_splitter *s);

/* Working memory of one caller at a time; NULL: out of memory. */
void *linn_splitter_match_data(const linn_splitter *s);
void linn_splitter_match_data_free(void *match_data);

/* Calls word(arg, text, length) on the words of text[length] (UTF-8) in order, which together are
 * all of it, none of them empty. Stops at a result other than LINN_OK and returns it. */
typedef int (*linn_word_fn)(void *arg, const char *text, size_t length);
int linn_splitter_run(const linn_splitter *s, void *match_data, const char *text, size_t length,
                      linn_word_fn word, void *arg, linn_error *err);

#endif
