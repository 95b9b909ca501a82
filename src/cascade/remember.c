/* remember.c - what the marginal rule has learned, kept from one run to the next (profile.h). */
#include "cascade/auto.h"
#include "cascade/profile.h"

#include "base/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void take(linn_auto *a, const linn_profile *p)
{
    for (int i = 0; i < a->n_models; i++) {
        const linn_profile_level *from = &p->levels[i];
        linn_auto_level *to = &a->levels[i];
        to->widths = from->widths;
        to->read_ns = from->read_ns;
        to->spent_ns = from->spent_ns;
        to->made = from->made;
    }
    memcpy(a->calibration.all, p->tallies, sizeof p->tallies);
}

int linn_auto_remember(linn_cascade *c, const char *folder, uint64_t key, linn_error *err)
{
    linn_auto *a = linn_auto_of(c);
    linn_profile p;
    linn_error wrong;
    if (!a || !folder)
        return LINN_OK;
    a->key = key;
    if (asprintf(&a->profile, "%s/%016" PRIx64 ".profile", folder, key) < 0) {
        a->profile = NULL;
        return linn_fail(err, LINN_ENOMEM, "cascade: out of memory");
    }
    if (access(a->profile, F_OK) != 0)
        return LINN_OK;
    int rc = linn_profile_read(&p, a->profile, key, &wrong);
    if (rc == LINN_OK && p.n_models == a->n_models && p.n_sources == a->n_sources)
        take(a, &p);
    else
        snprintf(a->note, sizeof a->note, "%s",
                 rc ? wrong.message : "the profile is not used: of other levels");
    return LINN_OK;
}

const char *linn_cascade_profile_note(const linn_cascade *c)
{
    const linn_auto *a = linn_auto_of(c);
    return a && a->note[0] ? a->note : NULL;
}

int linn_cascade_save_profile(const linn_cascade *c, linn_error *err)
{
    const linn_auto *a = linn_auto_of(c);
    if (!a || !a->profile || a->n_rounds == 0) /* there is nothing to keep */
        return LINN_OK;
    linn_profile p = {.n_models = a->n_models, .n_sources = a->n_sources};
    for (int i = 0; i < a->n_models; i++) {
        const linn_auto_level *l = &a->levels[i];
        p.levels[i] = (linn_profile_level){l->widths, l->read_ns, l->spent_ns, l->made};
    }
    memcpy(p.tallies, a->calibration.all, sizeof p.tallies);
    return linn_profile_write(&p, a->profile, a->key, err);
}
