/* encode.h - the working memory of one call of linn_tokenize, and how words become tokens. */
#ifndef LINN_TOKENIZER_ENCODE_H
#define LINN_TOKENIZER_ENCODE_H

#include "tokenizer/merge.h"
#include "tokenizer/vocab.h"

/* A word met before in this call: where its tokens stand among the ids. Most words of a long text
 * come again. */
typedef struct linn_known_word {
    const char *text;
    uint32_t length;
    uint32_t n; /* tokens */
    size_t at;  /* of the first among the ids */
} linn_known_word;

typedef struct linn_encoder {
    const linn_tokenizer *t;
    linn_error *err;
    linn_token *ids; /* [n], room for `capacity` */
    size_t n, capacity;
    linn_symbol *symbols;   /* [room] */
    linn_candidate *heap;   /* [2 * room] */
    uint32_t room;          /* bytes of a word */
    linn_known_word *known; /* NULL: the text is short */
    void *match_data;       /* BPE */
    char *blanks, *next;    /* SPM: the text as it is merged, and the end of what is written */
} linn_encoder;

int linn_encode_id(linn_encoder *e, linn_token id);
/* The tokens of the bytes of what is no token. */
int linn_encode_bytes(linn_encoder *e, const char *text, size_t length);
/* A word whose merges do not reach beyond it (linn_word_fn; arg: the encoder). */
int linn_encode_word(void *encoder, const char *text, size_t length);

/* By kind: a piece of text between special tokens, and the start and the merging of a word. */
int linn_spm_encode(linn_encoder *e, const char *text, size_t length);
int linn_bpe_encode(linn_encoder *e, const char *text, size_t length);
void linn_spm_merge(linn_encoder *e, const char *text, uint32_t length);
void linn_bpe_merge(linn_encoder *e, const char *text, uint32_t length);

#endif
