/* hash.h - a fast hash of bytes: for tables, for finding that a file was changed or damaged, and
 * for telling files apart. No protection against anybody who means harm.
 */
#ifndef LINN_BASE_HASH_H
#define LINN_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t linn_hash_mix(uint64_t h, uint64_t x)
{
    h = (h ^ x) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

/* Goes on from h. The last bytes are filled up with zeros, and the size counts. */
static inline uint64_t linn_hash_bytes(uint64_t h, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint64_t word;
    size_t i = 0;
    for (; i + sizeof word <= size; i += sizeof word) {
        memcpy(&word, bytes + i, sizeof word);
        h = linn_hash_mix(h, word);
    }
    word = 0;
    if (i < size)
        memcpy(&word, bytes + i, size - i);
    return linn_hash_mix(linn_hash_mix(h, word), size);
}

#endif
