/* session.c - see session.h. */
#include "model/session.h"
#include "base/error.h"
#include "kernels/kernels.h"
#include "model/model.h"

#include <stdlib.h>

static int check_settings(const linn_model *m, linn_kv_type kv, int32_t n_ctx, linn_error *err)
{
    if (kv != LINN_KV_F16 && kv != LINN_KV_F32 && kv != LINN_KV_Q8_0)
        return linn_fail(err, LINN_EINVAL, "session: %d is no type of KV cache", (int)kv);
    if (n_ctx < 1 || n_ctx > LINN_MAX_CTX)
        return linn_fail(err, LINN_EINVAL, "session: a context of %d: must be 1 to %d", n_ctx,
                         LINN_MAX_CTX);
    if (m->params.window && n_ctx > m->params.window)
        return linn_fail(err, LINN_EUNSUPPORTED,
                         "session: a context of %d: this model looks back on %d positions only, "
                         "which is not supported beyond them",
                         n_ctx, m->params.window);
    return LINN_OK;
}

int linn_session_create_in(linn_session **out, const linn_model *m, linn_kv_pool *pool,
                           int32_t n_ctx, linn_error *err)
{
    *out = NULL;
    if (n_ctx == 0)
        n_ctx = m->params.n_ctx;
    int rc = check_settings(m, pool->type, n_ctx, err);
    if (rc != LINN_OK)
        return rc;
    linn_session *s = calloc(1, sizeof *s);
    int32_t *pages = s ? calloc((size_t)linn_kv_pages(n_ctx), sizeof *pages) : NULL;
    if (!pages) {
        free(s);
        return linn_fail(err, LINN_ENOMEM, "out of memory for a session");
    }
    *s = (linn_session){.model = m, .pool = pool, .n_ctx = n_ctx, .pages = pages};
    *out = s;
    return LINN_OK;
}

int linn_session_create(linn_session **out, const linn_model *m, const linn_session_settings *s,
                        linn_error *err)
{
    *out = NULL;
    int32_t n_ctx = s->n_ctx ? s->n_ctx : m->params.n_ctx;
    int rc = check_settings(m, s->kv, n_ctx, err);
    if (rc != LINN_OK)
        return rc;
    linn_kv_pool *pool;
    rc = linn_kv_pool_create(&pool, m, s->kv, linn_kv_pages(n_ctx), err);
    if (rc != LINN_OK)
        return rc;
    rc = linn_session_create_in(out, m, pool, n_ctx, err);
    if (rc != LINN_OK)
        linn_kv_pool_free(pool);
    else
        (*out)->owns_pool = true;
    return rc;
}

void linn_session_free(linn_session *s)
{
    if (!s)
        return;
    for (int32_t i = 0; i < s->n_held; i++)
        linn_kv_drop(s->pool, s->pages[i]);
    if (s->owns_pool)
        linn_kv_pool_free(s->pool);
    free(s->pages);
    free(s);
}

int32_t linn_session_length(const linn_session *s)
{
    return s->length;
}

int linn_session_truncate(linn_session *s, int32_t length, linn_error *err)
{
    if (length < 0 || length > s->length)
        return linn_fail(err, LINN_EINVAL,
                         "session: cannot truncate to %d positions: must be 0 to %d, its length",
                         length, s->length);
    s->length = length;
    return LINN_OK;
}

int linn_session_share(linn_session *to, const linn_session *from, int32_t length, linn_error *err)
{
    if (to->length || to->n_held || to->pool != from->pool || to->model != from->model ||
        length < 0 || length > from->length || length > to->n_ctx)
        return linn_fail(err, LINN_EINVAL,
                         "session: only an empty one can share %d positions of another one of the "
                         "same model and pool",
                         length);
    to->n_held = linn_kv_pages(length);
    for (int32_t i = 0; i < to->n_held; i++) {
        to->pages[i] = from->pages[i];
        linn_kv_hold(to->pool, to->pages[i]);
    }
    to->length = length;
    return LINN_OK;
}

void linn_session_trim(linn_session *s)
{
    while (s->n_held > linn_kv_pages(s->length))
        linn_kv_drop(s->pool, s->pages[--s->n_held]);
}

int linn_session_reserve(linn_session *s, int32_t n, linn_error *err)
{
    s->n_held_before = s->n_held;
    for (int32_t i = s->length / LINN_KV_PAGE; i < linn_kv_pages(s->length + n); i++) {
        int32_t page = i < s->n_held ? linn_kv_own(s->pool, s->pages[i]) : linn_kv_take(s->pool);
        if (page < 0)
            return linn_fail(err, LINN_ENOMEM, "no memory for the KV cache: all %d pages are taken",
                             s->pool->n_pages);
        s->pages[i] = page;
        if (i == s->n_held)
            s->n_held++;
    }
    return LINN_OK;
}

void linn_session_unreserve(linn_session *s)
{
    while (s->n_held > s->n_held_before)
        linn_kv_drop(s->pool, s->pages[--s->n_held]);
}
