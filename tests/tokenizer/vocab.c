/* vocab.c - see vocab.h. */
#include "test.h"
#include "vocab.h"

#include "base/utf8.h"

/* ---- images -------------------------------------------------------------------------------- */

typedef struct image {
    uint8_t *data;
    size_t size, capacity;
    bool failed;
} image;

static void put(image *m, const void *data, size_t size)
{
    if (m->size + size > m->capacity) {
        size_t capacity = 2 * (m->size + size) + 1024;
        uint8_t *larger = realloc(m->data, capacity);
        if (!larger) {
            m->failed = true;
            return;
        }
        m->data = larger;
        m->capacity = capacity;
    }
    memcpy(m->data + m->size, data, size);
    m->size += size;
}

static void put_u32(image *m, uint32_t value)
{
    put(m, &value, sizeof value);
}

static void put_u64(image *m, uint64_t value)
{
    put(m, &value, sizeof value);
}

static void put_text(image *m, const char *text, size_t length)
{
    put_u64(m, length);
    if (length > 0)
        put(m, text, length);
}

static void put_key(image *m, const char *key, uint32_t kind, uint64_t *n)
{
    put_text(m, key, strlen(key));
    put_u32(m, kind);
    ++*n;
}

static void put_string(image *m, const char *key, const char *value, uint64_t *n)
{
    if (!value)
        return;
    put_key(m, key, 8, n);
    put_text(m, value, strlen(value));
}

static void put_id(image *m, const char *key, int64_t value, uint64_t *n)
{
    if (value == VOCAB_ABSENT)
        return;
    put_key(m, key, 4, n);
    put_u32(m, (uint32_t)value);
}

static void put_flag(image *m, const char *key, int value, uint64_t *n)
{
    if (value == VOCAB_ABSENT)
        return;
    uint8_t byte = value != 0;
    put_key(m, key, 7, n);
    put(m, &byte, 1);
}

static void put_array(image *m, const char *key, uint32_t kind, const void *data, size_t count,
                      uint64_t *n)
{
    if (!data)
        return;
    put_key(m, key, 9, n);
    put_u32(m, kind);
    put_u64(m, count);
    const linn_string *strings = data;
    for (size_t i = 0; kind == 8 && i < count; i++)
        put_text(m, strings[i].data, strings[i].length);
    if (kind != 8)
        put(m, data, count * 4);
}

/* Numbers of GGUF's own: 4 u32, 5 i32, 6 f32, 7 bool, 8 string, 9 array. */
uint8_t *vocab_image(const vocab *v, size_t *size)
{
    image m = {0};
    uint64_t n = 0;
    put(&m, "GGUF\3\0\0\0", 8);
    put_u64(&m, 0);
    put_u64(&m, 0); /* the number of keys, known at the end */
    put_string(&m, "general.name", v->name, &n);
    put_string(&m, "tokenizer.ggml.model", v->model, &n);
    put_string(&m, "tokenizer.ggml.pre", v->pre, &n);
    put_string(&m, "tokenizer.chat_template", v->chat, &n);
    put_array(&m, "tokenizer.ggml.tokens", 8, v->tokens, v->n_tokens, &n);
    put_array(&m, "tokenizer.ggml.scores", 6, v->scores, v->n_scores, &n);
    put_array(&m, "tokenizer.ggml.token_type", 5, v->types, v->n_types, &n);
    put_array(&m, "tokenizer.ggml.merges", 8, v->merges, v->n_merges, &n);
    put_id(&m, "tokenizer.ggml.bos_token_id", v->bos, &n);
    put_id(&m, "tokenizer.ggml.eos_token_id", v->eos, &n);
    put_id(&m, "tokenizer.ggml.unknown_token_id", v->unknown, &n);
    put_id(&m, "tokenizer.ggml.eot_token_id", v->eot, &n);
    put_flag(&m, "tokenizer.ggml.add_bos_token", v->add_bos, &n);
    put_flag(&m, "tokenizer.ggml.add_eos_token", v->add_eos, &n);
    put_flag(&m, "tokenizer.ggml.add_space_prefix", v->add_space, &n);
    if (m.failed) {
        free(m.data);
        return NULL;
    }
    memcpy(m.data + 16, &n, sizeof n);
    *size = m.size;
    return m.data;
}

int vocab_open(const vocab *v, linn_tokenizer **out, linn_error *err)
{
    size_t size;
    linn_file *f = NULL;
    *out = NULL;
    uint8_t *bytes = vocab_image(v, &size);
    if (!bytes)
        return LINN_ENOMEM;
    int code = linn_file_parse(&f, bytes, size, "test.gguf", err);
    if (code == LINN_OK)
        code = linn_tokenizer_create(out, f, err);
    linn_file_close(f);
    free(bytes);
    return code;
}

linn_tokenizer *vocab_must_open(const vocab *v)
{
    linn_tokenizer *t;
    linn_error err = {0};
    if (vocab_open(v, &t, &err) != LINN_OK)
        fail_msg("%s", err.message);
    return t;
}

/* ---- descriptions ---------------------------------------------------------------------------- */

vocab vocab_none(void)
{
    return (vocab){.bos = VOCAB_ABSENT,
                   .eos = VOCAB_ABSENT,
                   .unknown = VOCAB_ABSENT,
                   .eot = VOCAB_ABSENT,
                   .add_bos = VOCAB_ABSENT,
                   .add_eos = VOCAB_ABSENT,
                   .add_space = VOCAB_ABSENT};
}

/* One that owns its arrays: room for this many tokens and merges. */
enum { ROOM = 1024 };

static vocab *make(const char *model)
{
    vocab *v = malloc(sizeof *v);
    assert_non_null(v);
    *v = vocab_none();
    v->model = model;
    v->tokens = calloc(ROOM, sizeof *v->tokens);
    v->scores = calloc(ROOM, sizeof *v->scores);
    v->types = calloc(ROOM, sizeof *v->types);
    v->merges = calloc(ROOM, sizeof *v->merges);
    assert_true(v->tokens && v->scores && v->types && v->merges);
    return v;
}

static linn_string keep(const char *text, size_t length)
{
    char *copy = malloc(length + 1);
    assert_non_null(copy);
    memcpy(copy, text, length);
    copy[length] = '\0';
    return (linn_string){copy, length};
}

static int32_t add(vocab *v, const char *text, size_t length, int32_t type)
{
    size_t i = v->n_tokens++;
    assert_true(i < ROOM);
    ((linn_string *)v->tokens)[i] = keep(text, length);
    ((int32_t *)v->types)[i] = type;
    v->n_types = v->n_tokens;
    if (v->scores)
        v->n_scores = v->n_tokens;
    return (int32_t)i;
}

int32_t vocab_add(vocab *v, const char *text, int32_t type)
{
    return add(v, text, strlen(text), type);
}

vocab *vocab_spm(const char *pieces)
{
    vocab *v = make("llama");
    free((void *)v->merges);
    v->merges = NULL;
    vocab_add(v, "<unk>", 2);
    vocab_add(v, "<s>", 3);
    vocab_add(v, "</s>", 3);
    for (unsigned byte = 0; byte < 256; byte++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", byte);
        vocab_add(v, text, 6);
    }
    float score = 0;
    for (const char *c = pieces; *c; c += strcspn(c, " "), c += strspn(c, " ")) {
        char text[256];
        size_t n = 0, length = strcspn(c, " ");
        for (size_t i = 0; i < length; i++) {
            bool blank = c[i] == '_';
            memcpy(text + n, blank ? "\xe2\x96\x81" : c + i, blank ? 3 : 1);
            n += blank ? 3 : 1;
        }
        int32_t id = add(v, text, n, 1);
        ((float *)v->scores)[id] = score -= 1;
    }
    return v;
}

/* Writes a byte in the alphabet of byte-level BPE. */
static size_t in_alphabet(uint8_t byte, char *out)
{
    uint32_t c = byte;
    if (byte <= 32)
        c = 256u + byte;
    else if (byte >= 127 && byte <= 160)
        c = 256u + 33 + byte - 127;
    else if (byte == 173)
        c = 256 + 67;
    return linn_utf8_encode(c, out);
}

vocab *vocab_bpe(const char *pre, const char *merges)
{
    vocab *v = make("gpt2");
    free((void *)v->scores);
    v->scores = NULL;
    v->pre = pre;
    char text[256];
    for (unsigned byte = 0; byte < 256; byte++) {
        size_t n = in_alphabet((uint8_t)byte, text);
        size_t i = v->n_tokens++;
        ((linn_string *)v->tokens)[i] = keep(text, n);
        ((int32_t *)v->types)[i] = 1;
    }
    for (const char *c = merges; *c; c += strcspn(c, ","), c += *c == ',') {
        size_t n = 0, joined = 0, length = strcspn(c, ",");
        char whole[256];
        for (size_t i = 0; i < length; i++) {
            size_t size = 1;
            if (c[i] == ' ')
                text[n] = ' ';
            else
                size = in_alphabet(c[i] == '_' ? ' ' : (uint8_t)c[i], text + n);
            if (c[i] != ' ')
                memcpy(whole + joined, text + n, size);
            joined += c[i] != ' ' ? size : 0;
            n += size;
        }
        ((linn_string *)v->merges)[v->n_merges++] = keep(text, n);
        ((linn_string *)v->tokens)[v->n_tokens] = keep(whole, joined);
        ((int32_t *)v->types)[v->n_tokens++] = 1;
    }
    v->n_types = v->n_tokens;
    return v;
}

void vocab_free(vocab *v)
{
    for (size_t i = 0; i < v->n_tokens; i++)
        free((char *)v->tokens[i].data);
    for (size_t i = 0; i < v->n_merges; i++)
        free((char *)v->merges[i].data);
    free((void *)v->tokens);
    free((void *)v->scores);
    free((void *)v->types);
    free((void *)v->merges);
    free(v);
}

/* ---- asking ------------------------------------------------------------------------------------
 */

const char *ids_of(const linn_tokenizer *t, const char *text, unsigned flags)
{
    static char out[4096];
    linn_token ids[512];
    size_t n, used = 0;
    linn_error err = {0};
    if (linn_tokenize(t, text, strlen(text), flags, ids, 512, &n, &err) != LINN_OK)
        fail_msg("%s", err.message);
    assert_true(n <= 512);
    out[0] = '\0';
    for (size_t i = 0; i < n; i++)
        used += (size_t)snprintf(out + used, sizeof out - used, i ? " %d" : "%d", ids[i]);
    return out;
}

char *text_of(const linn_tokenizer *t, const linn_token *ids, size_t n, bool special,
              size_t *length)
{
    linn_text_stream s = {.special = special};
    size_t size;
    char *out = malloc(n * sizeof s.text + sizeof s.text);
    assert_non_null(out);
    *length = 0;
    for (size_t i = 0; i <= n; i++) {
        const char *text =
            i < n ? linn_text_next(&s, t, ids[i], &size) : linn_text_finish(&s, &size);
        assert_int_equal(linn_utf8_check(text, size), size);
        memcpy(out + *length, text, size);
        *length += size;
    }
    out[*length] = '\0';
    return out;
}
