/* file.c - opens a GGUF file and checks all of its header; see gguf.h.
 *
 * One walk over the header checks every value and notes where it is; arrays are
 * walked but not copied. Memory grows with what was really found, never with a
 * count that the file claims. Then come the checks that need the whole table:
 * names occur once, tensors lie aligned inside the file and do not overlap.
 *
 * Layout: "GGUF", version (u32), number of tensors and of keys (u64), the keys, the
 * tensor table, padding to the alignment, and the data that the table points into.
 */
#include "gguf/cursor.h"
#include "gguf/internal.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "quant/quant.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* The fewest bytes that one can take: a name of one byte, and a value of one byte ... */
    MIN_KEY_BYTES = 8 + 1 + 4 + 1,
    /* ... or one dimension. */
    MIN_TENSOR_BYTES = 8 + 1 + 4 + 8 + 4 + 8,
    CLIP = 100, /* bytes of a name in a message */
};

/* ---- small things ----------------------------------------------------------------------- */

/* Makes room for one more item behind n; the capacity is the power of two at or above n. */
static void *grow(void *items, size_t n, size_t item_size)
{
    if (n & (n - 1)) /* 0 and powers of two are full */
        return items;
    size_t capacity = n ? 2 * n : 1, bytes;
    return linn_mul_overflows(capacity, item_size, &bytes) ? NULL : realloc(items, bytes);
}

bool linn_gguf_is_name(linn_string text)
{
    for (size_t i = 0; i < text.length;) {
        uint32_t c;
        size_t n = linn_utf8_decode(text.data + i, text.length - i, &c);
        if (n == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0))
            return false;
        i += n;
    }
    return true;
}

static linn_string read_name(linn_cursor *c)
{
    size_t at = c->at;
    linn_string name = linn_cursor_string(c, "the name");
    if (c->code)
        return name;
    if (name.length == 0 || name.length > LINN_GGUF_MAX_NAME)
        linn_cursor_fail(c, LINN_EFORMAT, at, "the name has %zu bytes, expected 1 to %d",
                         name.length, LINN_GGUF_MAX_NAME);
    else if (!linn_gguf_is_name(name))
        linn_cursor_fail(c, LINN_EFORMAT, at,
                         "the name is not UTF-8 text without control characters");
    else
        c->name = name;
    return name;
}

/* Is it plausible that `n` things of at least `min_bytes` each follow? */
static void check_count(linn_cursor *c, uint64_t n, size_t min_bytes, size_t at, const char *things)
{
    if (!c->code && n > linn_cursor_left(c) / min_bytes)
        linn_cursor_fail(c, LINN_EFORMAT, at,
                         "the file claims %" PRIu64 " %s, more than its %zu bytes can hold", n,
                         things, c->size);
}

/* ---- keys ------------------------------------------------------------------------------- */

static void read_elements(linn_cursor *c, linn_gguf_kind kind, uint64_t n)
{
    size_t at = c->at;
    if (kind == LINN_GGUF_STRING) {
        check_count(c, n, sizeof(uint64_t), at, "strings");
        for (uint64_t i = 0; i < n && !c->code; i++)
            linn_cursor_string(c, "a string");
        return;
    }
    size_t size = linn_gguf_kind_size(kind);
    check_count(c, n, size, at, "values");
    const uint8_t *p = linn_cursor_take(c, n * size, "the value");
    if (p && kind == LINN_GGUF_BOOL)
        for (uint64_t i = 0; i < n && !c->code; i++)
            if (p[i] > 1)
                linn_cursor_fail(c, LINN_EFORMAT, at + i, "a bool is %d, expected 0 or 1", p[i]);
}

static linn_gguf_kind read_kind(linn_cursor *c, const char *part)
{
    size_t at = c->at;
    uint32_t kind = linn_cursor_u32(c, part);
    if (kind >= LINN_GGUF_N_KINDS)
        linn_cursor_fail(c, LINN_EFORMAT, at, "%s is %" PRIu32 ", expected 0 to %d", part, kind,
                         LINN_GGUF_N_KINDS - 1);
    return c->code ? LINN_GGUF_U8 : (linn_gguf_kind)kind;
}

static void read_key(linn_cursor *c, linn_gguf_key *k)
{
    *k = (linn_gguf_key){.n = 1};
    k->name = read_name(c);
    size_t start = c->at;
    k->kind = read_kind(c, "the value's type");
    if (k->kind == LINN_GGUF_ARRAY) {
        size_t at = c->at;
        k->is_array = true;
        k->kind = read_kind(c, "the type of the array's elements");
        if (k->kind == LINN_GGUF_ARRAY)
            linn_cursor_fail(c, LINN_EUNSUPPORTED, at,
                             "the value is an array of arrays, which linn does not read");
        k->n = linn_cursor_u64(c, "the array's length");
    }
    if (c->code)
        return;
    k->elements = c->data + c->at;
    read_elements(c, k->kind, k->n);
    k->raw = c->data + start;
    k->raw_size = c->at - start;
}

static int read_keys(linn_cursor *c, linn_file *f, uint64_t n)
{
    c->what = "key";
    for (; f->n_keys < n && !c->code; f->n_keys++) {
        linn_gguf_key *keys = grow(f->keys, f->n_keys, sizeof *keys);
        if (!keys)
            return linn_cursor_fail(c, LINN_ENOMEM, c->at, "out of memory");
        f->keys = keys;
        c->index = f->n_keys;
        c->name = (linn_string){0};
        read_key(c, &keys[f->n_keys]);
    }
    return c->code;
}

static int compare_keys(const void *a, const void *b)
{
    const linn_gguf_key *x = *(const linn_gguf_key *const *)a;
    const linn_gguf_key *y = *(const linn_gguf_key *const *)b;
    return strcmp(x->name_z, y->name_z);
}

/* Copies a name with a zero behind it; returns where the next one goes. */
static char *terminate(char *at, linn_string name, const char **name_z)
{
    memcpy(at, name.data, name.length);
    at[name.length] = 0;
    *name_z = at;
    return at + name.length + 1;
}

static int index_keys(linn_file *f, linn_error *err)
{
    size_t bytes = 0; /* cannot overflow: the names are parts of a file, longer than they by far */
    for (size_t i = 0; i < f->n_keys; i++)
        bytes += f->keys[i].name.length + 1;
    f->key_names = malloc(bytes + 1);
    f->keys_by_name = calloc(f->n_keys + 1, sizeof(linn_gguf_key *));
    if (!f->key_names || !f->keys_by_name)
        return linn_fail(err, LINN_ENOMEM, "%s: out of memory for %zu keys", f->path, f->n_keys);
    char *at = f->key_names;
    for (size_t i = 0; i < f->n_keys; i++) {
        at = terminate(at, f->keys[i].name, &f->keys[i].name_z);
        f->keys_by_name[i] = &f->keys[i];
    }
    qsort(f->keys_by_name, f->n_keys, sizeof(linn_gguf_key *), compare_keys);
    for (size_t i = 1; i < f->n_keys; i++)
        if (strcmp(f->keys_by_name[i - 1]->name_z, f->keys_by_name[i]->name_z) == 0)
            return linn_fail(err, LINN_EFORMAT, "%s: key '%.*s' occurs twice", f->path, CLIP,
                             f->keys_by_name[i]->name_z);
    return LINN_OK;
}

/* ---- tensors ---------------------------------------------------------------------------- */

/* Bytes of the data, from type and shape. A type that linn has no code for leaves 0. */
static void measure(linn_cursor *c, linn_tensor *t, size_t at_shape, size_t at_type)
{
    uint64_t values = 1, bytes;
    for (int i = 0; i < t->n_dims && !c->code; i++) {
        if (t->shape[i] == 0)
            linn_cursor_fail(c, LINN_EFORMAT, at_shape, "dimension %d is 0, expected at least 1",
                             i);
        else if (__builtin_mul_overflow(values, t->shape[i], &values))
            linn_cursor_fail(c, LINN_EFORMAT, at_shape, "the shape has more than 2^64 elements");
    }
    const linn_type_info *info = linn_type_find(t->type);
    if (c->code)
        return;
    if (!info) {
        /* Fine to look at; loading a model from it is not. */
        if (strcmp(linn_type_name(t->type), "unknown") == 0)
            linn_cursor_fail(c, LINN_EUNSUPPORTED, at_type,
                             "the type is %" PRIu32 ", a number that linn does not know", t->type);
        return;
    }
    if (t->shape[0] % info->block)
        linn_cursor_fail(c, LINN_EFORMAT, at_shape,
                         "rows have %" PRIu64 " elements, expected a multiple of %" PRIu32
                         " for type %s",
                         t->shape[0], info->block, info->name);
    else if (__builtin_mul_overflow(values / info->block, info->bytes, &bytes) || bytes > SIZE_MAX)
        linn_cursor_fail(c, LINN_EFORMAT, at_shape, "the data has more than 2^64 bytes");
    else
        t->size = (size_t)bytes;
}

static void read_tensor(linn_cursor *c, linn_tensor *t)
{
    *t = (linn_tensor){.shape = {1, 1, 1, 1}};
    t->name = read_name(c);
    size_t at = c->at;
    uint32_t n_dims = linn_cursor_u32(c, "the number of dimensions");
    if (!c->code && (n_dims < 1 || n_dims > 4))
        linn_cursor_fail(c, LINN_EFORMAT, at, "there are %" PRIu32 " dimensions, expected 1 to 4",
                         n_dims);
    if (c->code)
        return;
    t->n_dims = (int)n_dims;
    size_t at_shape = c->at;
    for (int i = 0; i < t->n_dims; i++)
        t->shape[i] = linn_cursor_u64(c, "the shape");
    size_t at_type = c->at;
    t->type = linn_cursor_u32(c, "the type");
    t->offset = linn_cursor_u64(c, "the offset"); /* from the start of the data, until placed */
    measure(c, t, at_shape, at_type);
}

static int read_tensors(linn_cursor *c, linn_file *f, uint64_t n)
{
    c->what = "tensor";
    for (; f->n_tensors < n && !c->code; f->n_tensors++) {
        linn_tensor *tensors = grow(f->tensors, f->n_tensors, sizeof *tensors);
        if (!tensors)
            return linn_cursor_fail(c, LINN_ENOMEM, c->at, "out of memory");
        f->tensors = tensors;
        c->index = f->n_tensors;
        c->name = (linn_string){0};
        read_tensor(c, &tensors[f->n_tensors]);
    }
    return c->code;
}

/* Checks one tensor against the file, and makes its offset count from the file's start. */
static int place_tensor(const linn_file *f, linn_tensor *t, size_t data_start, uint32_t alignment,
                        linn_error *err)
{
    int clip = t->name.length < CLIP ? (int)t->name.length : CLIP;
    if (t->offset % alignment)
        return linn_fail(err, LINN_EFORMAT,
                         "%s: tensor '%.*s': offset %" PRIu64
                         " is not a multiple of the alignment %" PRIu32,
                         f->path, clip, t->name.data, t->offset, alignment);
    size_t at, end;
    if (__builtin_add_overflow(data_start, t->offset, &at) ||
        linn_add_overflows(at, t->size, &end) || end > f->size)
        return linn_fail(err, LINN_EFORMAT,
                         "%s: tensor '%.*s': offset %" PRIu64 " and %zu bytes of data from byte %zu"
                         " on end beyond the file, which has %zu bytes (is it complete?)",
                         f->path, clip, t->name.data, t->offset, t->size, data_start, f->size);
    t->offset = at;
    t->data = t->size ? f->data + at : NULL;
    return LINN_OK;
}

static int read_alignment(const linn_file *f, uint32_t *alignment, linn_error *err)
{
    *alignment = LINN_GGUF_ALIGNMENT;
    int rc = linn_file_maybe_u32(f, "general.alignment", alignment, err);
    if (rc)
        return rc;
    if (*alignment < LINN_GGUF_MIN_ALIGNMENT || (*alignment & (*alignment - 1)))
        return linn_fail(err, LINN_EFORMAT,
                         "%s: key 'general.alignment': is %" PRIu32
                         ", expected a power of two from %d on",
                         f->path, *alignment, LINN_GGUF_MIN_ALIGNMENT);
    return LINN_OK;
}

static int place_tensors(linn_file *f, size_t header_end, linn_error *err)
{
    uint32_t alignment;
    int rc = read_alignment(f, &alignment, err);
    if (rc || f->n_tensors == 0)
        return rc;
    size_t data_start;
    if (linn_add_overflows(header_end, alignment - 1, &data_start))
        return linn_fail(err, LINN_EFORMAT, "%s: no room for data", f->path);
    data_start &= ~(size_t)(alignment - 1);
    for (size_t i = 0; i < f->n_tensors && !rc; i++)
        rc = place_tensor(f, &f->tensors[i], data_start, alignment, err);
    return rc;
}

static int compare_offsets(const void *a, const void *b)
{
    const linn_tensor *x = *(const linn_tensor *const *)a;
    const linn_tensor *y = *(const linn_tensor *const *)b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int compare_tensors(const void *a, const void *b)
{
    const linn_tensor *x = *(const linn_tensor *const *)a;
    const linn_tensor *y = *(const linn_tensor *const *)b;
    return strcmp(x->name_z, y->name_z);
}

static int check_overlaps(const linn_file *f, linn_error *err)
{
    for (size_t i = 1; i < f->n_tensors; i++) {
        const linn_tensor *a = f->tensors_by_name[i - 1], *b = f->tensors_by_name[i];
        /* Whatever the type, there is at least one byte of data. */
        if (a->offset + (a->size ? a->size : 1) > b->offset)
            return linn_fail(err, LINN_EFORMAT,
                             "%s: tensors '%.*s' and '%.*s' overlap at byte %" PRIu64, f->path,
                             CLIP, a->name_z, CLIP, b->name_z, b->offset);
    }
    return LINN_OK;
}

static int index_tensors(linn_file *f, linn_error *err)
{
    size_t bytes = 0;
    for (size_t i = 0; i < f->n_tensors; i++)
        bytes += f->tensors[i].name.length + 1;
    f->tensor_names = malloc(bytes + 1);
    f->tensors_by_name = calloc(f->n_tensors + 1, sizeof(linn_tensor *));
    if (!f->tensor_names || !f->tensors_by_name)
        return linn_fail(err, LINN_ENOMEM, "%s: out of memory for %zu tensors", f->path,
                         f->n_tensors);
    char *at = f->tensor_names;
    for (size_t i = 0; i < f->n_tensors; i++) {
        at = terminate(at, f->tensors[i].name, &f->tensors[i].name_z);
        f->tensors_by_name[i] = &f->tensors[i];
    }
    qsort(f->tensors_by_name, f->n_tensors, sizeof(linn_tensor *), compare_offsets);
    int rc = check_overlaps(f, err);
    if (rc)
        return rc;
    qsort(f->tensors_by_name, f->n_tensors, sizeof(linn_tensor *), compare_tensors);
    for (size_t i = 1; i < f->n_tensors; i++)
        if (strcmp(f->tensors_by_name[i - 1]->name_z, f->tensors_by_name[i]->name_z) == 0)
            return linn_fail(err, LINN_EFORMAT, "%s: tensor '%.*s' occurs twice", f->path, CLIP,
                             f->tensors_by_name[i]->name_z);
    return LINN_OK;
}

/* ---- the whole file --------------------------------------------------------------------- */

static int read_version(linn_cursor *c, linn_file *f)
{
    const uint8_t *magic = linn_cursor_take(c, 4, "the word GGUF");
    if (magic && memcmp(magic, "GGUF", 4) != 0)
        linn_cursor_fail(c, LINN_EFORMAT, 0, "not a GGUF file: it does not begin with GGUF");
    f->version = linn_cursor_u32(c, "the version");
    if (f->version == __builtin_bswap32(2) || f->version == __builtin_bswap32(3))
        linn_cursor_fail(c, LINN_EUNSUPPORTED, 4,
                         "a big-endian GGUF file, expected a little-endian one");
    else if (f->version != 2 && f->version != 3)
        linn_cursor_fail(c, LINN_EUNSUPPORTED, 4, "GGUF version %" PRIu32 ", expected 2 or 3",
                         f->version);
    return c->code;
}

static int parse(linn_file *f, linn_error *err)
{
    if (f->size == 0)
        return linn_fail(err, LINN_EFORMAT, "%s: is empty, expected a GGUF file", f->path);
    linn_cursor c = {.data = f->data, .size = f->size, .path = f->path, .err = err};
    int rc = read_version(&c, f);
    uint64_t n_tensors = linn_cursor_u64(&c, "the number of tensors");
    uint64_t n_keys = linn_cursor_u64(&c, "the number of keys");
    check_count(&c, n_tensors, MIN_TENSOR_BYTES, 8, "tensors");
    check_count(&c, n_keys, MIN_KEY_BYTES, 16, "keys");
    if (!rc)
        rc = c.code;
    if (!rc)
        rc = read_keys(&c, f, n_keys);
    if (!rc)
        rc = index_keys(f, err);
    if (!rc)
        rc = read_tensors(&c, f, n_tensors);
    if (!rc)
        rc = place_tensors(f, c.at, err);
    if (!rc)
        rc = index_tensors(f, err);
    return rc;
}

static int create(linn_file **out, const char *path, linn_error *err)
{
    *out = NULL;
    linn_file *f = calloc(1, sizeof *f);
    if (f && (f->path = strdup(path))) {
        *out = f;
        return LINN_OK;
    }
    free(f);
    return linn_fail(err, LINN_ENOMEM, "%s: out of memory", path);
}

/* Keeps the result of parsing, or drops the file. */
static int finish(linn_file **out, int rc)
{
    if (rc) {
        linn_file_close(*out);
        *out = NULL;
    }
    return rc;
}

int linn_file_parse(linn_file **out, const void *data, size_t size, const char *path,
                    linn_error *err)
{
    int rc = create(out, path, err);
    if (rc)
        return rc;
    (*out)->data = data;
    (*out)->size = size;
    return finish(out, parse(*out, err));
}

int linn_file_open(linn_file **out, const char *path, linn_error *err)
{
    int rc = create(out, path, err);
    if (rc)
        return rc;
    linn_file *f = *out;
    rc = linn_mapping_open(&f->mapping, path, err);
    if (rc)
        return finish(out, rc);
    f->data = f->mapping.data;
    f->size = f->mapping.size;
    return finish(out, parse(f, err));
}

void linn_file_close(linn_file *f)
{
    if (!f)
        return;
    linn_mapping_close(&f->mapping);
    free(f->keys);
    free(f->keys_by_name);
    free(f->key_names);
    free(f->tensors);
    free(f->tensors_by_name);
    free(f->tensor_names);
    free(f->path);
    free(f);
}

/* ---- what is in it ---------------------------------------------------------------------- */

const char *linn_file_path(const linn_file *f)
{
    return f->path;
}

int linn_file_version(const linn_file *f)
{
    return (int)f->version;
}

size_t linn_file_keys(const linn_file *f)
{
    return f->n_keys;
}

const char *linn_file_key(const linn_file *f, size_t i)
{
    return i < f->n_keys ? f->keys[i].name_z : "";
}

size_t linn_file_tensors(const linn_file *f)
{
    return f->n_tensors;
}

const linn_tensor *linn_file_tensor_at(const linn_file *f, size_t i)
{
    return i < f->n_tensors ? &f->tensors[i] : NULL;
}

int linn_file_tensor(const linn_file *f, size_t i, linn_tensor_info *out)
{
    *out = (linn_tensor_info){0};
    const linn_tensor *t = linn_file_tensor_at(f, i);
    if (!t)
        return LINN_EINVAL;
    *out = (linn_tensor_info){.name = t->name_z,
                              .type = linn_type_name(t->type),
                              .n_dims = t->n_dims,
                              .offset = t->offset,
                              .size = t->size};
    memcpy(out->shape, t->shape, sizeof out->shape);
    return LINN_OK;
}

const linn_gguf_key *linn_file_find_key(const linn_file *f, const char *name)
{
    const linn_gguf_key wanted = {.name_z = name}, *p = &wanted;
    const linn_gguf_key **found =
        bsearch(&p, f->keys_by_name, f->n_keys, sizeof(linn_gguf_key *), compare_keys);
    return found ? *found : NULL;
}

const linn_tensor *linn_file_find_tensor(const linn_file *f, const char *name)
{
    const linn_tensor wanted = {.name_z = name}, *p = &wanted;
    const linn_tensor **found =
        bsearch(&p, f->tensors_by_name, f->n_tensors, sizeof(linn_tensor *), compare_tensors);
    return found ? *found : NULL;
}
