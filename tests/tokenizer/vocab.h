/* vocab.h - small vocabularies for tests, described in a struct and read as files are. */
#ifndef LINN_TESTS_TOKENIZER_VOCAB_H
#define LINN_TESTS_TOKENIZER_VOCAB_H

#include "gguf/gguf.h"
#include "tokenizer/tokenizer.h"

enum { VOCAB_ABSENT = -2 }; /* of ids and flags: the file does not say */

typedef struct vocab {
    const char *model, *pre; /* NULL: the key is missing, as with all pointers here */
    const char *name;        /* general.name */
    const char *chat;
    const linn_string *tokens;
    size_t n_tokens;
    const float *scores;
    size_t n_scores;
    const int32_t *types;
    size_t n_types;
    const linn_string *merges;
    size_t n_merges;
    int64_t bos, eos, unknown, eot;
    int add_bos, add_eos, add_space;
} vocab;

/* Everything absent. */
vocab vocab_none(void);

/* The file as bytes, for free(); NULL: out of memory. */
uint8_t *vocab_image(const vocab *v, size_t *size);

/* Reads it; the file is closed again. */
int vocab_open(const vocab *v, linn_tokenizer **out, linn_error *err);

/* Opens what has to open; else the test fails with the message. */
linn_tokenizer *vocab_must_open(const vocab *v);

/* SentencePiece: 0 <unk>, 1 <s>, 2 </s>, 3 to 258 the bytes, then ordinary pieces. `pieces` are
 * separated by blanks, with '_' for a blank; their scores fall from -1 in steps of 1. */
enum { SPM_FIRST = 259 };
vocab *vocab_spm(const char *pieces);
/* Byte-level BPE: the 256 bytes by value, then what `merges` make, "th e" being a merge of "th"
 * and "e"; they are separated by commas, with '_' for a blank. */
enum { BPE_FIRST = 256 };
vocab *vocab_bpe(const char *pre, const char *merges);
/* Adds a token of a type; returns its id. */
int32_t vocab_add(vocab *v, const char *text, int32_t type);
/* Of what vocab_spm and vocab_bpe made. */
void vocab_free(vocab *v);

/* The ids of a text as "1 2 3", in a buffer of the function. */
const char *ids_of(const linn_tokenizer *t, const char *text, unsigned flags);
/* The text of ids[n] by a stream, for free(). */
char *text_of(const linn_tokenizer *t, const linn_token *ids, size_t n, bool special,
              size_t *length);

#endif
