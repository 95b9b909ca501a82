/* fuzz_ngram.c - any bytes as an n-gram table: what opens can be drafted from. Checked twice, as
 * the bytes are and with magic, version and checksum put right, since no fuzzer guesses those. */
#include "draft/ngram.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int good)
{
    if (!good)
        abort();
}

static void use(const linn_ngram *g)
{
    linn_ngram_info info = linn_ngram_describe(g);
    uint64_t n_contexts = 0;
    for (int i = 0; i < LINN_NGRAM_CONTEXT; i++)
        n_contexts += info.n_contexts[i];
    for (uint64_t i = 0; i < n_contexts; i++) {
        const uint32_t *word = &g->contexts[i].what;
        if (!(*word & LINN_NGRAM_LAST))
            for (word = g->words + *word; !(*word & LINN_NGRAM_LAST); word++)
                must(linn_ngram_token(*word) < info.n_tokens);
        must(linn_ngram_token(*word) < info.n_tokens);
    }
    linn_drafter *d;
    linn_proposal p[6];
    if (linn_ngram_drafter_create(&d, g, 64, NULL) != LINN_OK)
        return;
    for (int i = 0; i < 2; i++) {
        d->restart(d, (linn_choice){(float)i, 1});
        for (int k = 0; k < 16; k++) {
            int32_t n = d->propose(d, 6, p);
            must(n >= 0 && n <= 6);
            for (int32_t j = 0; j < n; j++)
                must(p[j].token >= 0 && p[j].token < info.n_tokens);
            d->push(d, n > 0 ? p[0].token : k % 4);
        }
    }
    d->free(d);
}

static void open_image(const void *image, size_t size)
{
    linn_ngram *g;
    linn_error err = {0};
    if (linn_ngram_parse(&g, image, size, "image", &err) == LINN_OK) {
        use(g);
        linn_ngram_free(g);
    } else {
        must(g == NULL && err.code < 0 && err.message[0] != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *image = malloc(size ? size : 1); /* aligned, as a mapped file is */
    if (!image)
        return 0;
    memcpy(image, data, size);
    open_image(image, size);
    if (size >= sizeof(linn_ngram_header)) {
        linn_ngram_header *h = (linn_ngram_header *)image;
        memcpy(h->magic, LINN_NGRAM_MAGIC, sizeof h->magic);
        h->version = LINN_NGRAM_VERSION;
        h->checksum = linn_ngram_checksum(image, size);
        open_image(image, size);
    }
    free(image);
    return 0;
}
