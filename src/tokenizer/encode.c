/* encode.c - text to tokens: special tokens, words, merges, and what is added around them. */
#include "tokenizer/encode.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

enum {
    KNOWN_WORDS = 1 << 12, /* slots; a power of two */
    KNOWN_LENGTH = 48,     /* longer words hardly ever come again */
    LONG_TEXT = 1 << 10,   /* bytes from which remembering words pays */
};

/* ---- ids --------------------------------------------------------------------------------- */

static int out_of_memory(const linn_encoder *e)
{
    return linn_fail(e->err, LINN_ENOMEM, "out of memory for the tokens of a text");
}

static int reserve(linn_encoder *e, size_t n)
{
    if (e->capacity - e->n >= n)
        return LINN_OK;
    size_t capacity = e->capacity ? 2 * e->capacity : 64;
    if (capacity - e->n < n)
        capacity = e->n + n;
    linn_token *ids = realloc(e->ids, capacity * sizeof *ids);
    if (!ids)
        return out_of_memory(e);
    e->ids = ids;
    e->capacity = capacity;
    return LINN_OK;
}

int linn_encode_id(linn_encoder *e, linn_token id)
{
    int code = reserve(e, 1);
    if (code == LINN_OK)
        e->ids[e->n++] = id;
    return code;
}

int linn_encode_bytes(linn_encoder *e, const char *text, size_t length)
{
    const linn_tokenizer *t = e->t;
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = (uint8_t)text[i];
        linn_token id = t->bytes[byte];
        if (!linn_token_valid(t, id))
            id = t->unknown;
        if (id == LINN_NO_TOKEN)
            return linn_fail(e->err, LINN_EUNSUPPORTED,
                             "the byte 0x%02x of the text has no token in this vocabulary, which "
                             "has no unknown token either",
                             byte);
        int code = linn_encode_id(e, id);
        if (code != LINN_OK)
            return code;
    }
    return LINN_OK;
}

/* ---- words ------------------------------------------------------------------------------- */

/* Room for the symbols of a word. */
static int make_room(linn_encoder *e, size_t length)
{
    if (length <= e->room)
        return LINN_OK;
    size_t room = length < 256 ? 256 : length;
    if (room < 2 * (size_t)e->room && 2 * (size_t)e->room <= UINT32_MAX)
        room = 2 * (size_t)e->room;
    free(e->symbols);
    free(e->heap);
    e->room = 0;
    e->symbols = linn_alloc(room, sizeof *e->symbols);
    e->heap = linn_alloc(room, 2 * sizeof *e->heap);
    if (!e->symbols || !e->heap)
        return out_of_memory(e);
    e->room = (uint32_t)room;
    return LINN_OK;
}

static int merge_word(linn_encoder *e, const char *text, size_t length)
{
    int code = make_room(e, length);
    if (code != LINN_OK)
        return code;
    if (e->t->kind == LINN_TOKENIZER_SPM)
        linn_spm_merge(e, text, (uint32_t)length);
    else
        linn_bpe_merge(e, text, (uint32_t)length);
    for (size_t i = 0; i < length && code == LINN_OK; i += e->symbols[i].length) {
        linn_token id = e->symbols[i].id;
        code = linn_token_valid(e->t, id) ? linn_encode_id(e, id)
                                          : linn_encode_bytes(e, text + i, e->symbols[i].length);
    }
    return code;
}

int linn_encode_word(void *encoder, const char *text, size_t length)
{
    linn_encoder *e = encoder;
    if (!e->known || length > KNOWN_LENGTH)
        return length > 0 ? merge_word(e, text, length) : LINN_OK;
    linn_known_word *known = &e->known[linn_hash(text, length) & (KNOWN_WORDS - 1)];
    if (known->text && known->length == length && memcmp(known->text, text, length) == 0) {
        int code = reserve(e, known->n);
        if (code != LINN_OK)
            return code;
        memcpy(e->ids + e->n, e->ids + known->at, known->n * sizeof *e->ids);
        e->n += known->n;
        return LINN_OK;
    }
    size_t at = e->n;
    int code = merge_word(e, text, length);
    if (code == LINN_OK)
        *known = (linn_known_word){text, (uint32_t)length, (uint32_t)(e->n - at), at};
    return code;
}

/* ---- the whole --------------------------------------------------------------------------- */

/* The text as SentencePiece merges it needs room of its own: a blank before each piece. */
static int prepare(linn_encoder *e, const linn_fragment *fragments, size_t length)
{
    const linn_tokenizer *t = e->t;
    if (length >= LONG_TEXT) {
        e->known = linn_alloc(KNOWN_WORDS, sizeof *e->known);
        if (!e->known)
            return out_of_memory(e);
    }
    if (t->kind == LINN_TOKENIZER_BPE) {
        e->match_data = linn_splitter_match_data(t->splitter);
        return e->match_data ? LINN_OK : out_of_memory(e);
    }
    size_t blanks = 0;
    for (int32_t i = 0; i >= 0; i = fragments[i].next)
        blanks++;
    e->blanks = e->next = malloc(length + blanks);
    return e->blanks ? LINN_OK : out_of_memory(e);
}

/* Each piece of text follows a special token or the start, where SentencePiece adds its blank. */
static int encode_fragments(linn_encoder *e, const linn_fragment *fragments)
{
    int code = LINN_OK;
    for (int32_t i = 0; i >= 0 && code == LINN_OK; i = fragments[i].next) {
        const linn_fragment *f = &fragments[i];
        if (f->token >= 0)
            code = linn_encode_id(e, f->token);
        else if (f->length > 0)
            code = e->t->kind == LINN_TOKENIZER_SPM ? linn_spm_encode(e, f->text, f->length)
                                                    : linn_bpe_encode(e, f->text, f->length);
    }
    return code;
}

static int encode(linn_encoder *e, const char *text, size_t length, unsigned flags)
{
    const linn_tokenizer *t = e->t;
    linn_fragment *fragments;
    if (!linn_specials_split(&t->specials, text, length, !(flags & LINN_TOKENIZE_SPECIAL),
                             &fragments))
        return out_of_memory(e);
    int code = prepare(e, fragments, length);
    if (code == LINN_OK && (flags & LINN_TOKENIZE_BOS) && t->add_bos)
        code = linn_encode_id(e, t->bos);
    if (code == LINN_OK)
        code = encode_fragments(e, fragments);
    if (code == LINN_OK && (flags & LINN_TOKENIZE_BOS) && t->add_eos)
        code = linn_encode_id(e, t->eos);
    free(fragments);
    return code;
}

int linn_tokenize(const linn_tokenizer *t, const char *text, size_t length, unsigned flags,
                  linn_token *out, size_t capacity, size_t *n, linn_error *err)
{
    *n = 0;
    if (length > INT32_MAX)
        return linn_fail(err, LINN_EINVAL, "a text of %zu bytes; at most %d are possible", length,
                         INT32_MAX);
    size_t valid = linn_utf8_check(text, length);
    if (valid < length)
        return linn_fail(err, LINN_EINVAL, "the text is not UTF-8 at byte %zu", valid);
    linn_encoder e = {.t = t, .err = err};
    int code = encode(&e, text, length, flags);
    if (code == LINN_OK) {
        *n = e.n;
        size_t fits = e.n < capacity ? e.n : capacity;
        if (fits > 0)
            memcpy(out, e.ids, fits * sizeof *out);
    }
    free(e.ids);
    free(e.symbols);
    free(e.heap);
    free(e.known);
    free(e.blanks);
    linn_splitter_match_data_free(e.match_data);
    return code;
}
