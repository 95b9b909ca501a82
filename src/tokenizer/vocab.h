/* vocab.h - the inside of a tokenizer: tokens, tables and rules, as read from a file.
 *
 * Only the files of this folder include this. What a file says is not trusted:
 *
 *   what                                    what is done
 *   ----                                    ------------
 *   another tokenizer or pre-tokenizer      refused by name, with the list of those that linn has
 *   no tokens, or over 2^28                 refused
 *   fewer scores or types than tokens       refused; more are ignored
 *   a score that is not a number            refused
 *   an unknown type                         the token is an ordinary one
 *   a token of over LINN_TOKEN_MAX bytes    refused (nothing else would bound linn_text_stream)
 *   an empty token                          never comes out of a text; has no bytes
 *   two tokens of one text                  texts give the lower id
 *   text that is no UTF-8 or, in byte-level BPE, not of its alphabet
 *                                           an ordinary token never comes out of a text then
 *   a merge that is not two parts           refused
 *   a merge of or into what is no token     kept; what is no token in the end becomes bytes
 *   bytes that have no token                the unknown token stands for them; where there is
 *                                           none, tokenizing such a text is an error
 *   an id (begin, end, ...) out of range    refused; 2^32-1 means that there is none
 *   a begin or end token to be added that is not there
 *                                           refused if the file asks for it
 *
 * Tokens of a control, unknown or byte type never come out of ordinary text, even if merges could
 * make them: only linn_tokenize's LINN_TOKENIZE_SPECIAL lets a text name them.
 */
#ifndef LINN_TOKENIZER_VOCAB_H
#define LINN_TOKENIZER_VOCAB_H

#include "tokenizer/chat.h"
#include "tokenizer/special.h"
#include "tokenizer/split.h"
#include "tokenizer/table.h"
#include "tokenizer/tokenizer.h"

enum { LINN_TOKEN_MAX = 1000 }; /* bytes of a token; less than sizeof linn_text_stream.text - 3 */

typedef enum linn_token_type { /* numbers as in tokenizer.ggml.token_type */
                               LINN_TOKEN_NORMAL = 1,
                               LINN_TOKEN_UNKNOWN = 2,
                               LINN_TOKEN_CONTROL = 3,
                               LINN_TOKEN_USER = 4, /* in a text, found before all else */
                               LINN_TOKEN_UNUSED = 5,
                               LINN_TOKEN_BYTE = 6,
} linn_token_type;

typedef enum linn_tokenizer_kind {
    LINN_TOKENIZER_SPM, /* "llama": SentencePiece BPE, merges by score */
    LINN_TOKENIZER_BPE, /* "gpt2": byte-level BPE, merges by rank */
} linn_tokenizer_kind;

enum { LINN_NO_TOKEN = -1, LINN_MAX_TOKENS = 1 << 28 };

/* Which characters stand side by side in some token, as a Bloom filter. No merge crosses two that
 * never do, so SentencePiece text is cut there into pieces that merge on their own. */
enum { LINN_NEIGHBOUR_BITS = 1 << 18 };

struct linn_tokenizer {
    linn_tokenizer_kind kind;
    char *arena, *extra; /* the bytes of the texts: of tokens, of other symbols */
    linn_string *texts; /* [n_symbols] bytes as they appear in text: of tokens, then of symbols that
                           only merges know */
    uint8_t *types;     /* [n_tokens] linn_token_type */
    uint8_t *ends;      /* [n_tokens] 1: ends the generation */
    float *scores;      /* SPM [n_tokens] */
    int32_t n_tokens, n_symbols;
    size_t longest; /* bytes of the longest text that merges can make */

    linn_text_table ids;     /* of what ordinary text can become */
    linn_pair_table merges;  /* BPE */
    int32_t bytes[256];      /* SPM: byte tokens; BPE: symbols of single bytes */
    uint64_t *neighbours;    /* SPM [LINN_NEIGHBOUR_BITS / 64] */
    linn_splitter *splitter; /* BPE */
    linn_specials specials;  /* control, unknown and user-defined tokens */
    linn_chat chat;

    int32_t bos, eos, unknown; /* or LINN_NO_TOKEN */
    bool add_bos, add_eos;
    bool add_space;     /* SPM: text starts with a blank that decoding takes away */
    bool ignore_merges; /* BPE: a word that is a token is that token */
};

/* Reading, in the order in which it is done; each expects what the ones before it left. */
int linn_vocab_read(linn_tokenizer *t, const linn_file *f, linn_error *err);  /* vocab.c */
int linn_merges_read(linn_tokenizer *t, const linn_file *f, linn_error *err); /* bpe.c */
int linn_spm_prepare(linn_tokenizer *t, linn_error *err);                     /* spm.c */

/* The byte that a character of the byte-level alphabet stands for; -1: it is not of it (bpe.c). */
int linn_bpe_byte(uint32_t code_point);
/* Decodes a text in that alphabet into out[length]; returns bytes written, or -1. */
ptrdiff_t linn_bpe_decode(const char *text, size_t length, char *out);

/* Whether two characters may stand side by side in a token (spm.c). */
bool linn_spm_neighbours(const linn_tokenizer *t, uint32_t left, uint32_t right);

static inline bool linn_token_valid(const linn_tokenizer *t, linn_token token)
{
    return token >= 0 && token < t->n_tokens;
}

static inline bool linn_token_is_special(const linn_tokenizer *t, linn_token token)
{
    return t->types[token] == LINN_TOKEN_CONTROL || t->types[token] == LINN_TOKEN_UNKNOWN;
}

#endif
