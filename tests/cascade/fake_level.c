/* fake_level.c - levels whose logits are a known function of the prefix (fake_level.h). */
#include "test.h"
#include "fake_level.h"
#include "base/error.h"

#include <math.h>

uint64_t fake_hash(uint64_t a, uint64_t b) /* splitmix64 of a + b * golden */
{
    uint64_t z = a + (b + 1) * 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

double fake_uniform(uint64_t hash)
{
    return (double)(hash >> 11) * 0x1p-53;
}

void fake_random_law(const fake_level *f, uint64_t hash, const linn_token *text, int32_t length,
                     float *out)
{
    (void)text, (void)length;
    for (int32_t v = 0; v < f->level.n_vocab; v++)
        out[v] = (float)(6 * fake_uniform(fake_hash(hash ^ f->seed, (uint64_t)v)) - 3);
}

void fake_leaning_law(const fake_level *f, uint64_t hash, const linn_token *text, int32_t length,
                      float *out)
{
    float own[4096];
    f->other->law(f->other, hash, text, length, out);
    fake_random_law(f, hash, text, length, own);
    for (int32_t v = 0; v < f->level.n_vocab; v++)
        out[v] = (float)(f->lean * (double)out[v] + (1 - f->lean) * (double)own[v]);
}

linn_token fake_said(const fake_level *f, uint64_t hash)
{
    int32_t n = f->level.n_vocab;
    uint64_t h = fake_hash(hash ^ f->seed, 1);
    if (!f->other)
        return (linn_token)(h % (uint64_t)n);
    linn_token token = fake_said(f->other, hash);
    if (fake_uniform(fake_hash(hash ^ f->seed, 2)) < f->lean)
        return token;
    return (linn_token)(((uint64_t)token + 1 + h % (uint64_t)(n - 1)) % (uint64_t)n);
}

void fake_agreeing_law(const fake_level *f, uint64_t hash, const linn_token *text, int32_t length,
                       float *out)
{
    (void)text, (void)length;
    for (int32_t v = 0; v < f->level.n_vocab; v++)
        out[v] = 0;
    out[fake_said(f, hash)] = 50;
}

static int forward(linn_level *l, const linn_token *text, int32_t length, int32_t n_outputs,
                   linn_error *err)
{
    fake_level *f = (fake_level *)l;
    int32_t known = l->known;
    assert_true(n_outputs >= 0 && n_outputs <= f->max_outputs);
    assert_true(length > known && length - known >= n_outputs && length <= l->n_ctx);
    assert_true(length - known <= LINN_PASS_ROWS + n_outputs);
    assert_true(known <= f->n_text);
    int32_t from = known > 500 ? known - 500 : 0; /* the rest was compared before */
    assert_memory_equal(f->text + from, text + from, (size_t)(known - from) * sizeof *text);
    if (known < f->n_text && known != length - n_outputs) /* those need logits */
        assert_true(f->text[known] != text[known]);       /* else it had that token */
    f->n_text = known;
    f->n_forwards++;
    if (f->fail_at && f->n_forwards >= f->fail_at)
        return linn_fail(err, LINN_ENOMEM, "fake level: failure on purpose");
    memcpy(f->text + known, text + known, (size_t)(length - known) * sizeof *text);
    f->n_text = length;
    for (int32_t i = known; i < length; i++)
        f->hash[i + 1] = fake_hash(f->hash[i], (uint64_t)text[i]);
    for (int32_t i = 0; i < n_outputs; i++) {
        int32_t at = length - n_outputs + 1 + i;
        float *out = f->logits + (size_t)i * (size_t)l->n_vocab;
        f->law(f, f->hash[at], text, at, out);
        if (f->broken)
            out[at % l->n_vocab] = NAN;
    }
    return LINN_OK;
}

static const float *logits(const linn_level *l, int32_t i)
{
    const fake_level *f = (const fake_level *)l;
    return f->logits + (size_t)i * (size_t)l->n_vocab;
}

static void release(linn_level *l)
{
    fake_level *f = (fake_level *)l;
    free(f->text);
    free(f->hash);
    free(f->logits);
    free(f);
}

fake_level *fake_level_create(int32_t n_vocab, int32_t n_ctx, int32_t max_outputs)
{
    fake_level *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->level = (linn_level){.name = "fake",
                            .n_parameters = 1000,
                            .n_vocab = n_vocab,
                            .n_ctx = n_ctx,
                            .forward = forward,
                            .logits = logits,
                            .free = release};
    f->max_outputs = max_outputs;
    f->law = fake_random_law;
    f->text = calloc((size_t)n_ctx, sizeof *f->text);
    f->hash = calloc((size_t)n_ctx + 1, sizeof *f->hash);
    f->logits = calloc((size_t)max_outputs * (size_t)n_vocab, sizeof *f->logits);
    assert_true(f->text && f->hash && f->logits);
    return f;
}
