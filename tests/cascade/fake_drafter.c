/* fake_drafter.c - a statistical drafter that agrees with a level by chance (fake_drafter.h). */
#include "test.h"
#include "fake_drafter.h"

typedef struct fake_drafter {
    linn_drafter drafter;
    const fake_level *level;
    double lean;
    int32_t length, committed;
    uint64_t *hash; /* [n_ctx + 1] */
} fake_drafter;

static linn_token guess(const fake_drafter *f, uint64_t hash)
{
    linn_token token = fake_said(f->level, hash);
    if (fake_uniform(fake_hash(hash, 0xd4af7)) < f->lean)
        return token;
    uint64_t n = (uint64_t)f->level->level.n_vocab;
    return (linn_token)(((uint64_t)token + 1 + fake_hash(hash, 0xd4af8) % (n - 1)) % n);
}

static int32_t propose(linn_drafter *d, int32_t n, linn_proposal *out)
{
    fake_drafter *f = (fake_drafter *)d;
    uint64_t hash = f->hash[f->length];
    for (int32_t i = 0; i < n; i++) {
        out[i] = (linn_proposal){guess(f, hash), LINN_SOURCE_MAXGRAM, 1};
        hash = fake_hash(hash, (uint64_t)out[i].token);
    }
    return n;
}

static void push(linn_drafter *d, linn_token token)
{
    fake_drafter *f = (fake_drafter *)d;
    f->hash[f->length + 1] = fake_hash(f->hash[f->length], (uint64_t)token);
    f->length++;
}

static void roll_back(linn_drafter *d, int32_t length)
{
    fake_drafter *f = (fake_drafter *)d;
    assert_true(length >= f->committed && length <= f->length);
    f->length = length;
}

static void commit(linn_drafter *d, int32_t committed)
{
    fake_drafter *f = (fake_drafter *)d;
    assert_true(committed >= f->committed && committed <= f->length);
    f->committed = committed;
}

static void restart(linn_drafter *d, linn_choice choice)
{
    fake_drafter *f = (fake_drafter *)d;
    (void)choice;
    f->length = f->committed = 0;
}

static void release(linn_drafter *d)
{
    fake_drafter *f = (fake_drafter *)d;
    free(f->hash);
    free(f);
}

linn_drafter *fake_drafter_create(const fake_level *level, double lean, int32_t n_ctx)
{
    fake_drafter *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->drafter = (linn_drafter){
        "fake", LINN_SOURCE_MAXGRAM, propose, push, roll_back, commit, restart, release};
    f->level = level;
    f->lean = lean;
    f->hash = calloc((size_t)n_ctx + 1, sizeof *f->hash);
    assert_non_null(f->hash);
    return &f->drafter;
}
