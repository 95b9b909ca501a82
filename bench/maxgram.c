/* bench-maxgram: nanoseconds a token to extend Max-Gram's automaton and to propose.
 *
 *   bench-maxgram [TOKENS]      for instance: linn tokenize river < text, as int32 ids in a file
 *
 * Every token of the text is drafted first (pushed, as a reviewer's own token is), then committed,
 * and 10 tokens are proposed after it. With a file of int32 ids: its first million. Always: one
 * token repeated, a Fibonacci word, random bits, and random tokens of 150,000. Medians of 5 rounds.
 */
#include "base/clock.h"
#include "draft/maxgram.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST = 1000000, ROUNDS = 5, PROPOSED = 10 };

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const char *name, const linn_token *text, int n)
{
    linn_drafter *d;
    linn_error err;
    if (linn_maxgram_create(&d, n, &err) != LINN_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    double extend[ROUNDS], both[ROUNDS], matched = 0, right = 0, expected = 0;
    linn_proposal p[PROPOSED];
    for (int round = 0; round < ROUNDS; round++) {
        d->restart(d, (linn_choice){0});
        int64_t start = linn_now_ns();
        for (int i = 0; i < n; i++) {
            d->push(d, text[i]);
            d->commit(d, i + 1);
            d->propose(d, 0, p); /* the work waits for it */
        }
        extend[round] = (double)(linn_now_ns() - start) / n;
        d->restart(d, (linn_choice){0});
        matched = right = expected = 0;
        start = linn_now_ns();
        for (int i = 0; i < n; i++) {
            if (d->propose(d, PROPOSED, p) > 0) {
                expected++;
                matched += (double)p[0].confidence;
                right += p[0].token == text[i];
            }
            d->push(d, text[i]);
            d->commit(d, i + 1);
        }
        both[round] = (double)(linn_now_ns() - start) / n;
    }
    d->free(d);
    qsort(extend, ROUNDS, sizeof *extend, by_size);
    qsort(both, ROUNDS, sizeof *both, by_size);
    printf("%-10s %8d tokens  extend %5.0f ns  extend and propose %5.0f ns (%.0f to %.0f)  "
           "mean match %.1f  right %.3f\n",
           name, n, extend[ROUNDS / 2], both[ROUNDS / 2], both[0], both[ROUNDS - 1],
           matched / expected, right / expected);
}

int main(int argc, char **argv)
{
    linn_token *text = malloc(MOST * sizeof *text);
    if (!text)
        return 1;
    if (argc > 1) {
        FILE *f = fopen(argv[1], "rb");
        size_t n = f ? fread(text, sizeof *text, MOST, f) : 0;
        if (n == 0) {
            fprintf(stderr, "%s: cannot read ids\n", argv[1]);
            return 1;
        }
        fclose(f);
        measure("file", text, (int)n);
    }
    for (int i = 0; i < MOST; i++)
        text[i] = 5;
    measure("one token", text, MOST);
    for (int i = 0; i < MOST; i++)
        text[i] = (int)((i + 2) * 1.6180339887498949) - (int)((i + 1) * 1.6180339887498949);
    measure("Fibonacci", text, MOST);
    uint64_t state = 1;
    for (int i = 0; i < MOST; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        text[i] = (linn_token)(state >> 63);
    }
    measure("bits", text, MOST);
    for (int i = 0; i < MOST; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        text[i] = (linn_token)((state >> 33) % 150000);
    }
    measure("random", text, MOST);
    free(text);
    return 0;
}
