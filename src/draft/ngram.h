/* ngram.h - tables of n-grams: which tokens follow a context of one to four tokens,
 * and how often they did in some text.
 *
 * A table is a file, mapped and used in place (little-endian machines only):
 *
 *     header       128 bytes
 *     buckets      u32 [2^bucket_bits + 1]: first context of each bucket, then n_contexts
 *     contexts     { u32 key and share, u32 what } [n_contexts]
 *     successors   u32 [n_words]
 *
 * A context is known by a hash of its tokens: the bucket by the high bits, the key in it
 * by the low 24 bits, ascending. (Of two contexts with one hash the builder drops one; a
 * context that is not there is taken for one that is about once in a million look-ups,
 * and then a guess is bad.) `what` is a successor word when there is one successor, which
 * has bit 31 set; else the index of a list of them, most frequent first (ties: lowest
 * token), the last with bit 31 set. Lists lie in the order of contexts without gaps.
 * share: that of the first successor in all that was seen after the context, on the
 * scale (share / 255)^2; so the others' shares follow from the counts, and what they lack
 * to 1 was seen too and is not in the list.
 *
 *      31   30        20 19                 0           31                 8 7     0
 *     +----+------------+--------------------+         +--------------------+-------+
 *     |last| count code |       token        |         |        key         | share |
 *     +----+------------+--------------------+         +--------------------+-------+
 *
 * A count code has 5 bits of exponent e and 6 of mantissa m: m if e = 0, else
 * (64 + m) 2^(e - 1): exact below 128, to 1.6 % above.
 */
#ifndef LINN_DRAFT_NGRAM_H
#define LINN_DRAFT_NGRAM_H

#include "base/file.h"
#include "draft/draft.h"

enum {
    LINN_NGRAM_CONTEXT = 4, /* tokens of the longest context */
    LINN_NGRAM_VERSION = 1,
    LINN_NGRAM_TOKEN_BITS = 20,
    LINN_NGRAM_CODE_BITS = 11,
    LINN_NGRAM_KEY_BITS = 24,
    LINN_NGRAM_MAX_BUCKET_BITS = 28,
    LINN_NGRAM_SUCCESSORS = 256, /* in one list, at most */
};
#define LINN_NGRAM_DISCOUNT 0.75
#define LINN_NGRAM_LAST 0x80000000u
#define LINN_NGRAM_MAGIC "linngram"

typedef struct linn_ngram_header {
    char magic[8];
    uint32_t version;
    uint32_t bucket_bits;
    uint64_t checksum;    /* of all bytes after this field */
    uint64_t fingerprint; /* of the bytes of tokens 0 .. n_tokens - 1; 0: of no tokenizer */
    uint64_t n_tokens;    /* the largest token in the table + 1 */
    uint64_t n_words;
    uint64_t n_text;                         /* tokens of the text it was made from */
    uint64_t n_contexts[LINN_NGRAM_CONTEXT]; /* of 1 .. 4 tokens */
    uint64_t unused[5];                      /* 0 */
} linn_ngram_header;
_Static_assert(sizeof(linn_ngram_header) == 128, "as the picture says");

typedef struct linn_ngram_entry {
    uint32_t key; /* and share */
    uint32_t what;
} linn_ngram_entry;

struct linn_ngram {
    linn_mapping file; /* zeros: the image belongs to the caller */
    const linn_ngram_header *header;
    const uint32_t *buckets;
    const linn_ngram_entry *contexts;
    const uint32_t *words;
};

typedef struct linn_ngram_info {
    int32_t order;          /* 2: what follows one token, ... 5: what follows up to four */
    int32_t n_tokens;       /* the largest token in it + 1 */
    uint64_t n_text;        /* tokens of the text it was made from */
    uint64_t n_contexts[4]; /* of one to four tokens */
    uint64_t n_successors;  /* of all of them together */
} linn_ngram_info;
linn_ngram_info linn_ngram_describe(const linn_ngram *g);

/* Checks an image in memory, which must outlive the result, at a multiple of 8 bytes; `name` only
 * names it in messages. */
int linn_ngram_parse(linn_ngram **out, const void *data, size_t size, const char *name,
                     linn_error *err);
/* What the header of an image should say; size >= that of the header. */
uint64_t linn_ngram_checksum(const void *data, size_t size);
/* LINN_EINVAL if the table was made with a tokenizer that has other tokens. One that has more at
 * the end, as padded vocabularies do, is the same. */
int linn_ngram_check(const linn_ngram *g, const linn_tokenizer *t, const char *name,
                     linn_error *err);
/* Of the bytes of tokens 0 .. n - 1; never 0. */
uint64_t linn_ngram_fingerprint(const linn_tokenizer *t, uint64_t n);

uint64_t linn_ngram_hash(const linn_token *newest_first, int n);
uint32_t linn_ngram_code(uint64_t count); /* rounded down */

static inline linn_token linn_ngram_token(uint32_t word)
{
    return (linn_token)(word & ((1u << LINN_NGRAM_TOKEN_BITS) - 1));
}

static inline uint64_t linn_ngram_count(uint32_t word)
{
    uint32_t code = word >> LINN_NGRAM_TOKEN_BITS & ((1u << LINN_NGRAM_CODE_BITS) - 1);
    return code < 64 ? code : (uint64_t)(64 + (code & 63)) << ((code >> 6) - 1);
}

/* What follows a context: successor words, the last of which has LINN_NGRAM_LAST; NULL: nothing
 * known. *total: about how often the context was seen. */
const uint32_t *linn_ngram_find(const linn_ngram *g, const linn_token *newest_first, int n,
                                double *total);

/* The drafter. Its distribution interpolates all context lengths: what is known of the longest
 * context, each count less D = 3/4 (absolute discounting), and for what is left of the whole the
 * distribution of the next shorter one:
 *
 *     q_n(x) = (c_n(x) - D) / C_n + (1 - sum over y of (c_n(y) - D) / C_n) q_(n-1)(x),  q_0 = 0
 *
 * It guesses the x with the largest q(x), or at temperature T > 0 with the largest
 * log(q(x)) / T + g(x), g being the target's noise. Confidence: q(x). 4 bytes a position. */
int linn_ngram_drafter_create(linn_drafter **out, const linn_ngram *g, int32_t n_positions,
                              linn_error *err);

#endif
