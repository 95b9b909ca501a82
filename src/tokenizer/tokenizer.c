/* tokenizer.c - making tokenizers, and tokens back to text. */
#include "tokenizer/tokenizer.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "tokenizer/vocab.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- making -----------------------------------------------------------------------------------
 */

static bool equals(const linn_string *s, const char *word)
{
    return s->length == strlen(word) && memcmp(s->data, word, s->length) == 0;
}

/* Which tokenizer, and the rules that go with it. */
static int read_kind(linn_tokenizer *t, const linn_file *f, linn_error *err)
{
    const char *path = linn_file_path(f);
    linn_string model, pre = {"default", 7};
    int code = linn_file_get_string(f, "tokenizer.ggml.model", &model, err);
    if (code != LINN_OK)
        return code;
    if (equals(&model, "llama")) {
        t->kind = LINN_TOKENIZER_SPM;
        t->add_space = true;
        t->add_bos = true;
        return linn_file_maybe_bool(f, "tokenizer.ggml.add_space_prefix", &t->add_space, err);
    }
    if (!equals(&model, "gpt2"))
        return linn_fail(err, LINN_EUNSUPPORTED,
                         "%s: the tokenizer '%.*s' (tokenizer.ggml.model) is not supported; linn "
                         "has llama (SentencePiece BPE) and gpt2 (byte-level BPE)",
                         path, (int)(model.length < 60 ? model.length : 60), model.data);
    t->kind = LINN_TOKENIZER_BPE;
    code = linn_file_maybe_string(f, "tokenizer.ggml.pre", &pre, err);
    if (code != LINN_OK)
        return code;
    linn_splitter_rules rules;
    code = linn_splitter_create(&t->splitter, pre.data, pre.length, path, &rules, err);
    if (code != LINN_OK)
        return code;
    t->ignore_merges = rules.ignore_merges;
    t->add_bos = rules.add_bos;
    return LINN_OK;
}

/* Phi-3's special tokens take the white space after them along, all but three. Nothing in the
 * file says so but the model's name. */
static int is_phi_3(const linn_file *f, bool *out, linn_error *err)
{
    linn_string name = {"", 0};
    int code = linn_file_maybe_string(f, "general.name", &name, err);
    *out = false;
    for (size_t i = 0; code == LINN_OK && i + 4 <= name.length; i++) {
        const char *c = name.data + i;
        bool phi = tolower((unsigned char)c[0]) == 'p' && tolower((unsigned char)c[1]) == 'h' &&
                   tolower((unsigned char)c[2]) == 'i';
        if (phi && (c[3] == '3' || (c[3] == '-' && i + 5 <= name.length && c[4] == '3')))
            *out = true;
    }
    return code;
}

static int collect_specials(linn_tokenizer *t, const linn_file *f, linn_error *err)
{
    bool strip;
    int code = is_phi_3(f, &strip, err);
    if (code != LINN_OK)
        return code;
    size_t n = 0;
    for (int32_t i = 0; i < t->n_tokens; i++)
        n += linn_token_is_special(t, i) || t->types[i] == LINN_TOKEN_USER;
    linn_special *items = linn_alloc(n, sizeof *items);
    if (!items)
        return linn_fail(err, LINN_ENOMEM, "%s: out of memory for special tokens",
                         linn_file_path(f));
    n = 0;
    for (int32_t i = 0; i < t->n_tokens; i++) {
        const linn_string *text = &t->texts[i];
        if (!linn_token_is_special(t, i) && t->types[i] != LINN_TOKEN_USER)
            continue;
        bool keeps = equals(text, "<unk>") || equals(text, "<s>") || equals(text, "<|endoftext|>");
        items[n++] = (linn_special){i, t->types[i] == LINN_TOKEN_USER, strip && !keeps};
    }
    if (!linn_specials_build(&t->specials, items, n, t->texts))
        return linn_fail(err, LINN_ENOMEM, "%s: out of memory for special tokens",
                         linn_file_path(f));
    return LINN_OK;
}

int linn_tokenizer_create(linn_tokenizer **out, const linn_file *f, linn_error *err)
{
    *out = NULL;
    linn_tokenizer *t = linn_alloc(1, sizeof *t);
    if (!t)
        return linn_fail(err, LINN_ENOMEM, "%s: out of memory for a tokenizer", linn_file_path(f));
    int code = read_kind(t, f, err);
    if (code == LINN_OK)
        code = linn_vocab_read(t, f, err);
    if (code == LINN_OK)
        code =
            t->kind == LINN_TOKENIZER_SPM ? linn_spm_prepare(t, err) : linn_merges_read(t, f, err);
    if (code == LINN_OK)
        code = collect_specials(t, f, err);
    if (code == LINN_OK)
        code = linn_chat_read(&t->chat, f, err);
    if (code != LINN_OK) {
        linn_tokenizer_free(t);
        return code;
    }
    *out = t;
    return LINN_OK;
}

int linn_tokenizer_open(linn_tokenizer **out, const char *path, linn_error *err)
{
    linn_file *f;
    *out = NULL;
    int code = linn_file_open(&f, path, err);
    if (code == LINN_OK)
        code = linn_tokenizer_create(out, f, err);
    linn_file_close(f);
    return code;
}

void linn_tokenizer_free(linn_tokenizer *t)
{
    if (!t)
        return;
    linn_text_table_free(&t->ids);
    linn_pair_table_free(&t->merges);
    linn_specials_free(&t->specials);
    linn_splitter_free(t->splitter);
    free(t->neighbours);
    free(t->scores);
    free(t->ends);
    free(t->types);
    free(t->texts);
    free(t->extra);
    free(t->arena);
    free(t);
}

/* ---- questions --------------------------------------------------------------------------------
 */

int32_t linn_tokenizer_size(const linn_tokenizer *t)
{
    return t->n_tokens;
}

bool linn_token_is_end(const linn_tokenizer *t, linn_token token)
{
    return linn_token_valid(t, token) && t->ends[token];
}

bool linn_tokenizer_matches(const linn_tokenizer *a, const linn_tokenizer *b)
{
    const linn_tokenizer *larger = a->n_tokens > b->n_tokens ? a : b;
    int32_t common = larger == a ? b->n_tokens : a->n_tokens;
    if (a->kind != b->kind)
        return false;
    for (int32_t i = 0; i < common; i++)
        if (a->types[i] != b->types[i] || a->texts[i].length != b->texts[i].length ||
            memcmp(a->texts[i].data, b->texts[i].data, a->texts[i].length) != 0)
            return false;
    for (int32_t i = common; i < larger->n_tokens; i++)
        if (larger->types[i] != LINN_TOKEN_UNUSED)
            return false;
    return true;
}

/* ---- tokens to text -----------------------------------------------------------------------------
 */

const char *linn_token_bytes(const linn_tokenizer *t, linn_token token, bool special,
                             size_t *length)
{
    *length = 0;
    if (!linn_token_valid(t, token) || (!special && linn_token_is_special(t, token)))
        return "";
    *length = t->texts[token].length;
    return t->texts[token].data;
}

enum { ROOM = sizeof((linn_text_stream *)0)->text };

/* Every token fits behind the start of a character, and leaves room for a few replacements. */
static_assert(LINN_TOKEN_MAX + 3 + 16 <= ROOM, "tokens are longer than a stream's buffer");

/* Appends U+FFFD, if the `left` bytes still to come will fit behind it. (A token of hundreds of
 * bytes that are no UTF-8, which no vocabulary has, gets fewer of them.) */
static size_t replace(char *out, size_t n, size_t left)
{
    if (n + 3 + left > ROOM)
        return n;
    memcpy(out + n, "\xef\xbf\xbd", 3);
    return n + 3;
}

/* Copies in[length] to out behind n bytes: whole characters, what can never become one replaced:
 * one U+FFFD for each longest part of a character, as Unicode recommends (3.9, U+FFFD
 * substitution of maximal subparts). The start of a character at the end waits in s->held. */
static size_t copy_whole(linn_text_stream *s, const char *in, size_t length, size_t n)
{
    size_t i = 0;
    while (i < length) {
        uint32_t c;
        size_t size = linn_utf8_decode(in + i, length - i, &c);
        if (size > 0) {
            memcpy(s->text + n, in + i, size);
            n += size;
            i += size;
            continue;
        }
        /* How much of it could have begun a character: that is one replacement. */
        size_t part = 1;
        while (part < 3 && i + part < length && linn_utf8_incomplete(in + i, part + 1) == part + 1)
            part++;
        if (i + part == length && linn_utf8_incomplete(in + i, part) == part) {
            memcpy(s->held, in + i, part);
            s->n_held = (uint8_t)part;
            return n;
        }
        i += part;
        n = replace(s->text, n, length - i);
    }
    return n;
}

const char *linn_text_next(linn_text_stream *s, const linn_tokenizer *t, linn_token token,
                           size_t *length)
{
    size_t n_bytes, n_held = s->n_held;
    const char *bytes = linn_token_bytes(t, token, s->special, &n_bytes);
    *length = 0;
    if (n_bytes == 0)
        return s->text;
    if (!s->started && !linn_token_is_special(t, token)) {
        bool blank = t->add_space && t->types[token] != LINN_TOKEN_USER && bytes[0] == ' ';
        bytes += blank;
        n_bytes -= blank;
        s->started = true;
    }
    char joined[sizeof s->held + LINN_TOKEN_MAX];
    memcpy(joined, s->held, n_held);
    memcpy(joined + n_held, bytes, n_bytes);
    s->n_held = 0;
    *length = copy_whole(s, joined, n_held + n_bytes, 0);
    return s->text;
}

const char *linn_text_finish(linn_text_stream *s, size_t *length)
{
    *length = s->n_held > 0 ? replace(s->text, 0, 0) : 0;
    s->n_held = 0;
    return s->text;
}
