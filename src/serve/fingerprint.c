/* fingerprint.c - see fingerprint.h. */
#include "serve/fingerprint.h"

#include "base/file.h"
#include "base/hash.h"

int linn_hash_file(const char *path, uint64_t *out, linn_error *err)
{
    const size_t piece = 1 << 26;
    linn_mapping m = {0};
    int rc = linn_mapping_open(&m, path, err);
    if (rc)
        return rc;
    uint64_t h = m.size;
    for (size_t at = 0; at < m.size; at += piece) {
        size_t n = m.size - at < piece ? m.size - at : piece;
        h = linn_hash_bytes(h, m.data + at, n);
        linn_mapping_release(m.data + at, n); /* a model need not be in memory twice */
    }
    linn_mapping_close(&m);
    *out = h;
    return LINN_OK;
}
