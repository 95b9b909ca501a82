/* make_seeds.c - writes the seeds of fuzz-ngram (tests/draft/seeds) into a folder:
 *
 *     ninja -C build-release tests/draft/make-ngram-seeds
 *     build-release/tests/draft/make-ngram-seeds tests/draft/seeds
 */
#include "linn_tools.h"

#include <stdio.h>

static int save(const char *folder, const char *name, const linn_token *text, size_t n, int order)
{
    char path[4096];
    linn_error err;
    linn_ngram_settings s = linn_ngram_settings_default();
    s.order = order;
    snprintf(path, sizeof path, "%s/%s.ngram", folder, name);
    if (linn_ngram_build(path, NULL, text, n, &s, &err) == LINN_OK)
        return 0;
    fprintf(stderr, "%s\n", err.message);
    return 1;
}

int main(int argc, char **argv)
{
    linn_token text[300] = {0};
    if (argc != 2) {
        fprintf(stderr, "usage: make-ngram-seeds FOLDER\n");
        return 2;
    }
    int failed = save(argv[1], "empty", text, 0, 2);
    for (int i = 0; i < 300; i++)
        text[i] = i % 3;
    failed |= save(argv[1], "single", text, 300, 5);
    for (int i = 0; i < 300; i++)
        text[i] = i * i / 7 % 4;
    failed |= save(argv[1], "lists", text, 300, 3);
    for (int i = 0; i < 300; i++)
        text[i] = i % 10 == 9 ? -1 : i * i / 5 % 60;
    return failed | save(argv[1], "buckets", text, 300, 5);
}
