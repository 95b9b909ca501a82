/* session.h - one timeline: how long it is, and which KV pages hold it. */
#ifndef LINN_MODEL_SESSION_H
#define LINN_MODEL_SESSION_H

#include "model/kv.h"

/* Invariant: length <= n_ctx, and pages[i] is held for all i < n_held, which covers `length`
 * positions. What a page holds beyond `length` is left over from before a truncation. */
struct linn_session {
    const linn_model *model;
    linn_kv_pool *pool;
    bool owns_pool;
    int32_t n_ctx;
    int32_t length;
    int32_t n_held;
    int32_t *pages; /* [linn_kv_pages(n_ctx)] */

    /* Scratch of linn_forward while it checks its rows (batch.c). */
    int32_t n_new;    /* rows so far */
    int32_t last_row; /* index of the last of them */
    int32_t n_held_before;
};

/* A session over a pool that others use too, which must outlive it. */
int linn_session_create_in(linn_session **out, const linn_model *m, linn_kv_pool *pool,
                           int32_t n_ctx, linn_error *err);

/* Gives an empty session the first `length` positions of another one of the same pool, by holding
 * its pages. Positions of a page beyond `length` are copied along when it is written to. */
int linn_session_share(linn_session *to, const linn_session *from, int32_t length, linn_error *err);

/* Gives back the pages beyond the session's length. */
void linn_session_trim(linn_session *s);

/* Makes room to write positions [length, length + n): pages that reach so far, none of them
 * shared. LINN_ENOMEM when the pool has no page left: then linn_session_unreserve. */
int linn_session_reserve(linn_session *s, int32_t n, linn_error *err);
/* Gives back the pages that the last reserve added. */
void linn_session_unreserve(linn_session *s);

#endif
