/* prefix.h - the KV pages of texts that are over, to be found by those that begin alike.
 *
 * A radix tree over token pages: a node is one full page of LINN_KV_PAGE tokens in its
 * context, the page's parent, and stands for the KV page that they gave. Nodes are
 * numbered by their KV pages, so all memory is taken when the tree is made. The tree is a
 * holder of its pages like a session (kv.h): sessions that use a page hold it too, and one
 * that only the tree holds may be given up.
 *
 * Invariants: a session that holds a node holds the node's ancestors, as its pages before
 * it. In the list of use, a node never stands behind a descendant, so whoever is last, of
 * those that only the tree holds, is a leaf.
 *
 * Whoever uses a tree sees to it that nobody else uses it, its pool or their sessions.
 */
#ifndef LINN_SERVE_PREFIX_H
#define LINN_SERVE_PREFIX_H

#include "model/session.h"

typedef struct linn_prefix linn_prefix;

int linn_prefix_create(linn_prefix **out, linn_kv_pool *pool, linn_error *err);
void linn_prefix_free(linn_prefix *p); /* drops its pages; takes NULL */

/* Lends the session the pages that the tree has of tokens[0 .. limit) and it has not. Its length
 * must be a multiple of LINN_KV_PAGE, else nothing is done; so too where its own last page is not
 * in the tree. Returns how many positions were added. */
int32_t linn_prefix_extend(linn_prefix *p, linn_session *s, const linn_token *tokens,
                           int32_t limit);

/* Keeps the full pages of a session's first `length` positions, whose tokens are given. Where the
 * tree has such a page already, the session takes that one for its own. */
void linn_prefix_keep(linn_prefix *p, linn_session *s, const linn_token *tokens, int32_t length);

/* Gives up the page that was used least recently of those that no session holds. */
bool linn_prefix_evict(linn_prefix *p);

int32_t linn_prefix_evictable(const linn_prefix *p);

#endif
