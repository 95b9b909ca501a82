/* prefix.c - see prefix.h. */
#include "serve/prefix.h"

#include "base/error.h"
#include "base/memory.h"
#include "kernels/kernels.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE = LINN_KV_PAGE, NONE = -1 };

typedef struct node {
    bool used;
    int32_t parent; /* NONE: the page begins the text */
    int32_t n_children;
    int32_t chain;        /* the next one of the same bucket */
    int32_t newer, older; /* in the list of use */
    uint64_t hash;        /* of parent and tokens */
    linn_token tokens[PAGE];
} node;

struct linn_prefix {
    linn_kv_pool *pool;
    node *nodes;      /* [pool->n_pages] */
    int32_t *buckets; /* [n_buckets], a power of 2 */
    size_t n_buckets;
    int32_t newest, oldest;
};

int linn_prefix_create(linn_prefix **out, linn_kv_pool *pool, linn_error *err)
{
    *out = NULL;
    linn_prefix *p = calloc(1, sizeof *p);
    if (!p)
        return linn_fail(err, LINN_ENOMEM, "out of memory for the prefix cache");
    p->pool = pool;
    p->n_buckets = 16;
    while (p->n_buckets < (size_t)pool->n_pages)
        p->n_buckets *= 2;
    p->nodes = linn_alloc((size_t)pool->n_pages, sizeof *p->nodes);
    p->buckets = linn_alloc(p->n_buckets, sizeof *p->buckets);
    if (!p->nodes || !p->buckets) {
        linn_prefix_free(p);
        return linn_fail(err, LINN_ENOMEM, "out of memory for the prefix cache of %d pages",
                         pool->n_pages);
    }
    for (size_t i = 0; i < p->n_buckets; i++)
        p->buckets[i] = NONE;
    p->newest = p->oldest = NONE;
    *out = p;
    return LINN_OK;
}

void linn_prefix_free(linn_prefix *p)
{
    if (!p)
        return;
    for (int32_t i = 0; p->nodes && i < p->pool->n_pages; i++)
        if (p->nodes[i].used)
            linn_kv_drop(p->pool, i);
    free(p->nodes);
    free(p->buckets);
    free(p);
}

/* ---- the table of nodes -------------------------------------------------------------------- */

static uint64_t mix(uint64_t h)
{
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ h >> 29;
}

static uint64_t hash_of(int32_t parent, const linn_token *tokens)
{
    uint64_t h = mix((uint64_t)(uint32_t)parent + 1);
    for (int i = 0; i < PAGE; i++)
        h = mix(h ^ (uint32_t)tokens[i]) + 0x9e3779b97f4a7c15u;
    return h;
}

static int32_t *bucket_of(linn_prefix *p, uint64_t hash)
{
    return &p->buckets[hash & (p->n_buckets - 1)];
}

static int32_t find(linn_prefix *p, int32_t parent, const linn_token *tokens)
{
    uint64_t hash = hash_of(parent, tokens);
    int32_t i = *bucket_of(p, hash);
    for (; i != NONE; i = p->nodes[i].chain) {
        const node *n = &p->nodes[i];
        if (n->hash == hash && n->parent == parent &&
            memcmp(n->tokens, tokens, sizeof n->tokens) == 0)
            break;
    }
    return i;
}

/* ---- the list of use ------------------------------------------------------------------------- */

static void unlink_use(linn_prefix *p, int32_t i)
{
    const node *n = &p->nodes[i];
    *(n->newer == NONE ? &p->newest : &p->nodes[n->newer].older) = n->older;
    *(n->older == NONE ? &p->oldest : &p->nodes[n->older].newer) = n->newer;
}

static void link_newest(linn_prefix *p, int32_t i)
{
    p->nodes[i].newer = NONE;
    p->nodes[i].older = p->newest;
    *(p->newest == NONE ? &p->oldest : &p->nodes[p->newest].newer) = i;
    p->newest = i;
}

/* The session's nodes were used now: the last page first, so that its ancestors are newer. */
static void touch(linn_prefix *p, const linn_session *s, int32_t n_pages)
{
    for (int32_t i = n_pages - 1; i >= 0; i--) {
        if (!p->nodes[s->pages[i]].used)
            continue;
        unlink_use(p, s->pages[i]);
        link_newest(p, s->pages[i]);
    }
}

/* ---- lending, keeping, giving up ---------------------------------------------------------------
 */

int32_t linn_prefix_extend(linn_prefix *p, linn_session *s, const linn_token *tokens, int32_t limit)
{
    int32_t before = s->length;
    if (before % PAGE != 0)
        return 0;
    int32_t parent = before > 0 ? s->pages[before / PAGE - 1] : NONE;
    if (parent != NONE && !p->nodes[parent].used)
        return 0;
    limit = limit < s->n_ctx ? limit : s->n_ctx;
    while (s->length + PAGE <= limit) {
        int32_t page = find(p, parent, tokens + s->length);
        if (page == NONE)
            break;
        linn_session_trim(s);
        linn_kv_hold(p->pool, page);
        s->pages[s->n_held++] = page;
        s->length += PAGE;
        parent = page;
    }
    if (s->length > before)
        touch(p, s, s->n_held);
    return s->length - before;
}

static void add(linn_prefix *p, int32_t page, int32_t parent, const linn_token *tokens)
{
    node *n = &p->nodes[page];
    n->used = true;
    n->parent = parent;
    n->n_children = 0;
    n->hash = hash_of(parent, tokens);
    memcpy(n->tokens, tokens, sizeof n->tokens);
    int32_t *bucket = bucket_of(p, n->hash);
    n->chain = *bucket;
    *bucket = page;
    if (parent != NONE)
        p->nodes[parent].n_children++;
    link_newest(p, page);
    linn_kv_hold(p->pool, page);
}

void linn_prefix_keep(linn_prefix *p, linn_session *s, const linn_token *tokens, int32_t length)
{
    int32_t parent = NONE, n = (length < s->length ? length : s->length) / PAGE;
    for (int32_t i = 0; i < n; i++) {
        const linn_token *page_tokens = tokens + (size_t)i * PAGE;
        int32_t known = find(p, parent, page_tokens);
        if (known == NONE) {
            add(p, s->pages[i], parent, page_tokens);
        } else if (known != s->pages[i]) {
            linn_kv_hold(p->pool, known);
            linn_kv_drop(p->pool, s->pages[i]);
            s->pages[i] = known;
        }
        parent = s->pages[i];
    }
    touch(p, s, n);
}

static bool may_go(const linn_prefix *p, int32_t i)
{
    return p->pool->holders[i] == 1 && p->nodes[i].n_children == 0;
}

bool linn_prefix_evict(linn_prefix *p)
{
    int32_t i = p->oldest;
    while (i != NONE && !may_go(p, i))
        i = p->nodes[i].newer;
    if (i == NONE)
        return false;
    node *n = &p->nodes[i];
    unlink_use(p, i);
    int32_t *link = bucket_of(p, n->hash);
    while (*link != i)
        link = &p->nodes[*link].chain;
    *link = n->chain;
    if (n->parent != NONE)
        p->nodes[n->parent].n_children--;
    n->used = false;
    linn_kv_drop(p->pool, i);
    return true;
}

int32_t linn_prefix_evictable(const linn_prefix *p)
{
    int32_t n = 0;
    for (int32_t i = p->newest; i != NONE; i = p->nodes[i].older)
        n += p->pool->holders[i] == 1;
    return n;
}
