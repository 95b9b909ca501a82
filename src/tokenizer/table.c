/* table.c - see table.h. */
#include "tokenizer/table.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* Multiply and fold: the high half of a product depends on all bits of both factors. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static const uint64_t odd_a = 0x9e3779b97f4a7c15u, odd_b = 0xd6e8feb86659fd93u;

uint64_t linn_hash(const char *data, size_t length)
{
    uint64_t h = length ^ odd_a, word;
    for (; length >= 8; length -= 8, data += 8) {
        memcpy(&word, data, 8);
        h = mix(h ^ word, odd_b);
    }
    word = 0;
    if (length > 0)
        memcpy(&word, data, length);
    return mix(h ^ word, odd_a);
}

/* A power of two of slots, of which n fill at most half. */
static size_t slots_for(size_t n)
{
    size_t slots = 16;
    while (slots / 2 < n)
        slots *= 2;
    return slots;
}

/* ---- texts ------------------------------------------------------------------------------ */

bool linn_text_table_init(linn_text_table *t, size_t n)
{
    t->n = 0;
    t->n_slots = slots_for(n);
    t->slots = linn_alloc(t->n_slots, sizeof *t->slots);
    if (!t->slots)
        return false;
    for (size_t i = 0; i < t->n_slots; i++)
        t->slots[i].id = -1;
    return true;
}

void linn_text_table_free(linn_text_table *t)
{
    free(t->slots);
    *t = (linn_text_table){0};
}

int32_t linn_text_table_find(const linn_text_table *t, const linn_string *texts, const char *data,
                             size_t length)
{
    uint64_t h = linn_hash(data, length);
    uint32_t upper = (uint32_t)(h >> 32);
    for (size_t i = h & (t->n_slots - 1);; i = (i + 1) & (t->n_slots - 1)) {
        const linn_text_slot *slot = &t->slots[i];
        if (slot->id < 0)
            return -1;
        if (slot->hash == upper && texts[slot->id].length == length &&
            memcmp(texts[slot->id].data, data, length) == 0)
            return slot->id;
    }
}

static void place(linn_text_table *t, const linn_string *text, int32_t id)
{
    uint64_t h = linn_hash(text->data, text->length);
    size_t i = h & (t->n_slots - 1);
    while (t->slots[i].id >= 0)
        i = (i + 1) & (t->n_slots - 1);
    t->slots[i] = (linn_text_slot){(uint32_t)(h >> 32), id};
    t->n++;
}

bool linn_text_table_add(linn_text_table *t, const linn_string *texts, int32_t id)
{
    if (linn_text_table_find(t, texts, texts[id].data, texts[id].length) >= 0)
        return true;
    if (t->n >= t->n_slots / 2) {
        linn_text_table larger;
        if (!linn_text_table_init(&larger, t->n_slots))
            return false;
        for (size_t i = 0; i < t->n_slots; i++)
            if (t->slots[i].id >= 0)
                place(&larger, &texts[t->slots[i].id], t->slots[i].id);
        linn_text_table_free(t);
        *t = larger;
    }
    place(t, &texts[id], id);
    return true;
}

/* ---- pairs ------------------------------------------------------------------------------ */

bool linn_pair_table_init(linn_pair_table *t, size_t n)
{
    t->n_slots = slots_for(n);
    t->slots = linn_alloc(t->n_slots, sizeof *t->slots);
    if (!t->slots)
        return false;
    for (size_t i = 0; i < t->n_slots; i++)
        t->slots[i].left = -1;
    return true;
}

void linn_pair_table_free(linn_pair_table *t)
{
    free(t->slots);
    *t = (linn_pair_table){0};
}

static size_t pair_slot(const linn_pair_table *t, int32_t left, int32_t right)
{
    uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t i = mix(pair ^ odd_b, odd_a) & (t->n_slots - 1);
    while (t->slots[i].left >= 0 && (t->slots[i].left != left || t->slots[i].right != right))
        i = (i + 1) & (t->n_slots - 1);
    return i;
}

const linn_pair_slot *linn_pair_table_find(const linn_pair_table *t, int32_t left, int32_t right)
{
    const linn_pair_slot *slot = &t->slots[pair_slot(t, left, right)];
    return slot->left >= 0 ? slot : NULL;
}

void linn_pair_table_add(linn_pair_table *t, linn_pair_slot pair)
{
    size_t i = pair_slot(t, pair.left, pair.right);
    if (t->slots[i].left < 0)
        t->slots[i] = pair;
}
