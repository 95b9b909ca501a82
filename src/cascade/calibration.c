/* calibration.c - see calibration.h. */
#include "cascade/calibration.h"

#include <string.h>

static const float KEEP_ALL = 400, KEEP_TEXT = 48; /* how many tokens a bin remembers */
static const float PRIOR_ALL = 4;                  /* tokens that the guess below is worth */
static const float PRIOR_TEXT = 12;                /* and at most what was seen in other texts */

/* Upper limits of the bins but the last. */
static const float limits[][LINN_BINS - 1] = {
    [LINN_SOURCE_MODEL] = {0.1f, 0.25f, 0.5f, 0.75f, 1, 1.5f, 2, 3, 4, 6, 9},
    [LINN_SOURCE_MAXGRAM] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 48, 96},
    [LINN_SOURCE_NGRAM] = {0.05f, 0.1f, 0.15f, 0.2f, 0.3f, 0.4f, 0.5f, 0.6f, 0.7f, 0.8f, 0.9f},
};

/* Before anything is known: what small models and stories showed, roughly. */
static const float guesses[][LINN_BINS + 1] = {
    [LINN_SOURCE_MODEL] = {.4f, .45f, .5f, .55f, .6f, .65f, .7f, .8f, .85f, .9f, .93f, .95f, .6f},
    [LINN_SOURCE_MAXGRAM] = {.2f, .3f, .4f, .5f, .6f, .7f, .75f, .8f, .85f, .9f, .92f, .94f, .4f},
    [LINN_SOURCE_NGRAM] = {.1f, .15f, .2f, .25f, .3f, .35f, .45f, .5f, .6f, .7f, .8f, .9f, .3f},
};

int linn_bin(linn_source kind, float confidence)
{
    int bin = 0;
    while (bin < LINN_BINS - 1 && confidence > limits[kind][bin])
        bin++;
    return bin;
}

static void estimate(linn_calibration *c, int reviewer, int source, int bin)
{
    linn_tally all = c->all[c->heat][reviewer][source][bin], text = c->text[reviewer][source][bin];
    float n = all.passed + all.failed;
    float guess = guesses[c->kind[source]][bin];
    if (c->heat > 0 && c->kind[source] != LINN_SOURCE_MODEL)
        guess *= 0.6f;
    float known = (all.passed + PRIOR_ALL * guess) / (n + PRIOR_ALL);
    float weight = n + PRIOR_ALL < PRIOR_TEXT ? n + PRIOR_ALL : PRIOR_TEXT;
    c->chance[reviewer][source][bin] =
        (text.passed + weight * known) / (text.passed + text.failed + weight);
}

int linn_heat(float temperature)
{
    return temperature > 0.5f ? 2 : temperature > 0;
}

void linn_calibration_begin(linn_calibration *c, float temperature)
{
    c->heat = linn_heat(temperature);
    memset(c->text, 0, sizeof c->text);
    for (int r = 0; r < c->n_models; r++)
        for (int s = r + 1; s < c->n_sources; s++)
            for (int bin = 0; bin <= LINN_BINS; bin++)
                estimate(c, r, s, bin);
}

static void add(linn_tally *t, bool passed, float keep)
{
    float n = t->passed + t->failed;
    if (n >= keep) {
        t->passed *= (keep - 1) / n;
        t->failed *= (keep - 1) / n;
    }
    t->passed += passed;
    t->failed += !passed;
}

void linn_calibration_count(linn_calibration *c, int reviewer, int source, int bin, bool passed)
{
    for (int i = 0; i < 2; i++) {
        int at = i ? LINN_ALL_BINS : bin;
        add(&c->all[c->heat][reviewer][source][at], passed, KEEP_ALL);
        add(&c->text[reviewer][source][at], passed, KEEP_TEXT);
        estimate(c, reviewer, source, at);
    }
}
