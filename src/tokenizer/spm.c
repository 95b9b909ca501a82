/* spm.c - SentencePiece BPE: characters merge into the pieces of the highest score.
 *
 * Blanks are part of the pieces, where files write them as U+2581. Texts of pieces have had them
 * put back (vocab.c), and a U+2581 in the text to be encoded counts as a blank, as it does in
 * SentencePiece. What is no piece becomes the tokens of its bytes.
 */
#include "tokenizer/encode.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <string.h>

/* ---- which characters stand side by side ------------------------------------------------- */

static uint32_t neighbour_bit(uint32_t left, uint32_t right)
{
    uint64_t h = ((uint64_t)left << 21 | right) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(h >> 40) & (LINN_NEIGHBOUR_BITS - 1);
}

bool linn_spm_neighbours(const linn_tokenizer *t, uint32_t left, uint32_t right)
{
    uint32_t bit = neighbour_bit(left, right);
    return t->neighbours[bit / 64] >> (bit % 64) & 1;
}

static void note_neighbours(linn_tokenizer *t, const linn_string *text)
{
    uint32_t before = 0, c = 0;
    for (size_t i = 0; i < text->length;) {
        size_t n = linn_utf8_decode(text->data + i, text->length - i, &c);
        if (i > 0) {
            uint32_t bit = neighbour_bit(before, c);
            t->neighbours[bit / 64] |= (uint64_t)1 << (bit % 64);
        }
        before = c;
        i += n;
    }
}

int linn_spm_prepare(linn_tokenizer *t, linn_error *err)
{
    t->neighbours = linn_alloc(LINN_NEIGHBOUR_BITS / 64, sizeof *t->neighbours);
    if (!t->neighbours)
        return linn_fail(err, LINN_ENOMEM, "out of memory for a vocabulary");
    for (size_t i = 0; i < t->ids.n_slots; i++)
        if (t->ids.slots[i].id >= 0)
            note_neighbours(t, &t->texts[t->ids.slots[i].id]);
    return LINN_OK;
}

/* ---- merging ------------------------------------------------------------------------------ */

typedef struct pieces {
    const linn_tokenizer *t;
    const char *text;
} pieces;

/* Scores as integers in falling order: the bits of a float, with the negative ones turned round,
 * grow with it. */
static uint32_t falling(float score)
{
    score += 0.0f; /* no -0 */
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    return bits & 0x80000000u ? bits : ~bits & 0x7fffffffu;
}

static bool pair(const void *arg, const linn_symbol *symbols, uint32_t left, uint32_t *order,
                 int32_t *id)
{
    const pieces *p = arg;
    size_t size = symbols[left].length + (size_t)symbols[left + symbols[left].length].length;
    if (size > p->t->longest)
        return false;
    *id = linn_text_table_find(&p->t->ids, p->t->texts, p->text + left, size);
    if (*id < 0)
        return false;
    *order = falling(p->t->scores[*id]);
    return true;
}

void linn_spm_merge(linn_encoder *e, const char *text, uint32_t length)
{
    const linn_tokenizer *t = e->t;
    uint32_t before = 0;
    for (uint32_t i = 0; i < length;) {
        uint32_t c, n = (uint32_t)linn_utf8_decode(text + i, length - i, &c);
        int32_t id = linn_text_table_find(&t->ids, t->texts, text + i, n);
        e->symbols[i] = (linn_symbol){n, before, id};
        before = i;
        i += n;
    }
    linn_merge(e->symbols, length, e->heap, pair, &(pieces){t, text});
}

/* ---- cutting ------------------------------------------------------------------------------ */

/* Appends the text with blanks for U+2581. */
static void write_blanks(linn_encoder *e, const char *text, size_t length)
{
    static const char mark[] = "\xe2\x96\x81";
    for (;;) {
        const char *place = memmem(text, length, mark, 3);
        size_t n = place ? (size_t)(place - text) : length;
        memcpy(e->next, text, n);
        e->next += n;
        if (!place)
            return;
        *e->next++ = ' ';
        text = place + 3;
        length -= n + 3;
    }
}

int linn_spm_encode(linn_encoder *e, const char *text, size_t length)
{
    char *begin = e->next;
    if (e->t->add_space)
        *e->next++ = ' ';
    write_blanks(e, text, length);
    uint32_t before = 0, c;
    size_t n;
    const char *word = begin;
    for (const char *at = begin; at < e->next; at += n, before = c) {
        n = linn_utf8_decode(at, (size_t)(e->next - at), &c);
        if (at == word || linn_spm_neighbours(e->t, before, c))
            continue;
        int code = linn_encode_word(e, word, (size_t)(at - word));
        if (code != LINN_OK)
            return code;
        word = at;
    }
    return linn_encode_word(e, word, (size_t)(e->next - word));
}
