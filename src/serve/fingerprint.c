/* fingerprint.c - see fingerprint.h. */
#include "serve/fingerprint.h"

#include "base/file.h"

#include <string.h>

static const uint64_t start = 0xcbf29ce484222325, prime = 0x100000001b3;

uint64_t linn_hash_bytes(const void *data, size_t n)
{
    const unsigned char *p = data;
    uint64_t hash = start;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ p[i]) * prime;
    return hash;
}

int linn_hash_file(const char *path, uint64_t *out, linn_error *err)
{
    enum { LANES = 4, STEP = LANES * sizeof(uint64_t), PIECE = 1 << 26 };
    linn_mapping m = {0};
    uint64_t lanes[LANES + 2] = {start, start + 1, start + 2, start + 3};
    int rc = linn_mapping_open(&m, path, err);
    if (rc)
        return rc;
    size_t whole = m.size / STEP * STEP;
    for (size_t at = 0; at < whole; at += STEP) {
        uint64_t words[LANES];
        memcpy(words, m.data + at, STEP);
        for (int i = 0; i < LANES; i++) {
            lanes[i] = (lanes[i] ^ words[i]) * prime;
            lanes[i] ^= lanes[i] >> 29;
        }
        if (at % PIECE == PIECE - STEP) /* a model need not be in memory twice */
            linn_mapping_release(m.data + at + STEP - PIECE, PIECE);
    }
    lanes[LANES] = m.size > whole ? linn_hash_bytes(m.data + whole, m.size - whole) : 0;
    lanes[LANES + 1] = m.size;
    linn_mapping_close(&m);
    *out = linn_hash_bytes(lanes, sizeof lanes);
    return LINN_OK;
}
