/* auth.h - API keys, and which pages of other origins may use the server.
 *
 * Comparing takes the same time whatever a wrong key has in common with a right one.
 */
#ifndef LINN_SERVE_AUTH_H
#define LINN_SERVE_AUTH_H

#include "linn.h"

enum { LINN_KEY_LENGTH = 256 }; /* bytes, at most */

typedef struct linn_key {
    char text[LINN_KEY_LENGTH + 1]; /* the rest is zeros */
    char name[64];                  /* for the log */
    uint64_t user;                  /* for fairness: a hash of the key */
} linn_key;

typedef struct linn_keys {
    linn_key *keys; /* [n] */
    size_t n;
} linn_keys;

/* Those given, and those of the file (may be NULL): one a line, then perhaps blanks and a name;
 * empty lines and lines that start with # are passed over. A file without a key is an error: it
 * would let everybody in. */
int linn_keys_read(linn_keys *out, const char *const *given, size_t n_given, const char *path,
                   linn_error *err);
void linn_keys_free(linn_keys *k);

/* Of the header Authorization ("Bearer KEY"; NULL: there was none); NULL: not one of them. */
const linn_key *linn_keys_find(const linn_keys *k, const char *authorization);

/* Whether `origin` ("http://x:1") is that of the host that a request was sent to ("x:1"). */
bool linn_origin_is_host(const char *origin, const char *host);
/* Whether the Host header names this machine itself: "localhost", 127.0.0.0/8, "[::1]", with or
 * without a port. A page that had its name point here (DNS rebinding) does not. */
bool linn_host_is_loopback(const char *host);

#endif
