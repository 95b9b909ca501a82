/* writer.c - writes GGUF version 3; see gguf.h.
 *
 * The file's header holds counts and offsets of what comes later, so keys and the
 * tensor table are kept in memory until linn_gguf_begin_data, and the data of the
 * tensors, which is the bulk, goes straight to the file. What the reader would refuse
 * (a name twice, a shape that is no whole number of blocks, ...) is refused here.
 */
#include "gguf/gguf.h"
#include "gguf/internal.h"
#include "base/error.h"
#include "base/memory.h"
#include "quant/quant.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values are written as they are");

enum stage { KEYS, TENSORS, DATA, DONE };

typedef struct buffer {
    uint8_t *data; /* [capacity], of which `size` bytes are used */
    size_t size, capacity;
} buffer;

/* The names of one table, each with its zero, to find one that comes again. */
typedef struct names {
    buffer text;
    uint64_t n;
} names;

struct linn_gguf_writer {
    char *path;
    linn_output output;
    linn_error error; /* the first; it sticks */
    enum stage stage;
    names keys, tensors;
    buffer key_bytes, tensor_bytes; /* of the header, ready to be written */
    buffer sizes;                   /* uint64_t [n_tensors]: bytes of data */
    uint64_t data_size;             /* bytes of all tensors declared, padding included */
    uint64_t current;               /* tensor whose data is being written ... */
    uint64_t written;               /* ... and how much of it was */
};

/* ---- bytes in memory -------------------------------------------------------------------- */

#define FAIL(w, code, ...) linn_fail(&(w)->error, (code), __VA_ARGS__)

static bool append(linn_gguf_writer *w, buffer *b, const void *data, size_t size)
{
    size_t needed;
    if (w->error.code)
        return false;
    if (linn_add_overflows(b->size, size, &needed) || needed > SIZE_MAX / 2) {
        FAIL(w, LINN_ENOMEM, "%s: out of memory for the header", w->path);
        return false;
    }
    if (needed > b->capacity) {
        size_t capacity = needed > 2 * b->capacity ? needed : 2 * b->capacity;
        uint8_t *p = realloc(b->data, capacity);
        if (!p) {
            FAIL(w, LINN_ENOMEM, "%s: out of memory for the header", w->path);
            return false;
        }
        b->data = p;
        b->capacity = capacity;
    }
    if (size > 0)
        memcpy(b->data + b->size, data, size);
    b->size = needed;
    return true;
}

static void append_u32(linn_gguf_writer *w, buffer *b, uint32_t value)
{
    append(w, b, &value, sizeof value);
}

static void append_u64(linn_gguf_writer *w, buffer *b, uint64_t value)
{
    append(w, b, &value, sizeof value);
}

static void append_string(linn_gguf_writer *w, buffer *b, const char *text, size_t length)
{
    append_u64(w, b, length);
    append(w, b, text, length);
}

/* ---- keys ------------------------------------------------------------------------------- */

static bool known(const names *list, const char *name)
{
    const char *at = (const char *)list->text.data;
    for (uint64_t i = 0; i < list->n; i++, at += strlen(at) + 1)
        if (strcmp(at, name) == 0)
            return true;
    return false;
}

/* Checks a name that is about to be declared, and writes it into `to`. */
static void begin_entry(linn_gguf_writer *w, enum stage stage, names *list, buffer *to,
                        const char *what, const char *name)
{
    size_t length = strlen(name);
    if (w->error.code)
        return;
    if (w->stage > stage)
        FAIL(w, LINN_EINVAL, "%s: %s '%.100s': comes too late, after %s", w->path, what, name,
             stage == KEYS && w->stage == TENSORS ? "a tensor" : "the data has begun");
    else if (length == 0 || length > LINN_GGUF_MAX_NAME ||
             !linn_gguf_is_name((linn_string){name, length}))
        FAIL(w, LINN_EINVAL,
             "%s: %s '%.100s': the name is not 1 to %d bytes of UTF-8 without control characters",
             w->path, what, name, LINN_GGUF_MAX_NAME);
    else if (known(list, name))
        FAIL(w, LINN_EINVAL, "%s: %s '%.100s': is there already", w->path, what, name);
    append(w, &list->text, name, length + 1);
    list->n++;
    append_string(w, to, name, length);
    w->stage = stage;
}

static void begin_key(linn_gguf_writer *w, const char *key, linn_gguf_kind kind)
{
    if (!w->error.code && strcmp(key, "general.alignment") == 0)
        FAIL(w, LINN_EINVAL, "%s: key '%s': is the writer's own", w->path, key);
    begin_entry(w, KEYS, &w->keys, &w->key_bytes, "key", key);
    append_u32(w, &w->key_bytes, (uint32_t)kind);
}

int linn_gguf_put_u32(linn_gguf_writer *w, const char *key, uint32_t value)
{
    begin_key(w, key, LINN_GGUF_U32);
    append_u32(w, &w->key_bytes, value);
    return w->error.code;
}

int linn_gguf_put_f32(linn_gguf_writer *w, const char *key, float value)
{
    begin_key(w, key, LINN_GGUF_F32);
    append(w, &w->key_bytes, &value, sizeof value);
    return w->error.code;
}

int linn_gguf_put_bool(linn_gguf_writer *w, const char *key, bool value)
{
    uint8_t byte = value;
    begin_key(w, key, LINN_GGUF_BOOL);
    append(w, &w->key_bytes, &byte, sizeof byte);
    return w->error.code;
}

int linn_gguf_put_string(linn_gguf_writer *w, const char *key, const char *value, size_t length)
{
    begin_key(w, key, LINN_GGUF_STRING);
    append_string(w, &w->key_bytes, value, length);
    return w->error.code;
}

int linn_gguf_put_strings(linn_gguf_writer *w, const char *key, const linn_string *values, size_t n)
{
    begin_key(w, key, LINN_GGUF_ARRAY);
    append_u32(w, &w->key_bytes, LINN_GGUF_STRING);
    append_u64(w, &w->key_bytes, n);
    for (size_t i = 0; i < n && !w->error.code; i++)
        append_string(w, &w->key_bytes, values[i].data, values[i].length);
    return w->error.code;
}

int linn_gguf_put_array(linn_gguf_writer *w, const char *key, linn_gguf_kind kind, const void *data,
                        size_t n)
{
    size_t bytes = 0, size = kind <= LINN_GGUF_F64 ? linn_gguf_kind_size(kind) : 0;
    if (!w->error.code && (size == 0 || linn_mul_overflows(n, size, &bytes)))
        FAIL(w, LINN_EINVAL, "%s: key '%.100s': %zu elements of kind %d are no array of scalars",
             w->path, key, n, (int)kind);
    for (size_t i = 0; kind == LINN_GGUF_BOOL && i < n && !w->error.code; i++)
        if (((const uint8_t *)data)[i] > 1)
            FAIL(w, LINN_EINVAL, "%s: key '%.100s': element %zu is no bool", w->path, key, i);
    begin_key(w, key, LINN_GGUF_ARRAY);
    append_u32(w, &w->key_bytes, (uint32_t)kind);
    append_u64(w, &w->key_bytes, n);
    append(w, &w->key_bytes, data, bytes);
    return w->error.code;
}

int linn_gguf_put_copy(linn_gguf_writer *w, const linn_file *f, size_t i)
{
    if (i >= f->n_keys)
        return w->error.code ? w->error.code
                             : FAIL(w, LINN_EINVAL, "%s: has no key %zu", f->path, i);
    const linn_gguf_key *k = &f->keys[i];
    /* The alignment of the copy is this writer's, and the default needs no key. */
    if (strcmp(k->name_z, "general.alignment") == 0)
        return w->error.code;
    begin_entry(w, KEYS, &w->keys, &w->key_bytes, "key", k->name_z);
    append(w, &w->key_bytes, k->raw, k->raw_size);
    return w->error.code;
}

/* ---- tensors ---------------------------------------------------------------------------- */

static uint64_t padding(uint64_t size)
{
    return -size % LINN_GGUF_ALIGNMENT;
}

/* Bytes of data; 0 after an error. */
static uint64_t measure(linn_gguf_writer *w, const char *name, uint32_t type, int n_dims,
                        const uint64_t *shape)
{
    const linn_type_info *info = linn_type_find(type);
    if (w->error.code)
        return 0;
    if (!info) {
        FAIL(w, LINN_EINVAL, "%s: tensor '%.100s': linn does not know type %" PRIu32 " (%s)",
             w->path, name, type, linn_type_name(type));
        return 0;
    }
    uint64_t values = 1, bytes = 0;
    bool good = n_dims >= 1 && n_dims <= 4 && shape[0] % info->block == 0;
    for (int i = 0; i < n_dims && good; i++)
        good = shape[i] > 0 && !__builtin_mul_overflow(values, shape[i], &values);
    if (!good || __builtin_mul_overflow(values / info->block, info->bytes, &bytes) ||
        bytes > INT64_MAX - LINN_GGUF_ALIGNMENT - w->data_size) {
        FAIL(w, LINN_EINVAL,
             "%s: tensor '%.100s': expected 1 to 4 dimensions, none 0, rows of a multiple of "
             "%" PRIu32 " elements, and less than 2^63 bytes",
             w->path, name, info->block);
        return 0;
    }
    return bytes;
}

int linn_gguf_put_tensor(linn_gguf_writer *w, const char *name, uint32_t type, int n_dims,
                         const uint64_t *shape)
{
    uint64_t size = measure(w, name, type, n_dims, shape);
    begin_entry(w, TENSORS, &w->tensors, &w->tensor_bytes, "tensor", name);
    append_u32(w, &w->tensor_bytes, (uint32_t)n_dims);
    for (int i = 0; i < n_dims && !w->error.code; i++)
        append_u64(w, &w->tensor_bytes, shape[i]);
    append_u32(w, &w->tensor_bytes, type);
    append_u64(w, &w->tensor_bytes, w->data_size);
    append_u64(w, &w->sizes, size);
    w->data_size += size + padding(size);
    return w->error.code;
}

/* ---- the file --------------------------------------------------------------------------- */

static bool write_bytes(linn_gguf_writer *w, const void *data, size_t size)
{
    if (w->error.code)
        return false;
    errno = 0;
    if (size > 0 && fwrite(data, 1, size, w->output.stream) != size)
        FAIL(w, LINN_EIO, "%s: cannot write: %s", w->path, strerror(errno ? errno : EIO));
    return w->error.code == LINN_OK;
}

static void write_padding(linn_gguf_writer *w, uint64_t size)
{
    static const uint8_t zeros[LINN_GGUF_ALIGNMENT];
    write_bytes(w, zeros, (size_t)padding(size));
}

int linn_gguf_begin_data(linn_gguf_writer *w)
{
    static const char magic[4] = {'G', 'G', 'U', 'F'};
    const uint32_t version = 3;
    if (w->error.code)
        return w->error.code;
    if (w->stage >= DATA)
        return FAIL(w, LINN_EINVAL, "%s: the data has begun already", w->path);
    w->stage = DATA;
    write_bytes(w, magic, sizeof magic);
    write_bytes(w, &version, sizeof version);
    write_bytes(w, &w->tensors.n, sizeof w->tensors.n);
    write_bytes(w, &w->keys.n, sizeof w->keys.n);
    write_bytes(w, w->key_bytes.data, w->key_bytes.size);
    write_bytes(w, w->tensor_bytes.data, w->tensor_bytes.size);
    if (w->tensors.n > 0)
        write_padding(w, 24 + w->key_bytes.size + w->tensor_bytes.size);
    return w->error.code;
}

int linn_gguf_write_data(linn_gguf_writer *w, const void *data, size_t size)
{
    const uint8_t *p = data;
    if (!w->error.code && w->stage != DATA)
        FAIL(w, LINN_EINVAL, "%s: data before linn_gguf_begin_data", w->path);
    while (size > 0 && !w->error.code) {
        if (w->current == w->tensors.n)
            return FAIL(w, LINN_EINVAL, "%s: %zu bytes of data more than the tensors have", w->path,
                        size);
        uint64_t whole, left;
        memcpy(&whole, w->sizes.data + w->current * sizeof whole, sizeof whole);
        left = whole - w->written;
        size_t n = size < left ? size : (size_t)left;
        write_bytes(w, p, n);
        p += n;
        size -= n;
        w->written += n;
        if (w->written == whole) {
            write_padding(w, whole);
            w->current++;
            w->written = 0;
        }
    }
    return w->error.code;
}

int linn_gguf_writer_create(linn_gguf_writer **out, const char *path, linn_error *err)
{
    *out = NULL;
    linn_gguf_writer *w = calloc(1, sizeof *w);
    if (!w)
        return linn_fail(err, LINN_ENOMEM, "%s: out of memory", path);
    w->path = strdup(path);
    int rc = w->path ? linn_output_open(&w->output, path, err)
                     : linn_fail(err, LINN_ENOMEM, "%s: out of memory", path);
    if (rc) {
        linn_gguf_writer_free(w);
        return rc;
    }
    *out = w;
    return LINN_OK;
}

int linn_gguf_writer_finish(linn_gguf_writer *w, linn_error *err)
{
    if (!w->error.code && (w->stage != DATA || w->current < w->tensors.n))
        FAIL(w, LINN_EINVAL,
             "%s: finished before all data was written (tensor %" PRIu64 " of %" PRIu64 ")",
             w->path, w->current, w->tensors.n);
    if (!w->error.code)
        linn_output_commit(&w->output, &w->error);
    w->stage = DONE;
    int rc = w->error.code;
    if (rc) {
        if (err)
            *err = w->error;
    } else { /* it is done once */
        FAIL(w, LINN_EINVAL, "%s: is finished", w->path);
    }
    return rc;
}

void linn_gguf_writer_free(linn_gguf_writer *w)
{
    if (!w)
        return;
    linn_output_discard(&w->output);
    free(w->keys.text.data);
    free(w->tensors.text.data);
    free(w->key_bytes.data);
    free(w->tensor_bytes.data);
    free(w->sizes.data);
    free(w->path);
    free(w);
}
