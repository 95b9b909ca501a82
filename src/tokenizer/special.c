/* special.c - see special.h. */
#include "tokenizer/special.h"

#include "base/memory.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

/* ---- building --------------------------------------------------------------------------- */

static int longest_first(const void *a, const void *b, void *texts_)
{
    const linn_string *texts = texts_;
    int32_t x = ((const linn_special *)a)->token, y = ((const linn_special *)b)->token;
    if (texts[x].length != texts[y].length)
        return texts[x].length > texts[y].length ? -1 : 1;
    return x < y ? -1 : x > y;
}

static int32_t child_of(const linn_specials *s, int32_t node, uint8_t byte)
{
    if (node == 0)
        return s->first[byte];
    int32_t child = s->nodes[node].child;
    while (child && s->nodes[child].byte != byte)
        child = s->nodes[child].sibling;
    return child;
}

static int32_t add_child(linn_specials *s, int32_t node, uint8_t byte)
{
    int32_t child = (int32_t)s->n_nodes++;
    s->nodes[child] = (linn_special_node){.byte = byte, .found = -1};
    if (node == 0) {
        s->first[byte] = child;
    } else {
        s->nodes[child].sibling = s->nodes[node].child;
        s->nodes[node].child = child;
    }
    return child;
}

/* The texts as a tree. */
static void plant(linn_specials *s)
{
    size_t kept = 0;
    s->nodes[0].found = -1;
    s->n_nodes = 1;
    for (size_t i = 0; i < s->n; i++) {
        const linn_string *text = &s->texts[s->items[i].token];
        int32_t node = 0;
        for (size_t j = 0; j < text->length; j++) {
            uint8_t byte = (uint8_t)text->data[j];
            int32_t child = child_of(s, node, byte);
            node = child ? child : add_child(s, node, byte);
        }
        if (node == 0 || s->nodes[node].found >= 0)
            continue;
        s->nodes[node].found = (int32_t)kept;
        s->items[kept++] = s->items[i];
    }
    s->n = kept;
}

static int32_t step(const linn_specials *s, int32_t node, uint8_t byte)
{
    for (;;) {
        int32_t child = child_of(s, node, byte);
        if (child || node == 0)
            return child;
        node = s->nodes[node].shorter;
    }
}

/* Links each node to its longest proper suffix, level by level (Aho and Corasick 1975,
 * algorithm 3). queue has room for all nodes. */
static void link_suffixes(linn_specials *s, int32_t *queue)
{
    size_t head = 0, tail = 0;
    for (int byte = 0; byte < 256; byte++)
        if (s->first[byte])
            queue[tail++] = s->first[byte];
    while (head < tail) {
        int32_t node = queue[head++];
        for (int32_t child = s->nodes[node].child; child; child = s->nodes[child].sibling) {
            int32_t shorter = step(s, s->nodes[node].shorter, s->nodes[child].byte);
            s->nodes[child].shorter = shorter;
            s->nodes[child].next_found =
                s->nodes[shorter].found >= 0 ? shorter : s->nodes[shorter].next_found;
            queue[tail++] = child;
        }
    }
}

bool linn_specials_build(linn_specials *s, linn_special *items, size_t n, const linn_string *texts)
{
    *s = (linn_specials){.texts = texts, .items = items};
    size_t bytes = 1;
    for (size_t i = 0; i < n; i++) {
        const linn_string *text = &texts[items[i].token];
        if (linn_utf8_check(text->data, text->length) < text->length)
            continue; /* would cut a text inside a character */
        items[s->n++] = items[i];
        bytes += text->length;
    }
    n = s->n;
    if (bytes > INT32_MAX)
        return false;
    if (n > 0)
        qsort_r(items, n, sizeof *items, longest_first, (void *)texts);
    s->nodes = linn_alloc(bytes, sizeof *s->nodes);
    int32_t *queue = linn_alloc(bytes, sizeof *queue);
    if (s->nodes && queue) {
        plant(s);
        link_suffixes(s, queue);
    }
    free(queue);
    return s->nodes && queue;
}

void linn_specials_free(linn_specials *s)
{
    free(s->items);
    free(s->nodes);
    *s = (linn_specials){0};
}

/* ---- cutting ---------------------------------------------------------------------------- */

/* Marks in seen[n_nodes] the nodes of all tokens that occur; returns whether any does. */
static bool scan(const linn_specials *s, const char *text, size_t length, uint8_t *seen)
{
    bool any = false;
    int32_t node = 0;
    for (size_t i = 0; i < length; i++) {
        node = step(s, node, (uint8_t)text[i]);
        int32_t end = s->nodes[node].found >= 0 ? node : s->nodes[node].next_found;
        /* what follows a marked node along the links is marked already */
        for (; end && !seen[end]; end = s->nodes[end].next_found) {
            seen[end] = 1;
            any = true;
        }
    }
    return any;
}

typedef struct fragments {
    linn_fragment *items;
    size_t n, capacity;
} fragments;

/* Puts a fragment behind `at` and returns its index; -1: out of memory. */
static int32_t insert(fragments *f, int32_t at, const char *text, size_t length, int32_t token)
{
    if (f->n == f->capacity) {
        size_t capacity = f->capacity ? 2 * f->capacity : 16;
        linn_fragment *items =
            capacity <= INT32_MAX / 2 ? realloc(f->items, capacity * sizeof *items) : NULL;
        if (!items)
            return -1;
        f->items = items;
        f->capacity = capacity;
    }
    int32_t i = (int32_t)f->n++;
    f->items[i] = (linn_fragment){text, length, token, -1};
    if (at >= 0) {
        f->items[i].next = f->items[at].next;
        f->items[at].next = i;
    }
    return i;
}

/* The bytes that C's isspace takes in the C locale. */
static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Cuts fragment `at` at every place of the special token. Returns the last of what it became;
 * -1: out of memory. What is left of the text keeps its fragment even when it is empty. */
static int32_t cut(fragments *f, int32_t at, const linn_special *special, const linn_string *word)
{
    const char *text = f->items[at].text;
    size_t length = f->items[at].length;
    for (;;) {
        const char *place = memmem(text, length, word->data, word->length);
        if (!place)
            return at;
        f->items[at].length = (size_t)(place - text);
        length -= (size_t)(place - text) + word->length;
        text = place + word->length;
        while (special->strip_right && length > 0 && is_blank(*text)) {
            text++;
            length--;
        }
        at = insert(f, at, place, word->length, special->token);
        if (at >= 0)
            at = insert(f, at, text, length, -1);
        if (at < 0)
            return -1;
    }
}

bool linn_specials_split(const linn_specials *s, const char *text, size_t length, bool only_user,
                         linn_fragment **out)
{
    fragments f = {0};
    uint8_t *seen = linn_alloc(s->n_nodes, 1);
    *out = NULL;
    if (!seen || insert(&f, -1, text, length, -1) < 0)
        goto fail;
    if (scan(s, text, length, seen)) {
        /* nodes to items: from here on seen[] is by token, the longest first */
        uint8_t *present = linn_alloc(s->n, 1);
        if (!present)
            goto fail;
        for (size_t node = 1; node < s->n_nodes; node++)
            if (seen[node])
                present[s->nodes[node].found] = 1;
        free(seen);
        seen = present;
        for (size_t i = 0; i < s->n; i++) {
            if (!present[i] || (only_user && !s->items[i].user))
                continue;
            for (int32_t at = 0; at >= 0; at = f.items[at].next) {
                if (f.items[at].token < 0)
                    at = cut(&f, at, &s->items[i], &s->texts[s->items[i].token]);
                if (at < 0)
                    goto fail;
            }
        }
    }
    free(seen);
    *out = f.items;
    return true;
fail:
    free(seen);
    free(f.items);
    return false;
}
