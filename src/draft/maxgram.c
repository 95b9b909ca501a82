/* maxgram.c - a suffix automaton of the committed tokens (Blumer et al. 1985), and a
 * cursor in it for the draft.
 *
 * A state stands for all substrings that end at the same set of positions; they are the
 * suffixes of its longest one down to one longer than that of its suffix link. For n
 * tokens there are at most 2n states and 3n - 4 transitions, whatever the vocabulary.
 * Most states have one transition, which lies in the state itself. The others lie in one
 * hash table, chained by state: at most n - 1 of them, because every state but the last
 * has a transition of its own and a spanning tree has one less than there are states.
 * So what is needed at once lies together, and a step costs a cache miss or two.
 *
 * Memory a position: two states of 24 bytes, two slots of 16 (the table is at most half
 * full), a token of 4, a cursor of 8.
 *
 * Committing a token costs O(1) amortised. A drafted token moves the cursor by a transition,
 * after as many suffix links as it takes to find one: O(1) amortised over tokens without
 * rolling back; at worst the length of the chain of links, which is about log n in
 * natural text and the length of a run of one token at the end of such a run. Both wait until
 * a proposal is asked for: who asks seldom pays little, and most drafted tokens are committed
 * or rolled back before that.
 *
 * Occurrences: a state knows one position where its substrings end. A commit records its
 * own position along at most CHAIN links, longest matches first; so the position is the
 * most recent one, except for matches so short that more than CHAIN longer kinds of match
 * stood before them.
 */
#include "draft/maxgram.h"

#include "base/error.h"
#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHAIN = 32,              /* links along which a commit records its position */
    MAX_POSITIONS = 1 << 29, /* states and slots are counted by int32_t */
    NONE = -1,               /* no state, no token */
    ROOT = 0,                /* the state of the empty substring */
    SLOTS = 2,
    SPARE_SLOTS = 2 /* of the table: SLOTS a position and SPARE_SLOTS */
};

typedef struct state {
    int32_t length;   /* of its longest substring */
    int32_t link;     /* the state of the longest suffix that ends elsewhere too; NONE of ROOT */
    int32_t last;     /* a position where it ends */
    linn_token token; /* its first transition; NONE: it has none */
    int32_t target;
    int32_t more; /* slot of the next one + 1; 0: no more */
} state;

typedef struct edge {
    int32_t owner; /* state + 1; 0: a free slot */
    linn_token token;
    int32_t target;
    int32_t next; /* slot + 1 of another of the same state; 0: no more */
} edge;

typedef struct cursor {
    int32_t state, length; /* the match: the suffix of that length is a substring of state */
} cursor;

typedef struct maxgram {
    linn_drafter base;
    int32_t n_positions, committed, length;
    int32_t indexed, moved; /* how far the states and the cursor have come: catch_up */
    state *states;          /* [2 n_positions + 1] */
    edge *edges;            /* [n_slots] */
    int32_t n_states, last; /* last: the state of the whole text */
    uint32_t n_slots;
    linn_token *tokens; /* [n_positions]: committed, then drafted */
    cursor *cursors;    /* [n_positions + 1]: entry i: at indexed + i, up to `moved` */
    int32_t source; /* where the match of cursors[0] ended before its last token recorded itself */
} maxgram;

static_assert(sizeof(state) == 24 && sizeof(edge) == 16 && sizeof(cursor) == 8,
              "the bytes a position in maxgram.h");

/* ---- transitions ------------------------------------------------------------------- */

static uint32_t slot_of(const maxgram *m, int32_t owner, linn_token token)
{
    uint64_t h = (uint64_t)(uint32_t)owner * 0x9e3779b97f4a7c15u ^
                 (uint64_t)(uint32_t)token * 0xc2b2ae3d27d4eb4fu;
    h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9u;
    return (uint32_t)((h >> 32) * m->n_slots >> 32);
}

static uint32_t next_slot(const maxgram *m, uint32_t slot)
{
    return slot + 1 == m->n_slots ? 0 : slot + 1;
}

/* Where the target of s under the token is kept, or NULL. */
static int32_t *find(const maxgram *m, int32_t s, linn_token token)
{
    state *at = &m->states[s];
    if (at->token == token)
        return &at->target;
    if (at->more == 0)
        return NULL;
    for (uint32_t i = slot_of(m, s + 1, token); m->edges[i].owner != 0; i = next_slot(m, i))
        if (m->edges[i].owner == s + 1 && m->edges[i].token == token)
            return &m->edges[i].target;
    return NULL;
}

/* Adds a transition that is not there. */
static void add(maxgram *m, int32_t s, linn_token token, int32_t target)
{
    state *at = &m->states[s];
    if (at->token == NONE) {
        at->token = token;
        at->target = target;
        return;
    }
    uint32_t i = slot_of(m, s + 1, token);
    while (m->edges[i].owner != 0)
        i = next_slot(m, i);
    m->edges[i] = (edge){.owner = s + 1, .token = token, .target = target, .next = at->more};
    at->more = (int32_t)i + 1;
}

/* A new state for those substrings of q that are at most `length` long. */
static int32_t split(maxgram *m, int32_t q, int32_t length)
{
    int32_t clone = m->n_states++;
    const state *from = &m->states[q];
    m->states[clone] = *from;
    m->states[clone].length = length;
    m->states[clone].more = 0;
    for (int32_t e = from->more; e != 0; e = m->edges[e - 1].next)
        add(m, clone, m->edges[e - 1].token, m->edges[e - 1].target);
    m->states[q].link = clone;
    return clone;
}

/* ---- committed text ------------------------------------------------------------------ */

/* Takes in tokens[position]. */
static void extend(maxgram *m, int32_t position)
{
    linn_token token = m->tokens[position];
    int32_t new = m->n_states++, at = m->last, link = ROOT;
    m->states[new] = (state){.length = position + 1, .last = position, .token = NONE};
    int32_t *target = NULL;
    while (at != NONE && !(target = find(m, at, token))) {
        add(m, at, token, new);
        at = m->states[at].link;
    }
    if (target) {
        link = *target;
        int32_t length = m->states[at].length + 1;
        if (m->states[link].length != length) {
            int32_t whole = link;
            link = split(m, whole, length);
            while (target && *target == whole) {
                *target = link;
                at = m->states[at].link;
                target = at == NONE ? NULL : find(m, at, token);
            }
        }
    }
    m->states[new].link = link;
    m->last = new;
}

/* Records that the suffixes of the text end at `position`. */
static void record(maxgram *m, int32_t position)
{
    int32_t s = m->states[m->last].link;
    m->source = m->states[s].last;
    for (int i = 0; i < CHAIN && s != ROOT; i++) {
        m->states[s].last = position;
        s = m->states[s].link;
    }
}

/* ---- the draft ----------------------------------------------------------------------- */

static cursor *cursor_at(const maxgram *m, int32_t length)
{
    return &m->cursors[length - m->indexed];
}

static void move(maxgram *m)
{
    cursor c = *cursor_at(m, m->moved);
    const int32_t *target;
    linn_token token = m->tokens[m->moved++];
    while (!(target = find(m, c.state, token)) && c.state != ROOT) {
        c.state = m->states[c.state].link;
        c.length = m->states[c.state].length;
    }
    *cursor_at(m, m->moved) = target ? (cursor){*target, c.length + 1} : (cursor){ROOT, 0};
}

static void push(linn_drafter *d, linn_token token)
{
    maxgram *m = (maxgram *)d;
    assert(m->length < m->n_positions && token >= 0);
    m->tokens[m->length++] = token;
}

static void roll_back(linn_drafter *d, int32_t length)
{
    maxgram *m = (maxgram *)d;
    assert(length >= m->committed && length <= m->length);
    m->length = length;
    m->moved = m->moved < length ? m->moved : length;
}

static void commit(linn_drafter *d, int32_t committed)
{
    maxgram *m = (maxgram *)d;
    assert(committed >= m->committed && committed <= m->length);
    m->committed = committed;
}

/* Does what commits and pushes since the last proposal left undone. */
static void catch_up(maxgram *m)
{
    if (m->indexed < m->committed) {
        for (int32_t i = m->indexed; i < m->committed; i++) {
            extend(m, i);
            record(m, i);
        }
        int32_t link = m->states[m->last].link;
        m->indexed = m->moved = m->committed; /* what is a draft may match the new text */
        m->cursors[0] = (cursor){link, m->states[link].length};
    }
    while (m->moved < m->length)
        move(m);
}

static int32_t propose(linn_drafter *d, int32_t n, linn_proposal *out)
{
    maxgram *m = (maxgram *)d;
    catch_up(m);
    const cursor *c = cursor_at(m, m->length);
    if (c->length == 0)
        return 0;
    int32_t from = (m->length == m->committed ? m->source : m->states[c->state].last) + 1;
    for (int32_t i = 0; i < n; i++) {
        int32_t at = from + i;
        out[i] = (linn_proposal){
            .token = at < m->length ? m->tokens[at] : out[at - m->length].token,
            .source = LINN_SOURCE_MAXGRAM,
            .confidence = (float)(c->length + i),
        };
    }
    return n > 0 ? n : 0;
}

/* ---- life ---------------------------------------------------------------------------- */

static void restart(linn_drafter *d, linn_choice choice)
{
    (void)choice; /* there is one guess, at any temperature */
    maxgram *m = (maxgram *)d;
    for (int32_t s = 0; s < m->n_states; s++)
        for (int32_t e = m->states[s].more, next; e != 0; e = next) {
            next = m->edges[e - 1].next;
            m->edges[e - 1] = (edge){0};
        }
    m->states[ROOT] = (state){.link = NONE, .last = NONE, .token = NONE};
    m->n_states = 1;
    m->last = ROOT;
    m->committed = m->length = m->indexed = m->moved = 0;
    m->cursors[0] = (cursor){ROOT, 0};
}

static void free_maxgram(linn_drafter *d)
{
    maxgram *m = (maxgram *)d;
    free(m->states);
    free(m->edges);
    free(m->tokens);
    free(m->cursors);
    free(m);
}

int linn_maxgram_create(linn_drafter **out, int32_t n_positions, linn_error *err)
{
    *out = NULL;
    if (n_positions < 1 || n_positions > MAX_POSITIONS)
        return linn_fail(err, LINN_EINVAL, "Max-Gram: %d positions: must be from 1 to %d",
                         n_positions, MAX_POSITIONS);
    maxgram *m = linn_alloc(1, sizeof *m);
    if (!m)
        return linn_fail(err, LINN_ENOMEM, "Max-Gram: out of memory");
    size_t n = (size_t)n_positions;
    m->base = (linn_drafter){"Max-Gram", LINN_SOURCE_MAXGRAM, propose, push, roll_back, commit,
                             restart,    free_maxgram};
    m->n_positions = n_positions;
    m->n_slots = (uint32_t)(SLOTS * n + SPARE_SLOTS);
    m->states = linn_alloc(2 * n + 1, sizeof *m->states);
    m->edges = linn_alloc(m->n_slots, sizeof *m->edges);
    m->tokens = linn_alloc(n, sizeof *m->tokens);
    m->cursors = linn_alloc(n + 1, sizeof *m->cursors);
    if (!m->states || !m->edges || !m->tokens || !m->cursors) {
        free_maxgram(&m->base);
        return linn_fail(err, LINN_ENOMEM, "Max-Gram: out of memory: %d positions take %zu MB",
                         n_positions, 92 * n >> 20);
    }
    restart(&m->base, (linn_choice){0});
    *out = &m->base;
    return LINN_OK;
}
