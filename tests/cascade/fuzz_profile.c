/* fuzz_profile.c - any bytes as a profile of --cascade auto. Checked twice, as the bytes are and
 * with the header put right, since no fuzzer guesses that. What is taken can be used. */
#include "cascade/profile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEY = 1234 };

static void must(int good)
{
    if (!good)
        abort();
}

static void parse(const void *image, size_t size)
{
    linn_profile p;
    linn_error err = {0};
    if (linn_profile_parse(&p, image, size, KEY, "image", &err) != LINN_OK) {
        must(err.code == LINN_EFORMAT && err.message[0] != 0);
        return;
    }
    for (int i = 0; i < LINN_MAX_MODELS; i++) {
        linn_widths *w = &p.levels[i].widths;
        for (int32_t rows = 1; rows < 300; rows += 7) {
            linn_widths_discover(w, rows, 1e6, 1e3);
            double ns = linn_widths_ns(w, rows);
            must(isfinite(ns) && ns > 0);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { HEADER = sizeof(linn_profile_header), WHOLE = HEADER + sizeof(linn_profile) };
    parse(data, size);
    uint8_t *image = calloc(1, WHOLE); /* what the bytes lack is zero */
    if (!image)
        return 0;
    memcpy(image + HEADER, data, size < sizeof(linn_profile) ? size : sizeof(linn_profile));
    linn_profile p;
    memcpy(&p, image + HEADER, sizeof p);
    linn_profile_header h = {.version = LINN_PROFILE_VERSION,
                             .size = WHOLE,
                             .key = KEY,
                             .checksum = linn_profile_checksum(&p, KEY)};
    memcpy(h.magic, LINN_PROFILE_MAGIC, sizeof h.magic);
    memcpy(image, &h, sizeof h);
    parse(image, WHOLE);
    free(image);
    return 0;
}
