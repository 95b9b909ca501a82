/* vocab.c - reading the tokens of a file, and what makes some of them special. */
#include "tokenizer/vocab.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- tokens known by their names ---------------------------------------------------------- */

/* Files often do not say which tokens end a turn, or give control tokens another type, so tokens
 * of these names are control tokens whatever the file says; the first group ends a generation.
 * The names are those that llama.cpp goes by. */
static const char *const end_names[] = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<｜end▁of▁sentence｜>", /* of DeepSeek */
    /* fill in the middle: padding, repository and file separators */
    "<|fim_pad|>",
    "<fim-pad>",
    "<fim_pad>",
    "<PAD>",
    "<|fim_repo|>",
    "<|repo_name|>",
    "<fim-repo>",
    "<REPO>",
    "<reponame>",
    "<|file_sep|>",
};

static const char *const control_names[] = {
    "<|fim_prefix|>",  "<fim-prefix>",   "<fim_prefix>",  "<PRE>",          "<|fim_suffix|>",
    "<fim-suffix>",    "<fim_suffix>",   "<SUF>",         "<|fim_middle|>", "<fim-middle>",
    "<fim_middle>",    "<MID>",          "▁<PRE>",        "▁<SUF>",         "▁<MID>",
    "<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>",
};

static bool named(const linn_string *s, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s->length == strlen(names[i]) && memcmp(s->data, names[i], s->length) == 0)
            return true;
    return false;
}

static bool may_be_named(const linn_string *s)
{
    return s->length > 3 && (memchr("<[_\xe2", s->data[0], 4) != NULL);
}

/* ---- texts of tokens ------------------------------------------------------------------------ */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The value of "<0x0A>"; -1: the text is not of this form. */
static int byte_of(const linn_string *s)
{
    if (s->length != 6 || memcmp(s->data, "<0x", 3) != 0 || s->data[5] != '>')
        return -1;
    int high = hex_digit(s->data[3]), low = hex_digit(s->data[4]);
    return high < 0 || low < 0 ? -1 : 16 * high + low;
}

/* Writes s with blanks for U+2581; returns its length. */
static size_t put_blanks(const linn_string *s, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < s->length;) {
        if (s->length - i >= 3 && memcmp(s->data + i, "\xe2\x96\x81", 3) == 0) {
            out[n++] = ' ';
            i += 3;
        } else {
            out[n++] = s->data[i++];
        }
    }
    return n;
}

/* Stores the text of token i at *arena and moves that on; sets *ordinary if ordinary text can
 * become this token. */
static int store_text(linn_tokenizer *t, int32_t i, const linn_string *s, char **arena,
                      bool *ordinary, const char *path, linn_error *err)
{
    char *out = *arena;
    size_t n = s->length;
    *ordinary = false;
    switch (t->types[i]) {
    case LINN_TOKEN_BYTE: {
        int byte = byte_of(s);
        if (byte < 0)
            return linn_fail(err, LINN_EFORMAT,
                             "%s: tokenizer.ggml.tokens[%d] is of the byte type and must be like "
                             "<0x0A>, but is '%.*s'",
                             path, i, (int)(s->length < 60 ? s->length : 60), s->data);
        n = 1;
        *out = (char)byte;
        break;
    }
    case LINN_TOKEN_NORMAL:
    case LINN_TOKEN_UNUSED:
        if (t->kind == LINN_TOKENIZER_SPM) {
            n = put_blanks(s, out);
            *ordinary = n > 0 && linn_utf8_check(out, n) == n;
        } else {
            ptrdiff_t decoded = linn_bpe_decode(s->data, s->length, out);
            *ordinary = decoded > 0;
            if (decoded >= 0)
                n = (size_t)decoded;
            else
                memcpy(out, s->data, n);
        }
        break;
    default:
        memcpy(out, s->data, n);
        *ordinary = t->types[i] == LINN_TOKEN_USER && n > 0 && linn_utf8_check(out, n) == n;
    }
    t->texts[i] = (linn_string){out, n};
    *arena += n;
    return LINN_OK;
}

/* ---- arrays --------------------------------------------------------------------------------- */

static int read_array(const linn_file *f, const char *key, linn_gguf_kind kind, uint64_t least,
                      linn_gguf_array *out, linn_error *err)
{
    int code = linn_file_get_array(f, key, kind, out, err);
    if (code == LINN_OK && out->n < least)
        code = linn_fail(err, LINN_EFORMAT, "%s: %s has %llu entries for %llu tokens",
                         linn_file_path(f), key, (unsigned long long)out->n,
                         (unsigned long long)least);
    return code;
}

static int read_scores(linn_tokenizer *t, const linn_file *f, linn_error *err)
{
    const char *key = "tokenizer.ggml.scores";
    linn_gguf_array a;
    int code = read_array(f, key, LINN_GGUF_F32, (uint64_t)t->n_tokens, &a, err);
    if (code != LINN_OK)
        return code;
    memcpy(t->scores, a.data, (size_t)t->n_tokens * sizeof *t->scores);
    for (int32_t i = 0; i < t->n_tokens; i++)
        if (isnan(t->scores[i]))
            return linn_fail(err, LINN_EFORMAT, "%s: %s[%d] is not a number", linn_file_path(f),
                             key, i);
    return LINN_OK;
}

/* Types as the file has them. A file without: all ordinary, but for the byte tokens of
 * SentencePiece, which have their form; begin and end follow with their ids. */
static int read_types(linn_tokenizer *t, const linn_file *f, const linn_gguf_array *tokens,
                      linn_error *err)
{
    const char *key = "tokenizer.ggml.token_type";
    linn_gguf_array a, list = *tokens;
    linn_string s;
    if (!linn_file_has(f, key)) {
        for (int32_t i = 0; linn_gguf_next_string(&list, &s); i++)
            t->types[i] = t->kind == LINN_TOKENIZER_SPM && byte_of(&s) >= 0 ? LINN_TOKEN_BYTE
                                                                            : LINN_TOKEN_NORMAL;
        return LINN_OK;
    }
    int code = read_array(f, key, LINN_GGUF_I32, (uint64_t)t->n_tokens, &a, err);
    if (code != LINN_OK)
        return code;
    for (int32_t i = 0; i < t->n_tokens; i++) {
        int32_t type;
        memcpy(&type, a.data + (size_t)i * sizeof type, sizeof type);
        bool known = type >= LINN_TOKEN_NORMAL && type <= LINN_TOKEN_BYTE;
        t->types[i] = (uint8_t)(known ? type : LINN_TOKEN_NORMAL);
    }
    return LINN_OK;
}

/* Bytes that the texts need at most: decoded they are never longer. */
static int measure(linn_gguf_array list, const char *path, size_t *bytes, linn_error *err)
{
    linn_string s;
    *bytes = 0;
    for (uint64_t i = 0; linn_gguf_next_string(&list, &s); i++) {
        if (s.length > LINN_TOKEN_MAX)
            return linn_fail(err, LINN_EUNSUPPORTED,
                             "%s: tokenizer.ggml.tokens[%llu] has %zu bytes, over the limit of %d",
                             path, (unsigned long long)i, s.length, LINN_TOKEN_MAX);
        *bytes += s.length;
    }
    return LINN_OK;
}

static int allocate(linn_tokenizer *t, size_t bytes, linn_error *err)
{
    size_t n = (size_t)t->n_tokens;
    t->arena = linn_alloc(bytes, 1);
    t->texts = linn_alloc(n, sizeof *t->texts);
    t->types = linn_alloc(n, sizeof *t->types);
    t->ends = linn_alloc(n, sizeof *t->ends);
    if (t->kind == LINN_TOKENIZER_SPM)
        t->scores = linn_alloc(n, sizeof *t->scores);
    if (!t->arena || !t->texts || !t->types || !t->ends ||
        (t->kind == LINN_TOKENIZER_SPM && !t->scores) || !linn_text_table_init(&t->ids, n))
        return linn_fail(err, LINN_ENOMEM, "out of memory for a vocabulary of %d tokens",
                         t->n_tokens);
    return LINN_OK;
}

/* ---- ids ------------------------------------------------------------------------------------ */

/* An id that the file may name; *id holds the default, or LINN_NO_TOKEN. */
static int read_id(const linn_tokenizer *t, const linn_file *f, const char *key, int32_t *id,
                   linn_error *err)
{
    uint32_t value = (uint32_t)*id;
    if (*id >= t->n_tokens)
        value = UINT32_MAX;
    int code = linn_file_maybe_u32(f, key, &value, err);
    if (code != LINN_OK)
        return code;
    if (value != UINT32_MAX && value >= (uint32_t)t->n_tokens)
        return linn_fail(err, LINN_EFORMAT, "%s: %s is %u, but there are %d tokens",
                         linn_file_path(f), key, value, t->n_tokens);
    *id = value == UINT32_MAX ? LINN_NO_TOKEN : (int32_t)value;
    return LINN_OK;
}

static int read_add(const linn_file *f, const char *key, int32_t id, bool *add, linn_error *err)
{
    int code = linn_file_maybe_bool(f, key, add, err);
    if (code == LINN_OK && *add && id == LINN_NO_TOKEN && linn_file_has(f, key))
        code = linn_fail(err, LINN_EFORMAT, "%s: %s is true, but the file names no such token",
                         linn_file_path(f), key);
    *add = *add && id != LINN_NO_TOKEN;
    return code;
}

/* Ids and flags, and what they say of types and of the end. The defaults are llama.cpp's, but
 * for its begin and end token 11 of byte-level BPE. */
static int read_ids(linn_tokenizer *t, const linn_file *f, bool has_types, linn_error *err)
{
    static const char *const end_keys[] = {
        "tokenizer.ggml.eot_token_id",     "tokenizer.ggml.eom_token_id",
        "tokenizer.ggml.fim_pad_token_id", "tokenizer.ggml.fim_rep_token_id",
        "tokenizer.ggml.fim_sep_token_id",
    };
    bool spm = t->kind == LINN_TOKENIZER_SPM;
    t->bos = spm ? 1 : LINN_NO_TOKEN;
    t->eos = spm ? 2 : LINN_NO_TOKEN;
    t->unknown = spm ? 0 : LINN_NO_TOKEN;
    int code = read_id(t, f, "tokenizer.ggml.bos_token_id", &t->bos, err);
    if (code == LINN_OK)
        code = read_id(t, f, "tokenizer.ggml.eos_token_id", &t->eos, err);
    if (code == LINN_OK)
        code = read_id(t, f, "tokenizer.ggml.unknown_token_id", &t->unknown, err);
    if (code == LINN_OK)
        code = read_add(f, "tokenizer.ggml.add_bos_token", t->bos, &t->add_bos, err);
    if (code == LINN_OK)
        code = read_add(f, "tokenizer.ggml.add_eos_token", t->eos, &t->add_eos, err);
    for (size_t i = 0; code == LINN_OK && i < sizeof end_keys / sizeof end_keys[0]; i++) {
        int32_t id = LINN_NO_TOKEN;
        code = read_id(t, f, end_keys[i], &id, err);
        if (code == LINN_OK && id != LINN_NO_TOKEN)
            t->ends[id] = 1;
    }
    if (code != LINN_OK)
        return code;
    if (t->eos != LINN_NO_TOKEN)
        t->ends[t->eos] = 1;
    /* Where a text begins, the one before is over: models of llama2.c say this, and never eos. */
    if (t->bos != LINN_NO_TOKEN)
        t->ends[t->bos] = 1;
    if (!has_types) {
        if (t->bos != LINN_NO_TOKEN)
            t->types[t->bos] = LINN_TOKEN_CONTROL;
        if (t->eos != LINN_NO_TOKEN)
            t->types[t->eos] = LINN_TOKEN_CONTROL;
        if (t->unknown != LINN_NO_TOKEN)
            t->types[t->unknown] = LINN_TOKEN_UNKNOWN;
    }
    return LINN_OK;
}

/* ---- the whole --------------------------------------------------------------------------------
 */

/* Names, texts and the table of texts. */
static int read_texts(linn_tokenizer *t, linn_gguf_array list, const char *path, linn_error *err)
{
    char *arena = t->arena;
    linn_string s;
    for (int32_t i = 0; linn_gguf_next_string(&list, &s); i++) {
        if (may_be_named(&s)) {
            bool ends = named(&s, end_names, sizeof end_names / sizeof end_names[0]);
            if (ends || named(&s, control_names, sizeof control_names / sizeof control_names[0]))
                t->types[i] = LINN_TOKEN_CONTROL;
            t->ends[i] |= ends;
        }
        bool ordinary;
        int code = store_text(t, i, &s, &arena, &ordinary, path, err);
        if (code != LINN_OK)
            return code;
        if (ordinary && !linn_text_table_add(&t->ids, t->texts, i))
            return linn_fail(err, LINN_ENOMEM, "%s: out of memory for a vocabulary", path);
        if (ordinary && t->texts[i].length > t->longest)
            t->longest = t->texts[i].length;
    }
    t->n_symbols = t->n_tokens;
    return LINN_OK;
}

/* Tokens of single bytes: by type; else an ordinary token of that one byte, as llama.cpp does. */
static void find_bytes(linn_tokenizer *t)
{
    for (int byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        t->bytes[byte] = linn_text_table_find(&t->ids, t->texts, &c, 1);
    }
    for (int32_t i = t->n_tokens; i-- > 0;)
        if (t->types[i] == LINN_TOKEN_BYTE)
            t->bytes[(uint8_t)t->texts[i].data[0]] = i;
}

int linn_vocab_read(linn_tokenizer *t, const linn_file *f, linn_error *err)
{
    const char *path = linn_file_path(f), *key = "tokenizer.ggml.tokens";
    linn_gguf_array list;
    size_t bytes;
    int code = linn_file_get_array(f, key, LINN_GGUF_STRING, &list, err);
    if (code != LINN_OK)
        return code;
    if (list.n == 0 || list.n > LINN_MAX_TOKENS)
        return linn_fail(err, LINN_EFORMAT, "%s: %s has %llu entries; it must have 1 to %d", path,
                         key, (unsigned long long)list.n, LINN_MAX_TOKENS);
    t->n_tokens = (int32_t)list.n;
    code = measure(list, path, &bytes, err);
    if (code == LINN_OK)
        code = allocate(t, bytes, err);
    if (code == LINN_OK && t->kind == LINN_TOKENIZER_SPM)
        code = read_scores(t, f, err);
    if (code == LINN_OK)
        code = read_types(t, f, &list, err);
    if (code == LINN_OK)
        code = read_ids(t, f, linn_file_has(f, "tokenizer.ggml.token_type"), err);
    if (code == LINN_OK)
        code = read_texts(t, list, path, err);
    if (code == LINN_OK && t->kind == LINN_TOKENIZER_SPM)
        find_bytes(t);
    return code;
}
