/* store.c - KV pages in memory reserved from the kernel; see linn_store in cpu.h. */
#include "base/error.h"
#include "base/memory.h"
#include "model/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

enum { HUGE_FROM = 1 << 20 }; /* bytes of a KV page from which on large pages waste nothing */

int linn_cpu_store_create(linn_store **out, const linn_weights *w, linn_kv_type type,
                          int32_t n_pages, linn_error *err)
{
    *out = NULL;
    const linn_params *p = w->params;
    size_t tiles = (size_t)p->n_layers * (size_t)p->n_kv_heads * 2; /* < 2^29 */
    linn_store s = {.type = type, .n_kv_heads = p->n_kv_heads};
    s.tile_bytes = linn_kv_tile_bytes(type, p->head_dim); /* <= 2^22 */
    s.page_bytes = tiles * s.tile_bytes;
    bool overflow = linn_mul_overflows(s.page_bytes, (size_t)n_pages, &s.bytes);
    if (!overflow)
        s.base = linn_reserve(s.bytes, s.page_bytes >= HUGE_FROM);
    if (!s.base)
        return linn_fail(err, LINN_ENOMEM,
                         "no memory for the KV cache: %lld positions need %zu MiB; "
                         "a smaller context needs less",
                         (long long)n_pages * LINN_KV_PAGE,
                         (s.page_bytes >> 10) * (size_t)n_pages >> 10);
    *out = malloc(sizeof **out);
    if (!*out) {
        linn_release(s.base, s.bytes);
        return linn_fail(err, LINN_ENOMEM, "out of memory for the KV cache");
    }
    **out = s;
    return LINN_OK;
}

void linn_cpu_store_free(linn_store *s)
{
    if (!s)
        return;
    linn_release(s->base, s->bytes);
    free(s);
}

void linn_cpu_store_copy(linn_store *s, int32_t from, int32_t to)
{
    memcpy(s->base + (size_t)to * s->page_bytes, s->base + (size_t)from * s->page_bytes,
           s->page_bytes);
}
