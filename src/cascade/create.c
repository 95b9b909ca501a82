/* create.c - a cascade of models: sessions, batches and drafters as the settings say. */
#include "cascade/auto.h"
#include "cascade/profile.h"

#include "base/error.h"
#include "draft/maxgram.h"
#include "draft/ngram.h"

#include <string.h>

/* ---- one vocabulary ------------------------------------------------------------------------ */

static bool same_bytes(const linn_tokenizer *a, const linn_tokenizer *b, linn_token v, bool special)
{
    size_t n, m;
    const char *x = linn_token_bytes(a, v, special, &n);
    const char *y = linn_token_bytes(b, v, special, &m);
    return n == m && memcmp(x, y, n) == 0;
}

/* Sets *n to how many tokens the two have in common, from 0 on; what one has beyond is padding, or
 * never drafted. */
static int compare_vocabularies(const linn_model *target, const linn_model *drafter, int32_t *n,
                                linn_error *err)
{
    const linn_tokenizer *a = linn_model_tokenizer(target), *b = linn_model_tokenizer(drafter);
    linn_model_info info = linn_model_describe(drafter);
    int32_t sizes[] = {linn_tokenizer_size(a), linn_tokenizer_size(b), info.n_vocab};
    *n = linn_model_describe(target).n_vocab;
    for (int i = 0; i < 3; i++)
        *n = sizes[i] < *n ? sizes[i] : *n;
    for (linn_token v = 0; v < *n; v++) {
        if (same_bytes(a, b, v, true) && same_bytes(a, b, v, false) &&
            linn_token_is_end(a, v) == linn_token_is_end(b, v))
            continue;
        size_t x, y;
        const char *in_target = linn_token_bytes(a, v, true, &x);
        const char *in_drafter = linn_token_bytes(b, v, true, &y);
        return linn_fail(err, LINN_EUNSUPPORTED,
                         "drafter %s: another tokenizer than that of %s: token %d is '%.*s', must "
                         "be '%.*s'",
                         info.name, linn_model_describe(target).name, v, (int)(y < 64 ? y : 64),
                         in_drafter, (int)(x < 64 ? x : 64), in_target);
    }
    return LINN_OK;
}

/* ---- putting together --------------------------------------------------------------------------
 */

/* What is made so far; assemble takes all of it over. */
typedef struct parts {
    linn_level *levels[LINN_MAX_LEVELS];
    int n_levels;
    linn_drafter *statistical[2];
    int n_statistical;
} parts;

static int make_levels(parts *p, const linn_level_source *source, const linn_kmatrix *k,
                       const linn_model *target, const linn_model *const *drafters,
                       const linn_cascade_settings *s, linn_error *err)
{
    int rc = LINN_OK;
    for (int i = 0; i < k->n_models && !rc; i++) {
        const linn_model *m = i == 0 ? target : drafters[i - 1];
        linn_model_info info = linn_model_describe(m);
        linn_session_settings session = s->session;
        int32_t n_vocab = 0;
        if (i > 0 && info.n_ctx < session.n_ctx)
            session.n_ctx = info.n_ctx; /* beyond, its drafts would be worth nothing */
        rc = compare_vocabularies(target, m, &n_vocab, err);
        if (!rc)
            rc = source->make(source->user, &p->levels[i], i, m, n_vocab, k->longest[i] + 1,
                              &session, err);
        p->n_levels += !rc;
    }
    return rc;
}

/* Max-Gram, and behind it the n-gram table. */
static int make_statistical(parts *p, const linn_model *target, const linn_cascade_settings *s,
                            linn_error *err)
{
    int rc = LINN_OK;
    if (s->maxgram || s->shape == LINN_CASCADE_MAXGRAM) {
        rc = linn_maxgram_create(&p->statistical[0], s->session.n_ctx, err);
        p->n_statistical += !rc;
    }
    if (!rc && s->ngram)
        rc = linn_ngram_check(s->ngram, linn_model_tokenizer(target), "n-gram table", err);
    if (!rc && s->ngram) {
        rc = linn_ngram_drafter_create(&p->statistical[p->n_statistical], s->ngram,
                                       s->session.n_ctx, err);
        p->n_statistical += !rc;
    }
    return rc;
}

static int assemble(linn_cascade **out, const parts *p, const linn_kmatrix *k,
                    const linn_model *target, const linn_model *const *drafters,
                    const linn_cascade_settings *s, linn_error *err)
{
    int rc = linn_cascade_assemble(out, k, p->levels, p->statistical, p->n_statistical,
                                   linn_model_tokenizer(target), s, err);
    if (rc || !s->profiles)
        return rc;
    uint64_t key = linn_profile_key(target, drafters, (size_t)k->n_models - 1, s);
    rc = linn_auto_remember(*out, s->profiles, key, err);
    if (rc) {
        linn_cascade_free(*out);
        *out = NULL;
    }
    return rc;
}

int linn_cascade_create_on(linn_cascade **out, const linn_level_source *source,
                           const linn_model *target, const linn_model *const *drafters,
                           size_t n_drafters, const linn_cascade_settings *settings,
                           linn_error *err)
{
    *out = NULL;
    linn_cascade_settings s = *settings;
    linn_kmatrix k;
    parts p = {0};
    int rc = linn_kmatrix_make(&k, &s, n_drafters, err);
    if (rc)
        return rc;
    /* In rejection mode what is drafted decides which random numbers are used: a policy that reads
     * clocks would take from a seed that it gives one text. */
    if (s.shape == LINN_CASCADE_AUTO && s.verify == LINN_VERIFY_COUPLED)
        linn_kmatrix_open(&k);
    if (s.session.n_ctx == 0)
        s.session.n_ctx = linn_model_describe(target).n_ctx;
    rc = make_levels(&p, source, &k, target, drafters, &s, err);
    if (!rc && k.statistical)
        rc = make_statistical(&p, target, &s, err);
    if (!rc)
        return assemble(out, &p, &k, target, drafters, &s, err);
    for (int i = 0; i < p.n_levels; i++)
        p.levels[i]->free(p.levels[i]);
    for (int i = 0; i < p.n_statistical; i++)
        p.statistical[i]->free(p.statistical[i]);
    return rc;
}

static int own_level(void *user, linn_level **out, int index, const linn_model *m, int32_t n_vocab,
                     int32_t max_outputs, const linn_session_settings *s, linn_error *err)
{
    (void)user;
    (void)index;
    return linn_level_model(out, m, n_vocab, max_outputs, s, err);
}

int linn_cascade_create(linn_cascade **out, const linn_model *target,
                        const linn_model *const *drafters, size_t n_drafters,
                        const linn_cascade_settings *s, linn_error *err)
{
    const linn_level_source source = {.make = own_level};
    return linn_cascade_create_on(out, &source, target, drafters, n_drafters, s, err);
}
