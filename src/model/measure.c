/* measure.c - what this machine can do at best: how fast it reads memory, the floor
 * under a forward pass, which reads every weight once; and how fast its kernels multiply.
 *
 * Memory: each thread sums its own contiguous share, as a product reads its own rows, with and
 * without prefetching, since either reads more somewhere. The buffer is written first, so that
 * every page is there and none is the zero page.
 *
 * Products: of weights made by the type's own encoder, so that scales are like real ones;
 * the matrix repeats the few rows that were encoded. Members wait for each other after
 * each product, as in a forward pass.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/fpenv.h"
#include "base/memory.h"
#include "linn_tools.h"
#include "model/engine.h"

#include <stdlib.h>
#include <string.h>

/* ---- memory ------------------------------------------------------------------------------- */

enum {
    LANES = 8,    /* words of a cache line */
    GRAIN = 4096, /* words that are not split */
    AHEAD = 512,  /* words prefetched before they are read */
    PIECES = 16,  /* of a member */
};

typedef struct job {
    uint64_t *words; /* [n] */
    size_t n;        /* a multiple of GRAIN */
    bool prefetch;
    uint64_t *sums; /* [members], so that nothing is optimised away */
    int n_pieces;
} job;

static void share_of(const job *j, int piece, size_t *begin, size_t *end)
{
    size_t units = j->n / GRAIN, p = (size_t)piece, all = (size_t)j->n_pieces;
    *begin = units * p / all * GRAIN;
    *end = units * (p + 1) / all * GRAIN;
}

static void fill(void *arg, int piece, int member)
{
    const job *j = arg;
    size_t begin, end;
    (void)member;
    share_of(j, piece, &begin, &end);
    for (size_t i = begin; i < end; i++)
        j->words[i] = i;
}

static void read_share(void *arg, int piece, int member)
{
    const job *j = arg;
    size_t begin, end;
    uint64_t lanes[LANES] = {0}, sum = 0;
    share_of(j, piece, &begin, &end);
    for (size_t i = begin; i < end; i += LANES) {
        if (j->prefetch)
            __builtin_prefetch(&j->words[i + AHEAD < end ? i + AHEAD : i]);
        for (size_t l = 0; l < LANES; l++)
            lanes[l] += j->words[i + l];
    }
    for (size_t l = 0; l < LANES; l++)
        sum += lanes[l];
    j->sums[member] += sum;
}

int linn_measure_memory(linn_engine *e, size_t bytes, int rounds, double *bytes_per_second,
                        linn_error *err)
{
    size_t unit = GRAIN * sizeof(uint64_t);
    if (bytes < unit || rounds < 1)
        return linn_fail(err, LINN_EINVAL,
                         "memory: %zu bytes, %d rounds: must be at least %zu and 1", bytes, rounds,
                         unit);
    job j = {.n = bytes / unit * GRAIN, .n_pieces = linn_pool_threads(e->pool) * PIECES};
    size_t size = j.n * sizeof *j.words;
    j.words = linn_reserve(size, true);
    j.sums = linn_alloc((size_t)linn_engine_threads(e), sizeof *j.sums);
    int rc = LINN_OK;
    if (!j.words || !j.sums) {
        rc = linn_fail(err, LINN_ENOMEM, "memory: out of memory for %zu bytes", bytes);
        goto done;
    }
    linn_pool_run(e->pool, j.n_pieces, fill, &j);
    int64_t least = INT64_MAX;
    for (int r = 0; r < 2 * rounds; r++) {
        j.prefetch = r % 2 == 0;
        int64_t start = linn_now_ns();
        linn_pool_run(e->pool, j.n_pieces, read_share, &j);
        int64_t took = linn_now_ns() - start;
        least = took < least ? took : least;
    }
    least = least < 1 ? 1 : least;
    *bytes_per_second = (double)size / ((double)least * 1e-9);
done:
    linn_release(j.words, size);
    free(j.sums);
    return rc;
}

/* ---- products ------------------------------------------------------------------------------ */

static const uint32_t product_types[] = {
    LINN_TYPE_F32,  LINN_TYPE_F16,    LINN_TYPE_BF16,   LINN_TYPE_Q8_0, LINN_TYPE_Q6_K,
    LINN_TYPE_Q5_K, LINN_TYPE_Q5_1,   LINN_TYPE_Q5_0,   LINN_TYPE_Q4_K, LINN_TYPE_Q4_1,
    LINN_TYPE_Q4_0, LINN_TYPE_IQ4_NL, LINN_TYPE_IQ4_XS, LINN_TYPE_Q3_K, LINN_TYPE_Q2_K,
};
enum {
    N_TYPES = sizeof product_types / sizeof *product_types,
    COLUMN_GRAIN = 256,
    MAX_WIDTH = 4096,
    SLICE_NS = 1000000, /* a measurement takes so long at least */
};

typedef struct product {
    const linn_kernels *kernels;
    linn_pool *pool;
    linn_matrix w;
    linn_acts a;
    float *y; /* [width, n_rows] */
    int n_pieces;
    void *memory, *packed;
    size_t packed_bytes;
} product;

const char *linn_product_type(size_t i)
{
    return i < N_TYPES ? linn_type_name(product_types[i]) : NULL;
}

static int check_case(const linn_product_case *c, int rounds, int *type, linn_error *err)
{
    *type = linn_type_by_name(c->type);
    if (*type < 0)
        return linn_fail(err, LINN_EINVAL, "product: %.40s is no type of weights", c->type);
    if (c->n_rows < 1 || c->n_cols < 1 || c->n_cols % COLUMN_GRAIN || c->width < 1 ||
        c->width > MAX_WIDTH || rounds < 1)
        return linn_fail(err, LINN_EINVAL,
                         "product: %d x %d by %d, %d rounds: columns must be a multiple of %d, the "
                         "width 1 to %d, rows and rounds 1 at least",
                         c->n_rows, c->n_cols, c->width, rounds, COLUMN_GRAIN, MAX_WIDTH);
    return LINN_OK;
}

/* Numbers around 0, the same ones each time. */
static void scatter(float *x, size_t n)
{
    uint32_t state = 1;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)state * 0x1p-31f;
    }
}

static void place_product(product *p, linn_carver *c, const linn_product_case *of, float **x)
{
    size_t rows = (size_t)of->n_rows, k = (size_t)of->n_cols, n = (size_t)of->width;
    p->w.data = linn_carve(c, rows, p->w.row_bytes);
    *x = linn_carve(c, (n > LINN_ROW_GRAIN ? n : LINN_ROW_GRAIN) * k, sizeof **x);
    p->a.q = linn_carve(c, n * k, sizeof *p->a.q);
    p->a.d = linn_carve(c, n * k / 32, sizeof *p->a.d);
    p->a.sums = linn_carve(c, n * k / 16, sizeof *p->a.sums);
    p->y = linn_carve(c, n * rows, sizeof *p->y);
}

static void make_weights(linn_matrix *w, const float *x)
{
    const linn_type_info *info = linn_type_find(w->type);
    char *to = (char *)(uintptr_t)w->data;
    int32_t first = w->n_rows < LINN_ROW_GRAIN ? w->n_rows : LINN_ROW_GRAIN;
    info->encode(x, to, (size_t)first * (size_t)w->n_cols / info->block);
    for (int32_t i = first; i < w->n_rows; i++)
        memcpy(to + (size_t)i * w->row_bytes, to + (size_t)(i % first) * w->row_bytes,
               w->row_bytes);
}

static void make_acts(product *p, const float *x)
{
    linn_act_form form = linn_act_form_of(p->w.type);
    size_t k = (size_t)p->a.k, block = form == LINN_ACT_Q8K ? 256 : 32;
    p->a.x = x;
    for (size_t j = 0; j < (size_t)p->a.n && form != LINN_ACT_F32; j++)
        p->kernels->quantize(form, x + j * k, p->a.k, p->a.q + j * k, p->a.d + j * k / block,
                             p->a.sums + j * k / 16);
}

static void pack_share(void *arg, int piece, int member)
{
    product *p = arg;
    int begin, end;
    (void)member;
    linn_share(p->w.n_rows, LINN_ROW_GRAIN, piece, p->n_pieces, &begin, &end);
    if (begin < end)
        p->kernels->pack(&p->w, begin, end, p->packed);
}

static void multiply_share(void *arg, int piece, int member)
{
    product *p = arg;
    int begin, end;
    (void)member;
    linn_share(p->w.n_rows, LINN_ROW_GRAIN, piece, p->n_pieces, &begin, &end);
    if (begin < end)
        p->kernels->product[p->w.type](&p->w, &p->a, begin, end, p->y, (size_t)p->w.n_rows);
}

static int make_product(product *p, const linn_product_case *c, linn_error *err)
{
    float *x;
    linn_carver carver = {0};
    place_product(p, &carver, c, &x);
    p->memory = carver.overflow ? NULL : linn_alloc(1, carver.used);
    p->packed_bytes = p->kernels->packed_bytes(&p->w);
    if (p->packed_bytes)
        p->packed = linn_reserve(p->packed_bytes, true);
    if (!p->memory || (p->packed_bytes && !p->packed))
        return linn_fail(err, LINN_ENOMEM, "product: out of memory for a matrix of %d x %d",
                         c->n_rows, c->n_cols);
    carver = (linn_carver){.base = p->memory};
    place_product(p, &carver, c, &x);
    size_t n = (size_t)(c->width > LINN_ROW_GRAIN ? c->width : LINN_ROW_GRAIN);
    scatter(x, n * (size_t)c->n_cols);
    linn_fpenv saved = linn_fpenv_enter();
    make_weights(&p->w, x);
    make_acts(p, x);
    if (p->packed) {
        linn_pool_run(p->pool, p->n_pieces, pack_share, p);
        p->w.packed = p->packed;
    }
    linn_fpenv_leave(saved);
    return LINN_OK;
}

static int64_t time_product(product *p, int repeat)
{
    linn_pool_begin(p->pool);
    int64_t start = linn_now_ns();
    for (int i = 0; i < repeat; i++)
        linn_pool_stage(p->pool, p->n_pieces, multiply_share, p);
    int64_t took = linn_now_ns() - start;
    linn_pool_end(p->pool);
    return took > 0 ? took : 1;
}

int linn_measure_product(linn_engine *e, const linn_product_case *c, int rounds, double *seconds,
                         linn_error *err)
{
    int type;
    int rc = check_case(c, rounds, &type, err);
    if (rc != LINN_OK)
        return rc;
    const linn_type_info *info = linn_type_find((uint32_t)type);
    product p = {.kernels = e->kernels, .pool = e->pool};
    p.n_pieces = linn_pool_threads(e->pool);
    p.w = (linn_matrix){.type = (uint32_t)type, .n_rows = c->n_rows, .n_cols = c->n_cols};
    p.w.row_bytes = (size_t)c->n_cols / info->block * info->bytes;
    p.a = (linn_acts){.n = c->width, .k = c->n_cols};
    rc = make_product(&p, c, err);
    if (rc == LINN_OK) {
        time_product(&p, 1); /* into the caches */
        int64_t once = time_product(&p, 1);
        int repeat = once < SLICE_NS ? (int)(SLICE_NS / once) + 1 : 1;
        for (int r = 0; r < rounds; r++)
            seconds[r] = (double)time_product(&p, repeat) * 1e-9 / repeat;
    }
    linn_release(p.packed, p.packed_bytes);
    free(p.memory);
    return rc;
}
