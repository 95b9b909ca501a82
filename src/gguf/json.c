/* json.c - the value of a key as JSON, for people and other programs (linn_file_value).
 *
 * Numbers print with the fewest digits that read back as the same value; what JSON has no
 * number for becomes the string "NaN", "Infinity" or "-Infinity". Bytes that are not UTF-8
 * become U+FFFD. Control characters are escaped, so that a value is safe on a terminal.
 */
#include "gguf/internal.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* As snprintf: counts all, keeps what fits. */
typedef struct sink {
    char *out;
    size_t capacity, length;
} sink;

static void put(sink *s, const char *bytes, size_t n)
{
    if (s->length < s->capacity) {
        size_t room = s->capacity - s->length;
        memcpy(s->out + s->length, bytes, n < room ? n : room);
    }
    s->length += n;
}

static void put_text(sink *s, const char *text)
{
    put(s, text, strlen(text));
}

static void put_string(sink *s, linn_string text)
{
    put_text(s, "\"");
    for (size_t i = 0; i < text.length;) {
        uint32_t c;
        char escape[8];
        size_t n = linn_utf8_decode(text.data + i, text.length - i, &c);
        if (n == 0)
            put_text(s, "\\ufffd");
        else if (c == '"' || c == '\\')
            put(s, (const char[]){'\\', (char)c}, 2);
        else if (c == '\n')
            put_text(s, "\\n");
        else if (c < 0x20 || (c >= 0x7f && c < 0xa0)) {
            snprintf(escape, sizeof escape, "\\u%04" PRIx32, c);
            put_text(s, escape);
        } else
            put(s, text.data + i, n);
        i += n ? n : 1;
    }
    put_text(s, "\"");
}

/* The program's locale may write a decimal comma; JSON has a point. */
static void to_point(char *number)
{
    const char *mark = localeconv()->decimal_point;
    char *at = strcmp(mark, ".") == 0 ? NULL : strstr(number, mark);
    if (at) {
        size_t n = strlen(mark);
        *at = '.';
        memmove(at + 1, at + n, strlen(at + n) + 1);
    }
}

static void put_real(sink *s, double value, bool is_float)
{
    char number[40];
    if (!isfinite(value)) {
        put_text(s, isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    for (int digits = is_float ? 6 : 15; digits <= 17; digits++) {
        snprintf(number, sizeof number, "%.*g", digits, value);
        double back = is_float ? (double)strtof(number, NULL) : strtod(number, NULL);
        if (back == value)
            break;
    }
    to_point(number);
    put_text(s, number);
}

static void put_scalar(sink *s, linn_gguf_kind kind, const uint8_t *p)
{
    union {
        uint8_t u8;
        int8_t i8;
        uint16_t u16;
        int16_t i16;
        uint32_t u32;
        int32_t i32;
        uint64_t u64;
        int64_t i64;
        float f32;
        double f64;
    } v = {.u64 = 0};
    memcpy(&v, p, linn_gguf_kind_size(kind));
    char number[24] = "";
    switch (kind) {
    case LINN_GGUF_U8:
        snprintf(number, sizeof number, "%" PRIu8, v.u8);
        break;
    case LINN_GGUF_I8:
        snprintf(number, sizeof number, "%" PRId8, v.i8);
        break;
    case LINN_GGUF_U16:
        snprintf(number, sizeof number, "%" PRIu16, v.u16);
        break;
    case LINN_GGUF_I16:
        snprintf(number, sizeof number, "%" PRId16, v.i16);
        break;
    case LINN_GGUF_U32:
        snprintf(number, sizeof number, "%" PRIu32, v.u32);
        break;
    case LINN_GGUF_I32:
        snprintf(number, sizeof number, "%" PRId32, v.i32);
        break;
    case LINN_GGUF_U64:
        snprintf(number, sizeof number, "%" PRIu64, v.u64);
        break;
    case LINN_GGUF_I64:
        snprintf(number, sizeof number, "%" PRId64, v.i64);
        break;
    case LINN_GGUF_BOOL:
        snprintf(number, sizeof number, "%s", v.u8 ? "true" : "false");
        break;
    case LINN_GGUF_F32:
        put_real(s, (double)v.f32, true);
        return;
    case LINN_GGUF_F64:
        put_real(s, v.f64, false);
        return;
    case LINN_GGUF_STRING:
    case LINN_GGUF_ARRAY:
        break; /* not scalars */
    }
    put_text(s, number);
}

/* The next element of `a`, stepping over it. */
static void put_element(sink *s, linn_gguf_array *a)
{
    linn_string text;
    if (a->kind == LINN_GGUF_STRING) {
        if (linn_gguf_next_string(a, &text))
            put_string(s, text);
        return;
    }
    put_scalar(s, a->kind, a->data);
    a->data += linn_gguf_kind_size(a->kind);
    a->n--;
}

static void put_array(sink *s, linn_gguf_array a, size_t max_items)
{
    put_text(s, "[");
    for (size_t i = 0; a.n > 0 && i < max_items; i++) {
        if (i)
            put_text(s, ", ");
        put_element(s, &a);
    }
    if (a.n > 0) {
        char rest[48];
        snprintf(rest, sizeof rest, "%s\"... %" PRIu64 " more\"", max_items ? ", " : "", a.n);
        put_text(s, rest);
    }
    put_text(s, "]");
}

size_t linn_file_value(const linn_file *f, size_t i, size_t max_items, char *out, size_t capacity)
{
    sink s = {.out = out, .capacity = capacity};
    if (i < f->n_keys) {
        const linn_gguf_key *k = &f->keys[i];
        linn_gguf_array a = {.kind = k->kind, .n = k->n, .data = k->elements};
        if (k->is_array)
            put_array(&s, a, max_items);
        else
            put_element(&s, &a);
    }
    if (capacity > 0)
        out[s.length < capacity ? s.length : capacity - 1] = 0;
    return s.length;
}
