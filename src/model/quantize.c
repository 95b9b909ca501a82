/* quantize.c - writes a GGUF file anew with its matrices in other number formats.
 *
 * Everything that can be refused from the header alone is refused before the output
 * file exists. Then tensors stream through two buffers of a chunk each, in the order
 * of the source: decoded, checked and encoded by all threads, a share each, written by
 * one. A block depends on its own values only, so neither threads nor chunks show in
 * the result.
 */
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "gguf/gguf.h"
#include "model/engine.h"
#include "model/mixture.h"
#include "quant/quant.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    CHUNK = 1 << 20, /* values; a multiple of every block */
    GRAIN = 256,     /* values that stay together; the largest block */
    PIECES = 4,      /* of a chunk, for each thread */
    QUANTIZATION_VERSION = 2,
};

/* Scales are binary16, and so is what they scale in F16. */
#define LARGEST 65504.f

typedef struct plan {
    uint32_t wanted, type; /* by the rules; in fact */
} plan;

typedef struct job {
    linn_engine *engine;
    linn_file *file;
    const linn_mixture *mixture;
    const linn_quantize_settings *settings;
    plan *plans;  /* [n_tensors] */
    size_t chunk; /* values at once: CHUNK, or all of the largest tensor */
    linn_gguf_writer *writer;
    float *values;  /* [chunk] */
    uint8_t *coded; /* [chunk * sizeof(float)] */
    int n_pieces;   /* of a chunk */
    size_t *broken; /* [n_pieces]: the first value that cannot be encoded; SIZE_MAX: none */
    linn_quantize_step step;
    char note[160];
    linn_error *err;
} job;

const char *linn_quantize_type(size_t i)
{
    return linn_mixture_name(i);
}

/* ---- what is to be done -------------------------------------------------------------------- */

static bool is_plain(uint32_t type)
{
    return linn_type_find(type)->block == 1;
}

static uint64_t values_of(const linn_tensor *t)
{
    return t->shape[0] * t->shape[1] * t->shape[2] * t->shape[3];
}

static int plan_tensor(job *j, const linn_mixture_model *model, const linn_tensor *t, plan *p)
{
    const char *path = linn_file_path(j->file);
    if (!linn_type_find(t->type))
        return linn_fail(j->err, LINN_EUNSUPPORTED,
                         "%s: tensor %s: linn does not know its type %" PRIu32 " (%s)", path,
                         t->name_z, t->type, linn_type_name(t->type));
    p->type = linn_mixture_choose(j->mixture, model, j->settings->pure, t, &p->wanted);
    if (p->type != t->type && !is_plain(t->type) && p->type != LINN_TYPE_F32 &&
        !j->settings->requantize)
        return linn_fail(j->err, LINN_EINVAL,
                         "%s: tensor %s is quantised already (%s); start from F32, F16 or BF16, or "
                         "allow a second loss",
                         path, t->name_z, linn_type_name(t->type));
    return LINN_OK;
}

static int make_plan(job *j)
{
    size_t n = linn_file_tensors(j->file);
    const char *path = linn_file_path(j->file);
    uint32_t parts = 1;
    int rc = linn_file_maybe_u32(j->file, "split.count", &parts, j->err);
    if (rc != LINN_OK)
        return rc;
    if (parts > 1)
        return linn_fail(j->err, LINN_EUNSUPPORTED,
                         "%s: is one of %" PRIu32 " parts of a model; join them first", path,
                         parts);
    if (n == 0)
        return linn_fail(j->err, LINN_EFORMAT, "%s: has no tensors to quantise", path);
    j->plans = calloc(n, sizeof *j->plans);
    if (!j->plans)
        return linn_fail(j->err, LINN_ENOMEM, "%s: out of memory", path);
    linn_mixture_model model = linn_mixture_survey(j->file);
    for (size_t i = 0; i < n && rc == LINN_OK; i++) {
        const linn_tensor *t = linn_file_tensor_at(j->file, i);
        rc = plan_tensor(j, &model, t, &j->plans[i]);
        uint64_t count = values_of(t);
        j->step.total += count;
        if (count > j->chunk)
            j->chunk = count < CHUNK ? (size_t)count : CHUNK;
    }
    return rc;
}

/* Errors stick in the writer and come out at its end. */
static void write_header(job *j)
{
    static const char file_type[] = "general.file_type";
    static const char version[] = "general.quantization_version";
    linn_gguf_writer *w = j->writer;
    for (size_t i = 0; i < linn_file_keys(j->file); i++) {
        const char *key = linn_file_key(j->file, i);
        if (strcmp(key, file_type) == 0)
            linn_gguf_put_u32(w, file_type, j->mixture->number);
        else if (strcmp(key, version) != 0)
            linn_gguf_put_copy(w, j->file, i);
    }
    if (!linn_file_has(j->file, file_type))
        linn_gguf_put_u32(w, file_type, j->mixture->number);
    linn_gguf_put_u32(w, version, QUANTIZATION_VERSION);
    for (size_t i = 0; i < linn_file_tensors(j->file); i++) {
        const linn_tensor *t = linn_file_tensor_at(j->file, i);
        linn_gguf_put_tensor(w, t->name_z, j->plans[i].type, t->n_dims, t->shape);
    }
}

/* ---- tensors --------------------------------------------------------------------------------- */

/* Values [first, first + n) of a tensor, for all threads. */
typedef struct chunk {
    job *j;
    const linn_type_info *from, *to;
    const uint8_t *source;
    int n;
    float limit; /* of the magnitude */
} chunk;

static size_t bytes_of(const linn_type_info *type, size_t n)
{
    return n / type->block * type->bytes;
}

/* The first of x[n] that is not a number within the limit; n: none. */
static int first_broken(const float *x, int n, float limit)
{
    for (int i = 0; i < n; i++)
        if (!(fabsf(x[i]) <= limit))
            return i;
    return n;
}

static void encode_share(void *arg, int piece, int member)
{
    const chunk *c = arg;
    int begin, end;
    (void)member;
    linn_share(c->n, GRAIN, piece, c->j->n_pieces, &begin, &end);
    size_t at = (size_t)begin, n = (size_t)(end - begin);
    float *values = c->j->values + at;
    c->from->decode(c->source + bytes_of(c->from, at), values, n / c->from->block);
    int broken = first_broken(values, end - begin, c->limit);
    c->j->broken[piece] = broken < end - begin ? at + (size_t)broken : SIZE_MAX;
    c->to->encode(values, c->j->coded + bytes_of(c->to, at), n / c->to->block);
}

static int refuse_value(const job *j, const linn_tensor *t, uint64_t index, float value,
                        const char *type)
{
    const char *path = linn_file_path(j->file);
    if (!isfinite(value))
        return linn_fail(j->err, LINN_EFORMAT,
                         "%s: tensor %s: element %" PRIu64 " is %s; the file is damaged", path,
                         t->name_z, index, isnan(value) ? "not a number" : "infinite");
    return linn_fail(j->err, LINN_EUNSUPPORTED,
                     "%s: tensor %s: element %" PRIu64 " is %g, too large for %s; BF16 can hold it",
                     path, t->name_z, index, (double)value, type);
}

/* Writes data that stands for `done` values. */
static int put(job *j, const void *data, size_t size, size_t done)
{
    if (linn_gguf_write_data(j->writer, data, size) != LINN_OK)
        return linn_gguf_writer_finish(j->writer, j->err); /* says why */
    j->step.done += done;
    if (j->settings->on_step && !j->settings->on_step(j->settings->user, &j->step))
        return linn_fail(j->err, LINN_ECANCELLED, "stopped");
    return LINN_OK;
}

/* Quantised data go over as they are; plain data take the way of encode_tensor, which looks at
 * them. */
static int copy_tensor(job *j, const linn_tensor *t)
{
    uint64_t n = values_of(t);
    const linn_type_info *type = linn_type_find(t->type);
    for (uint64_t at = 0; at < n; at += j->chunk) {
        size_t count = n - at < j->chunk ? (size_t)(n - at) : j->chunk;
        const uint8_t *source = (const uint8_t *)t->data + bytes_of(type, (size_t)at);
        int rc = put(j, source, bytes_of(type, count), count);
        if (rc != LINN_OK)
            return rc;
    }
    return LINN_OK;
}

static int encode_tensor(job *j, const linn_tensor *t, const plan *p)
{
    uint64_t n = values_of(t);
    chunk c = {.j = j, .from = linn_type_find(t->type), .to = linn_type_find(p->type)};
    c.limit = p->type == LINN_TYPE_F32 || p->type == LINN_TYPE_BF16 ? FLT_MAX : LARGEST;
    for (uint64_t at = 0; at < n; at += j->chunk) {
        c.n = (int)(n - at < j->chunk ? n - at : j->chunk);
        c.source = (const uint8_t *)t->data + bytes_of(c.from, (size_t)at);
        linn_pool_run(j->engine->pool, j->n_pieces, encode_share, &c);
        size_t broken = SIZE_MAX;
        for (int i = 0; i < j->n_pieces; i++)
            broken = j->broken[i] < broken ? j->broken[i] : broken;
        if (broken != SIZE_MAX)
            return refuse_value(j, t, at + broken, j->values[broken], c.to->name);
        int rc = put(j, j->coded, bytes_of(c.to, (size_t)c.n), (size_t)c.n);
        if (rc != LINN_OK)
            return rc;
    }
    return LINN_OK;
}

static int write_tensor(job *j, const linn_tensor *t, const plan *p)
{
    j->step.tensor = t->name_z;
    j->step.from = linn_type_name(t->type);
    j->step.to = linn_type_name(p->type);
    j->step.note = NULL;
    if (p->type != p->wanted) {
        snprintf(j->note, sizeof j->note,
                 "rows of %" PRIu64 " are no multiple of %" PRIu32 ": %s instead of %s",
                 t->shape[0], linn_type_find(p->wanted)->block, j->step.to,
                 linn_type_name(p->wanted));
        j->step.note = j->note;
    }
    int rc = put(j, NULL, 0, 0);
    if (rc != LINN_OK)
        return rc;
    if (t->type == p->type && !is_plain(t->type))
        return copy_tensor(j, t);
    return encode_tensor(j, t, p);
}

/* ---- the file ---------------------------------------------------------------------------------
 */

static bool same_file(const char *a, const char *b)
{
    struct stat s, t;
    return stat(a, &s) == 0 && stat(b, &t) == 0 && s.st_dev == t.st_dev && s.st_ino == t.st_ino;
}

static int open_job(job *j, const char *in, const char *out)
{
    int rc = linn_file_open(&j->file, in, j->err);
    if (rc == LINN_OK)
        rc = make_plan(j);
    if (rc != LINN_OK)
        return rc;
    j->values = linn_alloc(j->chunk, sizeof *j->values);
    j->coded = linn_alloc(j->chunk, sizeof(float));
    j->n_pieces = linn_pool_threads(j->engine->pool) * PIECES;
    j->broken = linn_alloc((size_t)j->n_pieces, sizeof *j->broken);
    if (!j->values || !j->coded || !j->broken)
        return linn_fail(j->err, LINN_ENOMEM, "%s: out of memory", in);
    return linn_gguf_writer_create(&j->writer, out, j->err);
}

static int write_all(job *j)
{
    write_header(j);
    if (linn_gguf_begin_data(j->writer) != LINN_OK)
        return linn_gguf_writer_finish(j->writer, j->err);
    for (size_t i = 0; i < linn_file_tensors(j->file); i++) {
        const linn_tensor *t = linn_file_tensor_at(j->file, i);
        int rc = write_tensor(j, t, &j->plans[i]);
        if (rc != LINN_OK)
            return rc;
        linn_mapping_release(t->data, t->size);
    }
    return linn_gguf_writer_finish(j->writer, j->err);
}

int linn_quantize_file(linn_engine *e, const char *in, const char *out,
                       const linn_quantize_settings *s, linn_error *err)
{
    job j = {.engine = e, .settings = s, .err = err, .mixture = linn_mixture_find(s->type)};
    if (!j.mixture)
        return linn_fail(err, LINN_EINVAL, "%s: there is no such type of quantisation", s->type);
    if (same_file(in, out))
        return linn_fail(err, LINN_EINVAL, "%s: is the source itself", out);
    int rc = open_job(&j, in, out);
    if (rc == LINN_OK)
        rc = write_all(&j);
    linn_gguf_writer_free(j.writer);
    free(j.values);
    free(j.coded);
    free(j.broken);
    free(j.plans);
    linn_file_close(j.file);
    return rc;
}
