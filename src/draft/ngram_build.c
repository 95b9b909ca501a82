/* ngram_build.c - making an n-gram table (ngram.h has the format).
 *
 * For each context length in turn, the positions of the text are sorted by their context
 * (newest token first) and then by the token itself: one counting sort a token, last key
 * first. In that order each context is one run, and within it each successor. A context's
 * own shorter one lies in the same order in the list of the length before.
 *
 * What is worth its bytes: a successor x helps as far as it is more frequent here than the
 * shorter context would say, and the context's favourite x0 helps where it differs from
 * that one's y0. With c(x) the counts here, C their sum, q the shares there and D the
 * discount, the gains are
 *
 *     [c(x) - D - C q(x)]+ for x (sampling),  [c(x0) - D - c(y0)]+ for x0 (greedy choice)
 *
 * tokens of the text. For a price of p a byte, what gains less than it costs is left out;
 * the price is chosen so that the file is just full.
 */
#include "draft/ngram.h"

#include "base/error.h"
#include "base/memory.h"
#include "linn_tools.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUCKET = 8, /* contexts a bucket, at least */
    WORD = sizeof(uint32_t),
};

typedef struct successor {
    linn_token token;
    uint32_t count;
    float gain;
} successor;

typedef struct context {
    uint32_t position; /* of a successor: the tokens before it are the context */
    uint32_t total;    /* times it was seen */
    uint32_t first;    /* of its successors */
    uint16_t n;
    uint16_t length;
    float gain; /* of its favourite, beside what that gains as a successor */
} context;

typedef struct builder {
    const linn_token *text;
    size_t n;
    const linn_ngram_settings *s;
    uint32_t n_vocab;
    uint32_t *order, *scratch; /* [n]: positions being sorted */
    uint32_t *starts;          /* [n_vocab + 1] */
    context *contexts;
    size_t n_contexts, contexts_room;
    successor *successors;
    size_t n_successors, successors_room;
    successor *seen; /* [seen_room]: successors of the context at hand */
    size_t seen_room;
    int steps, steps_done;
} builder;

/* LINN_OK, or LINN_ECANCELLED. */
static int progress(builder *b)
{
    b->steps_done++;
    if (b->s->on_progress && !b->s->on_progress(b->s->user, (double)b->steps_done / b->steps))
        return LINN_ECANCELLED;
    return LINN_OK;
}

/* Makes room for one more; NULL: out of memory, and the old block stays. */
static void *grow(void *block, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return block;
    size_t more = *room ? *room + *room / 2 : 1024, bytes;
    void *larger = linn_mul_overflows(more, size, &bytes) ? NULL : realloc(block, bytes);
    if (larger)
        *room = more;
    return larger;
}

/* ---- sorting ------------------------------------------------------------------------------- */

/* Positions with `length` tokens before them that belong together. */
static size_t list_positions(builder *b, int length)
{
    size_t n = 0;
    int known = 0; /* tokens in a row */
    for (size_t i = 0; i < b->n; i++) {
        if (b->text[i] < 0) {
            known = 0;
            continue;
        }
        if (known >= length)
            b->order[n++] = (uint32_t)i;
        known++;
    }
    return n;
}

/* Sorts by the token `back` places before each position; equal ones keep their order. */
static int sort_by(builder *b, size_t n, int back)
{
    const linn_token *key = b->text - back;
    memset(b->starts, 0, (b->n_vocab + 1) * sizeof *b->starts);
    for (size_t i = 0; i < n; i++)
        b->starts[key[b->order[i]] + 1]++;
    for (uint32_t v = 0; v < b->n_vocab; v++)
        b->starts[v + 1] += b->starts[v];
    for (size_t i = 0; i < n; i++)
        b->scratch[b->starts[key[b->order[i]]]++] = b->order[i];
    uint32_t *t = b->order;
    b->order = b->scratch;
    b->scratch = t;
    return progress(b);
}

/* Whether the `length` tokens before two positions are the same. */
static bool same_context(const builder *b, uint32_t i, uint32_t j, int length)
{
    return memcmp(b->text + i - length, b->text + j - length, (size_t)length * sizeof *b->text) ==
           0;
}

/* < 0, 0, > 0 as the context before i comes before, with or after that before j in the order */
static int compare_contexts(const builder *b, uint32_t i, uint32_t j, int length)
{
    for (int back = 1; back <= length; back++) {
        linn_token x = b->text[i - (uint32_t)back], y = b->text[j - (uint32_t)back];
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

/* ---- what to keep of a context --------------------------------------------------------------- */

static int by_count(const void *a, const void *b)
{
    const successor *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->token < y->token ? -1 : 1;
}

static double share_of(const builder *b, const context *c, linn_token token)
{
    for (uint32_t i = 0; c && i < c->n; i++)
        if (b->successors[c->first + i].token == token)
            return (double)b->successors[c->first + i].count / c->total;
    return 0;
}

static double above_zero(double x)
{
    return x > 0 ? x : 0;
}

/* Of guessing the favourite of b->seen[0..n) and not that of the shorter context. */
static double greedy_gain(const builder *b, size_t n, const context *shorter)
{
    double there = 0;
    for (size_t i = 0; shorter && i < n; i++)
        if (b->seen[i].token == b->successors[shorter->first].token)
            there = b->seen[i].count;
    return above_zero(b->seen[0].count - LINN_NGRAM_DISCOUNT - there);
}

/* Takes in the context of b->seen[0..n), which follow `position`'s tokens. */
static int add_context(builder *b, uint32_t position, int length, size_t n, const context *shorter)
{
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += b->seen[i].count;
    qsort(b->seen, n, sizeof *b->seen, by_count);
    if (b->seen[0].count < (uint32_t)b->s->min_count)
        return LINN_OK;
    void *larger = grow(b->contexts, b->n_contexts, &b->contexts_room, sizeof *b->contexts);
    if (!larger)
        return LINN_ENOMEM;
    b->contexts = larger;
    context c = {.position = position,
                 .total = (uint32_t)total,
                 .first = (uint32_t)b->n_successors,
                 .length = (uint16_t)length,
                 .gain = (float)greedy_gain(b, n, shorter)};
    for (; c.n < n && c.n < LINN_NGRAM_SUCCESSORS; c.n++) {
        successor x = b->seen[c.n];
        if (x.count < (uint32_t)b->s->min_count)
            break;
        larger = grow(b->successors, b->n_successors, &b->successors_room, sizeof *b->successors);
        if (!larger)
            return LINN_ENOMEM;
        b->successors = larger;
        x.gain = (float)above_zero(x.count - LINN_NGRAM_DISCOUNT -
                                   (double)total * share_of(b, shorter, x.token));
        b->successors[b->n_successors++] = x;
    }
    b->contexts[b->n_contexts++] = c;
    return LINN_OK;
}

/* Collects the contexts of one length; those of length - 1 are contexts[from..to). */
static int collect(builder *b, int length, size_t n, size_t from, size_t to)
{
    for (size_t i = 0, next; i < n; i = next) {
        uint32_t position = b->order[i];
        size_t n_seen = 0;
        for (next = i; next < n && same_context(b, position, b->order[next], length); next++) {
            linn_token token = b->text[b->order[next]];
            if (n_seen == 0 || b->seen[n_seen - 1].token != token) {
                void *larger = grow(b->seen, n_seen, &b->seen_room, sizeof *b->seen);
                if (!larger)
                    return LINN_ENOMEM;
                b->seen = larger;
                b->seen[n_seen++] = (successor){.token = token};
            }
            b->seen[n_seen - 1].count++;
        }
        int order = -1;
        while (from < to &&
               (order = compare_contexts(b, b->contexts[from].position, position, length - 1)) < 0)
            from++;
        /* The list may move while this one is added to it. */
        context shorter = {0};
        bool has_shorter = from < to && order == 0;
        if (has_shorter)
            shorter = b->contexts[from];
        if (add_context(b, position, length, n_seen, has_shorter ? &shorter : NULL) != LINN_OK)
            return LINN_ENOMEM;
    }
    return progress(b);
}

static int collect_all(builder *b)
{
    size_t from = 0;
    for (int length = 1; length < b->s->order; length++) {
        size_t n = list_positions(b, length), to = b->n_contexts;
        int rc = sort_by(b, n, 0);
        for (int back = length; back >= 1 && rc == LINN_OK; back--)
            rc = sort_by(b, n, back);
        if (rc == LINN_OK)
            rc = collect(b, length, n, from, to);
        if (rc != LINN_OK)
            return rc;
        from = to;
    }
    return LINN_OK;
}

/* ---- choosing ----------------------------------------------------------------------------------
 */

/* Whether successor i of a context is kept if the context is. */
static bool keeps(const builder *b, const context *c, uint32_t i, double price)
{
    return b->successors[c->first + i].gain > price * WORD || (i == 0 && c->gain > 0);
}

/* How many successors of a context are worth the price; 0: the context is not. */
static uint32_t worth(const builder *b, const context *c, double price)
{
    double gain = c->gain - price * (double)sizeof(linn_ngram_entry);
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n; i++)
        if (keeps(b, c, i, price)) {
            gain += b->successors[c->first + i].gain - price * WORD;
            n++;
        }
    if (n == 1)
        gain += price * WORD; /* it is part of the entry */
    return gain > 0 ? n : 0;
}

/* Bytes of a file at this price; *n_contexts and *n_words: what is in it. */
static uint64_t file_size(const builder *b, double price, size_t *n_contexts, size_t *n_words)
{
    *n_contexts = *n_words = 0;
    for (size_t i = 0; i < b->n_contexts; i++) {
        uint32_t n = worth(b, &b->contexts[i], price);
        *n_contexts += n > 0;
        *n_words += n > 1 ? n : 0;
    }
    return sizeof(linn_ngram_header) + (uint64_t)WORD * (*n_contexts / BUCKET + 2) +
           sizeof(linn_ngram_entry) * (uint64_t)*n_contexts + (uint64_t)WORD * *n_words;
}

/* The lowest price at which the file has room, or near enough. */
static double find_price(const builder *b)
{
    size_t n, words;
    double low = 0, high = 1;
    if (file_size(b, low, &n, &words) <= b->s->max_bytes && n <= UINT32_MAX >> 1)
        return low;
    while (file_size(b, high, &n, &words) > b->s->max_bytes)
        high *= 2;
    for (int i = 0; i < 30; i++) {
        double middle = (low + high) / 2;
        if (file_size(b, middle, &n, &words) > b->s->max_bytes)
            low = middle;
        else
            high = middle;
    }
    return high;
}

/* ---- laying out ---------------------------------------------------------------------------------
 */

typedef struct placed {
    uint64_t hash;
    uint32_t context;
} placed;

static int by_hash(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->context < y->context ? -1 : 1; /* the more useful one first */
}

static uint32_t word_of(const successor *s, bool last)
{
    return (last ? LINN_NGRAM_LAST : 0) | linn_ngram_code(s->count) << LINN_NGRAM_TOKEN_BITS |
           (uint32_t)s->token;
}

typedef struct table_image {
    linn_ngram_header *header;
    size_t size;
} table_image;

/* Lists the contexts of a file by bucket, then key; of two that are equal in these the one that was
 * seen first stays. Returns how many. */
static size_t place(const builder *b, double price, placed *p, uint32_t bucket_bits)
{
    uint64_t mask = bucket_bits ? ~(uint64_t)0 << (64 - bucket_bits) : 0;
    mask |= ((uint64_t)1 << LINN_NGRAM_KEY_BITS) - 1;
    size_t n = 0, unique = 0;
    for (size_t i = 0; i < b->n_contexts; i++) {
        const context *c = &b->contexts[i];
        if (worth(b, c, price) == 0)
            continue;
        linn_token newest_first[LINN_NGRAM_CONTEXT] = {0};
        for (uint32_t k = 0; k < c->length; k++)
            newest_first[k] = b->text[c->position - 1 - k];
        p[n++] = (placed){linn_ngram_hash(newest_first, c->length) & mask, (uint32_t)i};
    }
    qsort(p, n, sizeof *p, by_hash);
    for (size_t i = 0; i < n; i++)
        if (unique == 0 || p[unique - 1].hash != p[i].hash)
            p[unique++] = p[i];
    return unique;
}

/* The share of a part in the whole as a code (ngram.h); never 0. */
static uint32_t share_code(uint32_t part, uint32_t whole)
{
    uint32_t code = 1;
    while (code < 255 && (double)(2 * code + 1) * (2 * code + 1) * whole <= 510.0 * 510.0 * part)
        code++;
    return code;
}

/* Writes a context's successors to the end of the words, or the only one into the entry. */
static void fill_entry(const builder *b, const context *c, double price, linn_ngram_header *h,
                       linn_ngram_entry *entry, uint32_t *words)
{
    uint32_t left = worth(b, c, price), first_count = 0;
    entry->what = (uint32_t)h->n_words;
    for (uint32_t i = 0, single = left == 1; i < c->n; i++) {
        const successor *x = &b->successors[c->first + i];
        if (!keeps(b, c, i, price))
            continue;
        uint32_t word = word_of(x, --left == 0);
        if (single)
            entry->what = word;
        else
            words[h->n_words++] = word;
        first_count = first_count ? first_count : x->count;
        h->n_tokens = (uint64_t)x->token >= h->n_tokens ? (uint64_t)x->token + 1 : h->n_tokens;
    }
    entry->key |= share_code(first_count, c->total);
    for (uint32_t k = 1; k <= c->length; k++) {
        uint64_t token = (uint64_t)b->text[c->position - k];
        h->n_tokens = token >= h->n_tokens ? token + 1 : h->n_tokens;
    }
    h->n_contexts[c->length - 1]++;
}

static void fill(const builder *b, const placed *p, size_t n, double price, linn_ngram_header *h)
{
    uint32_t *buckets = (uint32_t *)(h + 1);
    size_t n_buckets = (size_t)1 << h->bucket_bits, bucket = 0;
    linn_ngram_entry *entries = (void *)(buckets + n_buckets + 1);
    for (size_t i = 0; i < n; i++) {
        size_t own = h->bucket_bits ? (size_t)(p[i].hash >> (64 - h->bucket_bits)) : 0;
        while (bucket < own)
            buckets[++bucket] = (uint32_t)i;
        entries[i].key = (uint32_t)p[i].hash << 8;
        fill_entry(b, &b->contexts[p[i].context], price, h, &entries[i], (uint32_t *)(entries + n));
    }
    while (bucket < n_buckets)
        buckets[++bucket] = (uint32_t)n;
}

static int lay_out(builder *b, const linn_tokenizer *t, table_image *out)
{
    double price = find_price(b);
    size_t n, n_words;
    file_size(b, price, &n, &n_words);
    uint32_t bucket_bits = 0;
    while (bucket_bits < LINN_NGRAM_MAX_BUCKET_BITS && ((size_t)2 << bucket_bits) * BUCKET <= n)
        bucket_bits++;
    placed *p = linn_alloc(n, sizeof *p);
    if (!p)
        return LINN_ENOMEM;
    n = place(b, price, p, bucket_bits);
    n_words = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t kept = worth(b, &b->contexts[p[i].context], price);
        n_words += kept > 1 ? kept : 0;
    }
    out->size = sizeof *out->header + (((size_t)1 << bucket_bits) + 1) * sizeof(uint32_t) +
                n * sizeof(linn_ngram_entry) + n_words * sizeof(uint32_t);
    out->header = linn_alloc(1, out->size);
    if (out->header) {
        linn_ngram_header *h = out->header;
        memcpy(h->magic, LINN_NGRAM_MAGIC, sizeof h->magic);
        h->version = LINN_NGRAM_VERSION;
        h->bucket_bits = bucket_bits;
        for (size_t i = 0; i < b->n; i++)
            h->n_text += b->text[i] >= 0;
        fill(b, p, n, price, h);
        h->fingerprint = t ? linn_ngram_fingerprint(t, h->n_tokens) : 0;
        h->checksum = linn_ngram_checksum(h, out->size);
    }
    free(p);
    return out->header ? progress(b) : LINN_ENOMEM;
}

/* ---- the whole ---------------------------------------------------------------------------------
 */

linn_ngram_settings linn_ngram_settings_default(void)
{
    return (linn_ngram_settings){.order = 5, .min_count = 2, .max_bytes = 4000000};
}

static int check(const linn_token *text, size_t n, const linn_ngram_settings *s, int64_t n_vocab,
                 linn_error *err)
{
    if (s->order < 2 || s->order > LINN_NGRAM_CONTEXT + 1)
        return linn_fail(err, LINN_EINVAL, "n-gram order %d: must be from 2 to %d", s->order,
                         LINN_NGRAM_CONTEXT + 1);
    if (s->min_count < 1)
        return linn_fail(err, LINN_EINVAL, "smallest n-gram count %d: must be at least 1",
                         s->min_count);
    const uint64_t least = 4096;
    if (s->max_bytes < least)
        return linn_fail(err, LINN_EINVAL,
                         "n-gram table of %" PRIu64 " bytes: must be at least %" PRIu64,
                         s->max_bytes, least);
    if (n > UINT32_MAX >> 1)
        return linn_fail(err, LINN_EINVAL, "%zu tokens are too many for one n-gram table", n);
    if (n_vocab > 1 << LINN_NGRAM_TOKEN_BITS)
        return linn_fail(err, LINN_EUNSUPPORTED,
                         "a vocabulary of %" PRId64 " tokens: n-gram tables hold at most %d",
                         n_vocab, 1 << LINN_NGRAM_TOKEN_BITS);
    for (size_t i = 0; i < n; i++)
        if (text[i] < -1 || text[i] >= n_vocab)
            return linn_fail(err, LINN_EINVAL,
                             "token %" PRId32 " at place %zu: the vocabulary has %" PRId64, text[i],
                             i, n_vocab);
    return LINN_OK;
}

int linn_ngram_build(const char *path, const linn_tokenizer *t, const linn_token *text, size_t n,
                     const linn_ngram_settings *s, linn_error *err)
{
    int64_t n_vocab = t ? linn_tokenizer_size(t) : 1 << LINN_NGRAM_TOKEN_BITS;
    int rc = check(text, n, s, n_vocab, err);
    if (rc != LINN_OK)
        return rc;
    linn_output out;
    rc = linn_output_open(&out, path, err);
    if (rc != LINN_OK)
        return rc;
    builder b = {.text = text, .n = n, .s = s, .n_vocab = (uint32_t)n_vocab};
    for (int length = 1; length < s->order; length++)
        b.steps += length + 2;
    b.steps++;
    table_image image = {0};
    b.order = linn_alloc(n, sizeof *b.order);
    b.scratch = linn_alloc(n, sizeof *b.scratch);
    b.starts = linn_alloc((size_t)n_vocab + 1, sizeof *b.starts);
    rc = LINN_ENOMEM;
    if (b.order && b.scratch && b.starts)
        rc = collect_all(&b);
    free(b.order);
    free(b.scratch);
    free(b.starts);
    free(b.seen);
    if (rc == LINN_OK)
        rc = lay_out(&b, t, &image);
    free(b.contexts);
    free(b.successors);
    if (rc == LINN_OK) {
        fwrite(image.header, 1, image.size, out.stream); /* commit finds what fails */
        rc = linn_output_commit(&out, err);
    } else {
        linn_output_discard(&out);
        rc = rc == LINN_ECANCELLED
                 ? linn_fail(err, rc, "%s: cancelled", path)
                 : linn_fail(err, rc, "%s: out of memory for the n-grams of %zu tokens", path, n);
    }
    free(image.header);
    return rc;
}
