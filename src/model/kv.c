/* kv.c - see kv.h. */
#include "model/kv.h"
#include "base/error.h"
#include "kernels/kernels.h"
#include "model/model.h"

#include <stdlib.h>

int32_t linn_kv_pages(int32_t n_positions)
{
    return n_positions / LINN_KV_PAGE + (n_positions % LINN_KV_PAGE != 0);
}

int linn_kv_pool_create(linn_kv_pool **out, const linn_model *m, linn_kv_type type, int32_t n_pages,
                        linn_error *err)
{
    *out = NULL;
    linn_kv_pool *p = calloc(1, sizeof *p);
    if (!p)
        return linn_fail(err, LINN_ENOMEM, "out of memory for the KV cache");
    p->backend = m->backend;
    p->type = type;
    p->n_pages = n_pages;
    pthread_mutex_init(&p->lock, NULL);
    p->holders = calloc((size_t)n_pages, sizeof *p->holders);
    p->free_pages = calloc((size_t)n_pages, sizeof *p->free_pages);
    int rc = LINN_OK;
    if (!p->holders || !p->free_pages)
        rc = linn_fail(err, LINN_ENOMEM, "out of memory for the KV cache");
    else
        rc = p->backend->store_create(&p->store, m->weights, type, n_pages, err);
    if (rc != LINN_OK) {
        linn_kv_pool_free(p);
        return rc;
    }
    for (int32_t i = 0; i < n_pages; i++)
        p->free_pages[i] = n_pages - 1 - i;
    p->n_free = n_pages;
    *out = p;
    return LINN_OK;
}

void linn_kv_pool_free(linn_kv_pool *p)
{
    if (!p)
        return;
    p->backend->store_free(p->store);
    pthread_mutex_destroy(&p->lock);
    free(p->holders);
    free(p->free_pages);
    free(p);
}

static int32_t take(linn_kv_pool *p)
{
    if (p->n_free == 0)
        return -1;
    int32_t page = p->free_pages[--p->n_free];
    p->holders[page] = 1;
    return page;
}

static void drop(linn_kv_pool *p, int32_t page)
{
    if (--p->holders[page] == 0)
        p->free_pages[p->n_free++] = page;
}

int32_t linn_kv_take(linn_kv_pool *p)
{
    pthread_mutex_lock(&p->lock);
    int32_t page = take(p);
    pthread_mutex_unlock(&p->lock);
    return page;
}

void linn_kv_hold(linn_kv_pool *p, int32_t page)
{
    pthread_mutex_lock(&p->lock);
    p->holders[page]++;
    pthread_mutex_unlock(&p->lock);
}

void linn_kv_drop(linn_kv_pool *p, int32_t page)
{
    pthread_mutex_lock(&p->lock);
    drop(p, page);
    pthread_mutex_unlock(&p->lock);
}

int32_t linn_kv_own(linn_kv_pool *p, int32_t page)
{
    pthread_mutex_lock(&p->lock);
    int32_t own = p->holders[page] == 1 ? page : take(p);
    pthread_mutex_unlock(&p->lock);
    if (own >= 0 && own != page) {
        /* Nobody writes to the original while the caller still holds it. */
        p->backend->store_copy(p->store, page, own);
        linn_kv_drop(p, page);
    }
    return own;
}
