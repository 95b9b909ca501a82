/* merge.c - see merge.h. */
#include "tokenizer/merge.h"

/* Moves the hole at `at` down to where `c` may stand. */
static void sink(linn_candidate *heap, size_t n, size_t at, linn_candidate c)
{
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && heap[child + 1].key < heap[child].key)
            child++;
        if (c.key <= heap[child].key)
            break;
        heap[at] = heap[child];
    }
    heap[at] = c;
}

static void push(linn_candidate *heap, size_t *n, linn_candidate c)
{
    size_t at = (*n)++;
    for (size_t parent; at > 0 && heap[parent = (at - 1) / 2].key > c.key; at = parent)
        heap[at] = heap[parent];
    heap[at] = c;
}

static linn_candidate pop(linn_candidate *heap, size_t *n)
{
    linn_candidate best = heap[0];
    size_t left = --*n;
    if (left > 0)
        sink(heap, left, 0, heap[left]);
    return best;
}

typedef struct merging {
    linn_symbol *symbols;
    uint32_t length;
    linn_pair_fn pair;
    const void *arg;
} merging;

/* Whether the symbol at `left` merges with its right neighbour. */
static bool propose(const merging *m, uint32_t left, linn_candidate *out)
{
    uint32_t right = left + m->symbols[left].length, order;
    if (right >= m->length || !m->pair(m->arg, m->symbols, left, &order, &out->id))
        return false;
    out->key = (uint64_t)order << 32 | left;
    out->size = m->symbols[left].length + m->symbols[right].length;
    return true;
}

/* Joins the symbol at `left` and its right neighbour. */
static void join(const merging *m, uint32_t left, uint32_t size, int32_t id)
{
    linn_symbol *symbols = m->symbols;
    symbols[left + symbols[left].length].length = 0;
    symbols[left].length = size;
    symbols[left].id = id;
    if (left + size < m->length)
        symbols[left + size].left = left;
}

void linn_merge(linn_symbol *symbols, uint32_t length, linn_candidate *heap, linn_pair_fn pair,
                const void *arg)
{
    merging m = {symbols, length, pair, arg};
    linn_candidate c;
    size_t n = 0;
    for (uint32_t i = 0; i < length; i += symbols[i].length)
        if (propose(&m, i, &c))
            heap[n++] = c;
    for (size_t i = n / 2; i-- > 0;)
        sink(heap, n, i, heap[i]);
    while (n > 0) {
        c = pop(heap, &n);
        uint32_t left = (uint32_t)c.key, before = symbols[left].left;
        uint32_t right = left + symbols[left].length;
        if (right == left || right >= length ||
            symbols[left].length + symbols[right].length != c.size)
            continue;
        join(&m, left, c.size, c.id);
        /* Each merge takes one candidate and adds two at most, and there are fewer merges than
         * symbols: the heap never holds more than twice their number. */
        if (left > 0 && propose(&m, before, &c))
            push(heap, &n, c);
        if (propose(&m, left, &c))
            push(heap, &n, c);
    }
}
