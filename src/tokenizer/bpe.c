/* bpe.c - byte-level BPE: the bytes of a word merge by the ranks of the file's list of merges.
 *
 * Files write texts in an alphabet of 256 printable characters, one for each byte (GPT-2). Texts
 * are decoded when read, so merging works on plain bytes and ids of symbols. A symbol is a token
 * or, when merges speak of texts that are none, one of those.
 */
#include "tokenizer/encode.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

/* ---- the alphabet --------------------------------------------------------------------------- */

/* Printable bytes of Latin-1 stand for themselves; the 68 others, in order, for the characters
 * from U+0100 on: 0 to 32, 127 to 160, 173. */
int linn_bpe_byte(uint32_t c)
{
    if ((c >= 33 && c <= 126) || (c >= 161 && c <= 255 && c != 173))
        return (int)c;
    if (c < 256 || c > 256 + 67)
        return -1;
    c -= 256;
    return c < 33 ? (int)c : c < 67 ? (int)(c - 33 + 127) : 173;
}

ptrdiff_t linn_bpe_decode(const char *text, size_t length, char *out)
{
    ptrdiff_t n = 0;
    for (size_t i = 0; i < length;) {
        uint32_t c;
        size_t size = linn_utf8_decode(text + i, length - i, &c);
        int byte = size > 0 ? linn_bpe_byte(c) : -1;
        if (byte < 0)
            return -1;
        out[n++] = (char)byte;
        i += size;
    }
    return n;
}

/* ---- reading merges ------------------------------------------------------------------------- */

/* A merge, decoded: left and right side by side. */
typedef struct parts {
    char bytes[2 * LINN_TOKEN_MAX];
    size_t left, right; /* bytes */
    bool usable;        /* false: not of the alphabet, so it never comes up */
} parts;

static int read_parts(parts *p, const linn_string *s, uint64_t index, const char *path,
                      linn_error *err)
{
    /* The first part may be a blank itself, so the one between is looked for after it. */
    const char *blank = s->length > 2 ? memchr(s->data + 1, ' ', s->length - 2) : NULL;
    if (!blank)
        return linn_fail(err, LINN_EFORMAT,
                         "%s: tokenizer.ggml.merges[%llu] must be two parts with a blank between",
                         path, (unsigned long long)index);
    size_t n = (size_t)(blank - s->data);
    p->usable = false;
    /* A character is two bytes at most, so what is longer than this cannot be short enough. */
    if (s->length > 4 * LINN_TOKEN_MAX)
        goto too_long;
    char right[4 * LINN_TOKEN_MAX], left[4 * LINN_TOKEN_MAX];
    ptrdiff_t n_left = linn_bpe_decode(s->data, n, left);
    ptrdiff_t n_right = linn_bpe_decode(blank + 1, s->length - n - 1, right);
    if (n_left <= 0 || n_right <= 0)
        return LINN_OK;
    if (n_left + n_right > LINN_TOKEN_MAX)
        goto too_long;
    memcpy(p->bytes, left, (size_t)n_left);
    memcpy(p->bytes + n_left, right, (size_t)n_right);
    p->left = (size_t)n_left;
    p->right = (size_t)n_right;
    p->usable = true;
    return LINN_OK;
too_long:
    return linn_fail(err, LINN_EUNSUPPORTED,
                     "%s: tokenizer.ggml.merges[%llu] makes more than %d bytes", path,
                     (unsigned long long)index, LINN_TOKEN_MAX);
}

/* What merges add to the tokens. First they are counted, which gives no ids to texts that are not
 * there; then, with room for them, they are added. */
typedef struct additions {
    bool adding;
    size_t n, bytes;
    char *arena; /* when adding: where the next text goes */
} additions;

/* The symbol of a text; -1: still to be added. */
static int symbol_of(linn_tokenizer *t, const char *text, size_t length, additions *a, int32_t *id)
{
    *id = linn_text_table_find(&t->ids, t->texts, text, length);
    if (*id >= 0)
        return LINN_OK;
    a->n++;
    a->bytes += length;
    if (!a->adding)
        return LINN_OK;
    *id = t->n_symbols;
    memcpy(a->arena, text, length);
    t->texts[t->n_symbols++] = (linn_string){a->arena, length};
    a->arena += length;
    return linn_text_table_add(&t->ids, t->texts, *id) ? LINN_OK : LINN_ENOMEM;
}

/* Every byte has a symbol, so that merges can start from it; not all have tokens. */
static int walk_bytes(linn_tokenizer *t, additions *a)
{
    for (int byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        int code = symbol_of(t, &c, 1, a, &t->bytes[byte]);
        if (code != LINN_OK)
            return code;
    }
    return LINN_OK;
}

static int walk_merges(linn_tokenizer *t, linn_gguf_array list, additions *a, const char *path,
                       linn_error *err)
{
    linn_string s;
    parts p;
    for (uint32_t rank = 0; linn_gguf_next_string(&list, &s); rank++) {
        int32_t left, right, merged;
        int code = read_parts(&p, &s, rank, path, err);
        if (code != LINN_OK)
            return code;
        if (!p.usable)
            continue;
        if (symbol_of(t, p.bytes, p.left, a, &left) != LINN_OK ||
            symbol_of(t, p.bytes + p.left, p.right, a, &right) != LINN_OK ||
            symbol_of(t, p.bytes, p.left + p.right, a, &merged) != LINN_OK)
            return linn_fail(err, LINN_ENOMEM, "%s: out of memory for merges", path);
        if (a->adding)
            linn_pair_table_add(&t->merges, (linn_pair_slot){left, right, rank, merged});
    }
    return LINN_OK;
}

/* Makes room for the symbols that were counted. */
static bool make_room(linn_tokenizer *t, additions *a)
{
    size_t bytes = a->bytes;
    linn_string *texts = realloc(t->texts, ((size_t)t->n_tokens + a->n + 1) * sizeof *t->texts);
    if (!texts)
        return false;
    t->texts = texts;
    t->extra = linn_alloc(bytes, 1);
    *a = (additions){.adding = true, .arena = t->extra};
    return t->extra != NULL;
}

int linn_merges_read(linn_tokenizer *t, const linn_file *f, linn_error *err)
{
    const char *path = linn_file_path(f), *key = "tokenizer.ggml.merges";
    linn_gguf_array list;
    int code = linn_file_get_array(f, key, LINN_GGUF_STRING, &list, err);
    if (code != LINN_OK)
        return code;
    if (list.n > LINN_MAX_TOKENS)
        return linn_fail(err, LINN_EUNSUPPORTED, "%s: %s has %llu entries, over the limit of %d",
                         path, key, (unsigned long long)list.n, LINN_MAX_TOKENS);
    if (!linn_pair_table_init(&t->merges, (size_t)list.n))
        return linn_fail(err, LINN_ENOMEM, "%s: out of memory for merges", path);
    additions a = {0};
    walk_bytes(t, &a);
    code = walk_merges(t, list, &a, path, err);
    if (code != LINN_OK)
        return code;
    if (!make_room(t, &a) || walk_bytes(t, &a) != LINN_OK)
        return linn_fail(err, LINN_ENOMEM, "%s: out of memory for merges", path);
    return walk_merges(t, list, &a, path, err);
}

/* ---- merging -------------------------------------------------------------------------------- */

static bool pair(const void *arg, const linn_symbol *symbols, uint32_t left, uint32_t *order,
                 int32_t *id)
{
    const linn_tokenizer *t = arg;
    const linn_symbol *right = &symbols[left + symbols[left].length];
    const linn_pair_slot *merge = linn_pair_table_find(&t->merges, symbols[left].id, right->id);
    if (!merge)
        return false;
    *order = merge->rank;
    *id = merge->merged;
    return true;
}

void linn_bpe_merge(linn_encoder *e, const char *text, uint32_t length)
{
    const linn_tokenizer *t = e->t;
    if (t->ignore_merges) {
        int32_t id = linn_text_table_find(&t->ids, t->texts, text, length);
        if (id >= 0 && id < t->n_tokens) {
            e->symbols[0] = (linn_symbol){length, 0, id};
            return;
        }
    }
    for (uint32_t i = 0; i < length; i++)
        e->symbols[i] = (linn_symbol){1, i > 0 ? i - 1 : 0, t->bytes[(uint8_t)text[i]]};
    linn_merge(e->symbols, length, e->heap, pair, t);
}

int linn_bpe_encode(linn_encoder *e, const char *text, size_t length)
{
    return linn_splitter_run(e->t->splitter, e->match_data, text, length, linn_encode_word, e,
                             e->err);
}
