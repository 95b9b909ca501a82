/* value.c - the values of keys as C types; see gguf.h. */
#include "gguf/internal.h"
#include "base/error.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static const struct {
    uint8_t size; /* bytes; 0: not a scalar */
    const char *name;
} kinds[LINN_GGUF_N_KINDS] = {
    [LINN_GGUF_U8] = {1, "uint8"},      [LINN_GGUF_I8] = {1, "int8"},
    [LINN_GGUF_U16] = {2, "uint16"},    [LINN_GGUF_I16] = {2, "int16"},
    [LINN_GGUF_U32] = {4, "uint32"},    [LINN_GGUF_I32] = {4, "int32"},
    [LINN_GGUF_F32] = {4, "float32"},   [LINN_GGUF_BOOL] = {1, "bool"},
    [LINN_GGUF_STRING] = {0, "string"}, [LINN_GGUF_ARRAY] = {0, "array"},
    [LINN_GGUF_U64] = {8, "uint64"},    [LINN_GGUF_I64] = {8, "int64"},
    [LINN_GGUF_F64] = {8, "float64"},
};

size_t linn_gguf_kind_size(linn_gguf_kind kind)
{
    return kinds[kind].size;
}

const char *linn_gguf_kind_name(linn_gguf_kind kind)
{
    return kinds[kind].name;
}

bool linn_file_has(const linn_file *f, const char *key)
{
    return linn_file_find_key(f, key) != NULL;
}

bool linn_gguf_next_string(linn_gguf_array *a, linn_string *out)
{
    if (a->n == 0)
        return false;
    uint64_t length; /* was checked when the file was opened */
    memcpy(&length, a->data, sizeof length);
    *out = (linn_string){(const char *)a->data + sizeof length, (size_t)length};
    a->data += sizeof length + (size_t)length;
    a->n--;
    return true;
}

/* ---- scalars ---------------------------------------------------------------------------- */

static int wrong_kind(const linn_file *f, const linn_gguf_key *k, const char *expected,
                      linn_error *err)
{
    return linn_fail(err, LINN_EFORMAT, "%s: key '%.100s': is %s%s, expected %s", f->path,
                     k->name_z, k->is_array ? "an array of type " : "of type ",
                     linn_gguf_kind_name(k->kind), expected);
}

#define LOAD(type, p)                      \
    ({                                     \
        type load_;                        \
        memcpy(&load_, (p), sizeof load_); \
        load_;                             \
    })

static int convert_u32(const linn_file *f, const linn_gguf_key *k, uint32_t *out, linn_error *err)
{
    static const char expected[] = "a whole number from 0 to 4294967295";
    const uint8_t *p = k->elements;
    uint64_t value = 0;
    int64_t negative = 0; /* or 0 */
    if (k->is_array)
        return wrong_kind(f, k, expected, err);
    switch (k->kind) {
    case LINN_GGUF_U8:
        value = *p;
        break;
    case LINN_GGUF_U16:
        value = LOAD(uint16_t, p);
        break;
    case LINN_GGUF_U32:
        value = LOAD(uint32_t, p);
        break;
    case LINN_GGUF_U64:
        value = LOAD(uint64_t, p);
        break;
    case LINN_GGUF_I8:
        negative = LOAD(int8_t, p);
        break;
    case LINN_GGUF_I16:
        negative = LOAD(int16_t, p);
        break;
    case LINN_GGUF_I32:
        negative = LOAD(int32_t, p);
        break;
    case LINN_GGUF_I64:
        negative = LOAD(int64_t, p);
        break;
    default:
        return wrong_kind(f, k, expected, err);
    }
    if (negative < 0)
        return linn_fail(err, LINN_EFORMAT, "%s: key '%.100s': is %" PRId64 ", expected %s",
                         f->path, k->name_z, negative, expected);
    value |= (uint64_t)negative; /* one of them is 0 */
    if (value > UINT32_MAX)
        return linn_fail(err, LINN_EFORMAT, "%s: key '%.100s': is %" PRIu64 ", expected %s",
                         f->path, k->name_z, value, expected);
    *out = (uint32_t)value;
    return LINN_OK;
}

static int convert_f32(const linn_file *f, const linn_gguf_key *k, float *out, linn_error *err)
{
    static const char expected[] = "a finite float32";
    double value;
    if (k->is_array)
        return wrong_kind(f, k, expected, err);
    if (k->kind == LINN_GGUF_F32)
        value = (double)LOAD(float, k->elements);
    else if (k->kind == LINN_GGUF_F64)
        value = LOAD(double, k->elements);
    else
        return wrong_kind(f, k, expected, err);
    if (!isfinite(value) || !isfinite((float)value))
        return linn_fail(err, LINN_EFORMAT, "%s: key '%.100s': is %g, expected %s", f->path,
                         k->name_z, value, expected);
    *out = (float)value;
    return LINN_OK;
}

static int convert_bool(const linn_file *f, const linn_gguf_key *k, bool *out, linn_error *err)
{
    if (k->is_array || k->kind != LINN_GGUF_BOOL)
        return wrong_kind(f, k, "a bool", err);
    *out = *k->elements != 0;
    return LINN_OK;
}

static int convert_string(const linn_file *f, const linn_gguf_key *k, linn_string *out,
                          linn_error *err)
{
    if (k->is_array || k->kind != LINN_GGUF_STRING)
        return wrong_kind(f, k, "a string", err);
    linn_gguf_array one = {.kind = LINN_GGUF_STRING, .n = 1, .data = k->elements};
    linn_gguf_next_string(&one, out);
    return LINN_OK;
}

static int missing(const linn_file *f, const char *key, linn_error *err)
{
    return linn_fail(err, LINN_EFORMAT, "%s: key '%s' is missing", f->path, key);
}

#define GETTERS(name, type)                                                                     \
    int linn_file_maybe_##name(const linn_file *f, const char *key, type *out, linn_error *err) \
    {                                                                                           \
        const linn_gguf_key *k = linn_file_find_key(f, key);                                    \
        return k ? convert_##name(f, k, out, err) : LINN_OK;                                    \
    }                                                                                           \
    int linn_file_get_##name(const linn_file *f, const char *key, type *out, linn_error *err)   \
    {                                                                                           \
        const linn_gguf_key *k = linn_file_find_key(f, key);                                    \
        return k ? convert_##name(f, k, out, err) : missing(f, key, err);                       \
    }

GETTERS(u32, uint32_t)
GETTERS(f32, float)
GETTERS(bool, bool)
GETTERS(string, linn_string)

int linn_file_get_array(const linn_file *f, const char *key, linn_gguf_kind kind,
                        linn_gguf_array *out, linn_error *err)
{
    const linn_gguf_key *k = linn_file_find_key(f, key);
    if (!k)
        return missing(f, key, err);
    if (!k->is_array || k->kind != kind) {
        char expected[64];
        snprintf(expected, sizeof expected, "an array of type %s", linn_gguf_kind_name(kind));
        return wrong_kind(f, k, expected, err);
    }
    *out = (linn_gguf_array){.kind = kind, .n = k->n, .data = k->elements};
    return LINN_OK;
}
