/* kv.h - pages of the KV cache: who holds which.
 *
 * A page holds K and V of all layers for LINN_KV_PAGE positions. Pages come from a
 * pool of stated size; a session has a table of page numbers. A page may be held by
 * several sessions (a common prefix); then it is read-only, and a session that wants
 * to write to it gets a copy first. What is in a page is the back end's affair.
 *
 * Sessions on different threads may share a pool.
 */
#ifndef LINN_MODEL_KV_H
#define LINN_MODEL_KV_H

#include "model/backend.h"

#include <pthread.h>

typedef struct linn_kv_pool {
    const linn_backend *backend;
    linn_store *store;
    linn_kv_type type;
    int32_t n_pages;
    pthread_mutex_t lock; /* of what follows */
    int32_t *holders;     /* [n_pages] sessions that hold the page; 0: it is free */
    int32_t *free_pages;  /* [n_free] the next to be taken last */
    int32_t n_free;
} linn_kv_pool;

int linn_kv_pool_create(linn_kv_pool **out, const linn_model *m, linn_kv_type type, int32_t n_pages,
                        linn_error *err);
void linn_kv_pool_free(linn_kv_pool *p);

/* A page with one holder, or -1 when none is free. What it holds is undefined. */
int32_t linn_kv_take(linn_kv_pool *p);
void linn_kv_hold(linn_kv_pool *p, int32_t page); /* one holder more */
void linn_kv_drop(linn_kv_pool *p, int32_t page); /* one less */
/* The page itself if the caller is its only holder; else a copy, the original dropped; -1 when
 * there is no page for the copy (then nothing changed). */
int32_t linn_kv_own(linn_kv_pool *p, int32_t page);

/* Pages for n positions. */
int32_t linn_kv_pages(int32_t n_positions);

#endif
