/* profile.c - see profile.h. */
#include "cascade/profile.h"

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "draft/ngram.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static_assert(sizeof(linn_profile_header) == 32 && sizeof(linn_profile) % 8 == 0,
              "no gaps between them");

/* ---- reading --------------------------------------------------------------------------------- */

static bool is_in(double x, double least, double most)
{
    return x >= least && x <= most;
}

static bool widths_are_sane(const linn_widths *w)
{
    bool known = w->n_measured == LINN_WIDTH_GRID, good = known || w->n_measured == 0;
    for (int i = 0; i < LINN_WIDTH_GRID; i++) {
        good &= is_in(w->ns[i], known, known * 1e13); /* from 1 ns on, or nothing */
        good &= is_in(w->seen[i], 0, known * 1e6);
    }
    return good;
}

static bool is_sane(const linn_profile *p)
{
    bool good = p->n_models >= 1 && p->n_models <= LINN_MAX_MODELS && p->n_sources >= p->n_models &&
                p->n_sources <= LINN_MAX_LEVELS;
    for (int i = 0; i < LINN_MAX_MODELS; i++) {
        const linn_profile_level *l = &p->levels[i];
        good &= widths_are_sane(&l->widths) && is_in(l->read_ns, 0, 1e13) &&
                is_in(l->spent_ns, 0, 1e15) && is_in(l->made, 0, 1e6);
    }
    const linn_tally *t = &p->tallies[0][0][0][0];
    for (size_t i = 0; i < sizeof p->tallies / sizeof *t; i++)
        good &= is_in((double)t[i].passed, 0, 1e6) && is_in((double)t[i].failed, 0, 1e6);
    return good;
}

uint64_t linn_profile_checksum(const linn_profile *p, uint64_t key)
{
    return linn_hash_bytes(key, p, sizeof *p);
}

int linn_profile_parse(linn_profile *out, const void *data, size_t size, uint64_t key,
                       const char *name, linn_error *err)
{
    linn_profile_header h;
    const char *wrong = NULL;
    *out = (linn_profile){0};
    if (size >= sizeof h)
        memcpy(&h, data, sizeof h);
    if (size < sizeof h || memcmp(h.magic, LINN_PROFILE_MAGIC, sizeof h.magic) != 0)
        wrong = "not a profile of linn";
    else if (h.version != LINN_PROFILE_VERSION)
        wrong = "of another version of linn";
    else if (size != sizeof h + sizeof *out || h.size != size)
        wrong = "cut short or changed";
    if (!wrong) {
        memcpy(out, (const char *)data + sizeof h, sizeof *out);
        if (linn_profile_checksum(out, h.key) != h.checksum)
            wrong = "damaged";
        else if (h.key != key)
            wrong = "of other models or settings";
        else if (!is_sane(out))
            wrong = "its figures cannot be";
    }
    if (!wrong)
        return LINN_OK;
    return linn_fail(err, LINN_EFORMAT, "profile %s is not used: %s", name, wrong);
}

int linn_profile_read(linn_profile *out, const char *path, uint64_t key, linn_error *err)
{
    linn_mapping file;
    int rc = linn_mapping_open(&file, path, err);
    if (rc)
        return rc;
    rc = linn_profile_parse(out, file.data, file.size, key, path, err);
    linn_mapping_close(&file);
    return rc;
}

/* ---- writing --------------------------------------------------------------------------------- */

int linn_profile_write(const linn_profile *p, const char *path, uint64_t key, linn_error *err)
{
    linn_profile_header h = {
        .version = LINN_PROFILE_VERSION, .size = sizeof h + sizeof *p, .key = key};
    memcpy(h.magic, LINN_PROFILE_MAGIC, sizeof h.magic);
    h.checksum = linn_profile_checksum(p, key);
    linn_output out;
    int rc = linn_output_open(&out, path, err);
    if (rc)
        return rc;
    fwrite(&h, sizeof h, 1, out.stream);
    fwrite(p, sizeof *p, 1, out.stream);
    return linn_output_commit(&out, err);
}

/* ---- the key --------------------------------------------------------------------------------- */

static uint64_t add_model(uint64_t h, const linn_model *m)
{
    linn_model_info info = linn_model_describe(m);
    h = linn_hash_mix(h, info.identity);
    const char *cpu = linn_engine_cpu(info.engine);
    h = linn_hash_mix(h, (uint64_t)linn_engine_threads(info.engine));
    return linn_hash_bytes(h, cpu, strlen(cpu));
}

uint64_t linn_profile_key(const linn_model *target, const linn_model *const *drafters,
                          size_t n_drafters, const linn_cascade_settings *s)
{
    const int settings[] = {LINN_PROFILE_VERSION,   (int)n_drafters,          s->maxgram,
                            (int)s->lenience_rule,  (int)s->verify,           (int)s->session.kv,
                            linn_numeric_version(), (int)(s->lenience * 1000)};
    uint64_t h = linn_hash_bytes(1, settings, sizeof settings);
    h = linn_hash_bytes(h, linn_version(), strlen(linn_version()));
    h = add_model(h, target);
    for (size_t i = 0; i < n_drafters; i++)
        h = add_model(h, drafters[i]);
    return linn_hash_mix(h, s->ngram ? s->ngram->header->checksum : 0);
}
