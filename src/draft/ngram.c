/* ngram.c - opening, checking and looking up n-gram tables (ngram.h has the format).
 *
 * Everything is checked when a table is opened, so a lookup trusts what it reads. The
 * check and the checksum read all of the file: 4 MB take a few milliseconds.
 */
#include "draft/ngram.h"

#include "base/error.h"
#include "base/hash.h"
#include "base/memory.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "n-gram tables are used in place");

/* ---- numbers in the format ------------------------------------------------------------- */

uint64_t linn_ngram_hash(const linn_token *newest_first, int n)
{
    uint64_t h = 0x243f6a8885a308d3u * (uint64_t)n;
    for (int i = 0; i < n; i++)
        h = linn_hash_mix(h, (uint64_t)(uint32_t)newest_first[i]);
    return linn_hash_mix(h, 0x8000000000000000u);
}

uint64_t linn_ngram_checksum(const void *data, size_t size)
{
    const size_t from = offsetof(linn_ngram_header, checksum) + sizeof(uint64_t);
    return linn_hash_bytes(LINN_NGRAM_VERSION, (const uint8_t *)data + from, size - from);
}

uint64_t linn_ngram_fingerprint(const linn_tokenizer *t, uint64_t n)
{
    uint64_t h = n;
    for (uint64_t i = 0; i < n; i++) {
        size_t length = 0;
        const char *bytes = linn_token_bytes(t, (linn_token)i, true, &length);
        h = linn_hash_bytes(h, bytes, length);
    }
    return h ? h : 1;
}

uint32_t linn_ngram_code(uint64_t count)
{
    const uint64_t most = (uint64_t)127 << 30;
    if (count > most)
        count = most;
    uint32_t exponent = 0;
    for (; count >= 128; exponent++)
        count >>= 1;
    return count < 64 ? (uint32_t)count : (exponent + 1) << 6 | ((uint32_t)count - 64);
}

/* ---- checking an image --------------------------------------------------------------------- */

static uint64_t sum_contexts(const linn_ngram_header *h)
{
    uint64_t n = 0;
    for (int i = 0; i < LINN_NGRAM_CONTEXT; i++)
        n += h->n_contexts[i];
    return n;
}

static int check_header(const linn_ngram_header *h, size_t size, const char *name, linn_error *err)
{
    if (size < sizeof *h || memcmp(h->magic, LINN_NGRAM_MAGIC, sizeof h->magic) != 0)
        return linn_fail(err, LINN_EFORMAT, "%s: not an n-gram table (linn ngram build makes one)",
                         name);
    if (h->version != LINN_NGRAM_VERSION)
        return linn_fail(err, LINN_EUNSUPPORTED,
                         "%s: n-gram table of version %" PRIu32
                         ", expected %d: build it again with this linn",
                         name, h->version, LINN_NGRAM_VERSION);
    const uint64_t most = UINT32_MAX >> 1;
    bool huge = h->n_words > most || h->n_tokens > 1u << LINN_NGRAM_TOKEN_BITS ||
                h->bucket_bits > LINN_NGRAM_MAX_BUCKET_BITS;
    for (int i = 0; i < LINN_NGRAM_CONTEXT; i++)
        huge |= h->n_contexts[i] > most;
    if (huge || sum_contexts(h) > most)
        return linn_fail(err, LINN_EFORMAT, "%s: sizes in the header are out of range", name);
    uint64_t expected = sizeof *h + sizeof(uint32_t) * (((uint64_t)1 << h->bucket_bits) + 1) +
                        sizeof(linn_ngram_entry) * sum_contexts(h) + sizeof(uint32_t) * h->n_words;
    if (expected != size)
        return linn_fail(err, LINN_EFORMAT,
                         "%s: %zu bytes, but its header speaks of %" PRIu64
                         ": cut short, or changed",
                         name, size, expected);
    if (linn_ngram_checksum(h, size) != h->checksum)
        return linn_fail(err, LINN_EFORMAT, "%s: checksum does not match: damaged", name);
    return LINN_OK;
}

/* Buckets ascend and cover all contexts; keys ascend within each. */
static bool check_buckets(const linn_ngram *g, uint32_t n_contexts)
{
    uint64_t n = (uint64_t)1 << g->header->bucket_bits;
    if (g->buckets[0] != 0 || g->buckets[n] != n_contexts)
        return false;
    for (uint64_t b = 0; b < n; b++) {
        uint32_t from = g->buckets[b], to = g->buckets[b + 1];
        if (from > to || to > n_contexts)
            return false;
        for (uint32_t i = from; i + 1 < to; i++)
            if (g->contexts[i].key >> 8 >= g->contexts[i + 1].key >> 8)
                return false;
    }
    return true;
}

static bool check_word(const linn_ngram *g, uint32_t word)
{
    return (uint64_t)linn_ngram_token(word) < g->header->n_tokens && linn_ngram_count(word) > 0;
}

/* Lists follow each other, end within the file, and hold tokens of the table. */
static bool check_successors(const linn_ngram *g, uint32_t n_contexts)
{
    uint64_t at = 0, n = g->header->n_words;
    for (uint32_t i = 0; i < n_contexts; i++) {
        uint32_t what = g->contexts[i].what;
        if ((g->contexts[i].key & 255) == 0)
            return false;
        if (what & LINN_NGRAM_LAST) {
            if (!check_word(g, what))
                return false;
            continue;
        }
        if (what != at)
            return false;
        for (bool last = false; !last; at++) {
            if (at >= n || at - what >= LINN_NGRAM_SUCCESSORS || !check_word(g, g->words[at]))
                return false;
            last = (g->words[at] & LINN_NGRAM_LAST) != 0;
        }
    }
    return at == n;
}

int linn_ngram_parse(linn_ngram **out, const void *data, size_t size, const char *name,
                     linn_error *err)
{
    *out = NULL;
    const linn_ngram_header *h = data;
    int rc = check_header(h, size, name, err);
    if (rc != LINN_OK)
        return rc;
    linn_ngram *g = linn_alloc(1, sizeof *g);
    if (!g)
        return linn_fail(err, LINN_ENOMEM, "%s: out of memory", name);
    uint32_t n_contexts = (uint32_t)sum_contexts(h);
    g->header = h;
    g->buckets = (const uint32_t *)(h + 1);
    g->contexts = (const void *)(g->buckets + ((size_t)1 << h->bucket_bits) + 1);
    g->words = (const uint32_t *)(g->contexts + n_contexts);
    if (!check_buckets(g, n_contexts) || !check_successors(g, n_contexts)) {
        free(g);
        return linn_fail(err, LINN_EFORMAT, "%s: contexts and successors contradict each other",
                         name);
    }
    *out = g;
    return LINN_OK;
}

int linn_ngram_check(const linn_ngram *g, const linn_tokenizer *t, const char *name,
                     linn_error *err)
{
    uint64_t n = g->header->n_tokens;
    if (n > (uint64_t)linn_tokenizer_size(t) ||
        linn_ngram_fingerprint(t, n) != g->header->fingerprint)
        return linn_fail(err, LINN_EINVAL,
                         "%s: made with another tokenizer than the model's: build it again with "
                         "linn ngram build -m MODEL",
                         name);
    return LINN_OK;
}

/* ---- opening -------------------------------------------------------------------------------- */

int linn_ngram_open(linn_ngram **out, const char *path, const linn_tokenizer *t, linn_error *err)
{
    *out = NULL;
    linn_mapping file;
    int rc = linn_mapping_open(&file, path, err);
    if (rc == LINN_OK)
        rc = linn_ngram_parse(out, file.data, file.size, path, err);
    if (rc != LINN_OK) {
        linn_mapping_close(&file);
        return rc;
    }
    (*out)->file = file;
    if (t)
        rc = linn_ngram_check(*out, t, path, err);
    if (rc != LINN_OK) {
        linn_ngram_free(*out);
        *out = NULL;
    }
    return rc;
}

void linn_ngram_free(linn_ngram *g)
{
    if (g)
        linn_mapping_close(&g->file);
    free(g);
}

linn_ngram_info linn_ngram_describe(const linn_ngram *g)
{
    const linn_ngram_header *h = g->header;
    linn_ngram_info info = {.n_tokens = (int32_t)h->n_tokens, .n_text = h->n_text};
    for (int i = 0; i < LINN_NGRAM_CONTEXT; i++) {
        info.n_contexts[i] = h->n_contexts[i];
        info.order = h->n_contexts[i] ? i + 2 : info.order;
    }
    uint64_t n = sum_contexts(h);
    for (uint64_t i = 0; i < n; i++)
        info.n_successors += (g->contexts[i].what & LINN_NGRAM_LAST) != 0;
    info.n_successors += h->n_words;
    return info;
}

/* ---- looking up ------------------------------------------------------------------------------ */

const uint32_t *linn_ngram_find(const linn_ngram *g, const linn_token *newest_first, int n,
                                double *total)
{
    uint64_t h = linn_ngram_hash(newest_first, n);
    uint64_t bucket = g->header->bucket_bits ? h >> (64 - g->header->bucket_bits) : 0;
    uint32_t key = (uint32_t)h & ((1u << LINN_NGRAM_KEY_BITS) - 1);
    for (uint32_t i = g->buckets[bucket]; i < g->buckets[bucket + 1]; i++) {
        const linn_ngram_entry *e = &g->contexts[i];
        if (e->key >> 8 < key)
            continue;
        if (e->key >> 8 > key)
            break;
        const uint32_t *words = e->what & LINN_NGRAM_LAST ? &e->what : &g->words[e->what];
        double root = (e->key & 255) / 255.0;
        *total = (double)linn_ngram_count(*words) / (root * root);
        return words;
    }
    return NULL;
}
