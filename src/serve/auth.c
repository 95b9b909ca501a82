/* auth.c - see auth.h. */
#include "serve/auth.h"

#include "base/error.h"
#include "base/hash.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- keys ------------------------------------------------------------------------------------ */

static int add_key(linn_keys *k, const char *key, size_t n, const char *name, linn_error *err)
{
    if (n == 0 || n > LINN_KEY_LENGTH)
        return linn_fail(err, LINN_EINVAL, "an API key of %zu bytes: must have 1 to %d", n,
                         LINN_KEY_LENGTH);
    linn_key *larger = realloc(k->keys, (k->n + 1) * sizeof *larger);
    if (!larger)
        return linn_fail(err, LINN_ENOMEM, "out of memory for API keys");
    k->keys = larger;
    linn_key *new = &k->keys[k->n++];
    *new = (linn_key){.user = linn_hash_bytes(0, key, n)};
    memcpy(new->text, key, n);
    snprintf(new->name, sizeof new->name, "%s", name);
    return LINN_OK;
}

static int read_line(linn_keys *k, char *line, linn_error *err)
{
    static const char blanks[] = " \t\r\n";
    line += strspn(line, blanks);
    size_t n = strcspn(line, blanks);
    if (n == 0 || line[0] == '#')
        return LINN_OK;
    char number[32];
    char *name = line + n + strspn(line + n, blanks);
    name[strcspn(name, "\r\n")] = '\0';
    snprintf(number, sizeof number, "key %zu", k->n + 1);
    return add_key(k, line, n, *name ? name : number, err);
}

static int read_file(linn_keys *k, const char *path, linn_error *err)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return linn_fail(err, LINN_EIO, "cannot read API keys from %s: %s", path, strerror(errno));
    char line[LINN_KEY_LENGTH + 256];
    size_t before = k->n, number = 0;
    int rc = LINN_OK;
    while (!rc && fgets(line, sizeof line, f)) {
        number++;
        if (strlen(line) == sizeof line - 1)
            rc = linn_fail(err, LINN_EFORMAT, "%s: line %zu is too long for an API key", path,
                           number);
        else
            rc = read_line(k, line, err);
    }
    if (!rc && ferror(f))
        rc = linn_fail(err, LINN_EIO, "cannot read API keys from %s: %s", path, strerror(errno));
    fclose(f);
    explicit_bzero(line, sizeof line);
    if (!rc && k->n == before)
        rc = linn_fail(err, LINN_EFORMAT, "%s holds no API key: give one a line", path);
    return rc;
}

int linn_keys_read(linn_keys *out, const char *const *given, size_t n_given, const char *path,
                   linn_error *err)
{
    int rc = LINN_OK;
    *out = (linn_keys){0};
    for (size_t i = 0; i < n_given && !rc; i++) {
        char name[32];
        snprintf(name, sizeof name, "key %zu", i + 1);
        rc = add_key(out, given[i], strlen(given[i]), name, err);
    }
    if (!rc && path)
        rc = read_file(out, path, err);
    if (rc)
        linn_keys_free(out);
    return rc;
}

void linn_keys_free(linn_keys *k)
{
    if (k->keys)
        explicit_bzero(k->keys, k->n * sizeof *k->keys);
    free(k->keys);
    *k = (linn_keys){0};
}

/* Whether all bytes are equal, looking at every one of them. */
static bool equal(const char *a, const char *b, size_t n)
{
    volatile unsigned char different = 0;
    for (size_t i = 0; i < n; i++)
        different = (unsigned char)(different | (a[i] ^ b[i]));
    return different == 0;
}

const linn_key *linn_keys_find(const linn_keys *k, const char *authorization)
{
    static const char scheme[] = "Bearer ";
    char given[LINN_KEY_LENGTH + 1] = {0};
    const linn_key *found = NULL;
    if (!authorization || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return NULL;
    const char *key = authorization + sizeof scheme - 1;
    key += strspn(key, " ");
    size_t n = strlen(key);
    if (n > LINN_KEY_LENGTH)
        return NULL;
    memcpy(given, key, n);
    for (size_t i = 0; i < k->n; i++)
        if (equal(given, k->keys[i].text, sizeof given))
            found = &k->keys[i];
    return found;
}

/* ---- origins --------------------------------------------------------------------------------- */

bool linn_origin_is_host(const char *origin, const char *host)
{
    const char *at = strstr(origin, "://");
    return at && host && strcasecmp(at + 3, host) == 0;
}

bool linn_host_is_loopback(const char *host)
{
    char name[64];
    bool literal = host[0] == '[';
    size_t n = strcspn(host + literal, literal ? "]" : ":");
    if (n == 0 || n >= sizeof name)
        return false;
    memcpy(name, host + literal, n);
    name[n] = '\0';
    struct in_addr four;
    struct in6_addr six;
    if (literal)
        return inet_pton(AF_INET6, name, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
    if (inet_pton(AF_INET, name, &four) == 1)
        return (ntohl(four.s_addr) >> 24) == 127;
    return strcasecmp(name, "localhost") == 0;
}
