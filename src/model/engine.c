/* engine.c - picks the kernels and starts the threads.
 *
 * LINN_CPU is the one environment variable the library reads. Settings have no way
 * to report an error, so a value that names nothing this machine can run becomes an
 * impossible mask, which linn_engine_create refuses with the reason.
 */
#include "model/engine.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_THREADS = 1024 };
#define CPU_IMPOSSIBLE (1u << 31)

typedef struct cpu_name {
    const char *name;
    unsigned needs; /* of the processor */
    unsigned mask;  /* what may be used: lower sets too, where they have the best kernel */
} cpu_name;

static const cpu_name cpu_names[] = {
    {"c", LINN_CPU_C, LINN_CPU_C},
    {"avx2", LINN_CPU_AVX2, LINN_CPU_AVX2},
    {"avx512", LINN_CPU_AVX512, LINN_CPU_AVX2 | LINN_CPU_AVX512},
    {"neon", LINN_CPU_NEON, LINN_CPU_NEON},
};
enum { N_CPU_NAMES = sizeof cpu_names / sizeof *cpu_names };

static bool can_run(const cpu_name *c)
{
    return (linn_cpu_features() & c->needs) == c->needs;
}

static int refuse_mask(unsigned mask, linn_error *err)
{
    const char *word = getenv("LINN_CPU");
    if (!word || mask != CPU_IMPOSSIBLE)
        return linn_fail(err, LINN_EINVAL, "engine: 0x%x is no mask of LINN_CPU_* bits", mask);
    char list[64] = "";
    for (int i = 0; i < N_CPU_NAMES; i++)
        if (can_run(&cpu_names[i])) {
            size_t used = strlen(list);
            snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", cpu_names[i].name);
        }
    for (int i = 0; i < N_CPU_NAMES; i++)
        if (strcmp(word, cpu_names[i].name) == 0)
            return linn_fail(err, LINN_EUNSUPPORTED,
                             "LINN_CPU=%s: this processor does not have it; it has: %s", word,
                             list);
    return linn_fail(err, LINN_EINVAL,
                     "LINN_CPU=%.40s: must be c, avx2, avx512 or neon; this processor has: %s",
                     word, list);
}

linn_engine_settings linn_engine_settings_default(void)
{
    linn_engine_settings s = {.threads = 0, .cpu = LINN_CPU_ANY};
    const char *word = getenv("LINN_CPU");
    if (!word || !*word)
        return s;
    s.cpu = CPU_IMPOSSIBLE;
    for (int i = 0; i < N_CPU_NAMES; i++)
        if (strcmp(word, cpu_names[i].name) == 0 && can_run(&cpu_names[i]))
            s.cpu = cpu_names[i].mask;
    return s;
}

int linn_engine_create(linn_engine **out, const linn_engine_settings *s, linn_error *err)
{
    *out = NULL;
    if (s->threads < 0 || s->threads > MAX_THREADS)
        return linn_fail(err, LINN_EINVAL, "engine: %d threads: must be 0 (all processors) to %d",
                         s->threads, MAX_THREADS);
    if (s->cpu & ~(unsigned)LINN_CPU_ANY)
        return refuse_mask(s->cpu, err);
    linn_engine *e = calloc(1, sizeof *e);
    if (!e)
        return linn_fail(err, LINN_ENOMEM, "out of memory for the engine");
    e->kernels = linn_kernels_select(s->cpu);
    int rc = linn_pool_create(&e->pool, s->threads ? s->threads : linn_processors(), err);
    if (rc != LINN_OK) {
        linn_engine_free(e);
        return rc;
    }
    *out = e;
    return LINN_OK;
}

void linn_engine_free(linn_engine *e)
{
    if (!e)
        return;
    linn_pool_free(e->pool);
    free(e);
}

int linn_engine_threads(const linn_engine *e)
{
    return linn_pool_threads(e->pool);
}

const char *linn_engine_cpu(const linn_engine *e)
{
    return e->kernels->name;
}
