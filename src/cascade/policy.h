/* policy.h - what is drafted next: the one question that the recursion asks.
 *
 * A policy is asked before every step of a draft who shall write on, and is told what came of
 * it. In coupled mode nothing that it says can change the text, so it may read clocks, learn and
 * differ between runs. (In rejection mode it must not: the distribution would stay, since a
 * token that was drawn is never taken back, but a seed would no longer stand for a text.) Two are
 * here: the K matrix (policy.c), and the marginal rule (auto.h).
 */
#ifndef LINN_CASCADE_POLICY_H
#define LINN_CASCADE_POLICY_H

#include "linn.h"

/* A draft in the making. */
typedef struct linn_draft linn_draft;
struct linn_draft {
    int reviewer;            /* the level that will judge it */
    const linn_draft *outer; /* the draft that the reviewer's tokens go to; NULL: the text itself */
    int32_t base;            /* where it begins */
    int32_t most;            /* tokens it may have */
    int source;     /* the level that the last step was of; before the first the reviewer */
    int32_t before; /* the text's length before that step */

    /* for the marginal rule */
    double value;               /* of one token that the reviewer adds, in nanoseconds */
    double chance;              /* that all that is drafted passes */
    bool begun;                 /* the policy was asked before */
    int64_t start_ns;           /* when that was; 0: the clock was not read */
    double passes_ns, usual_ns; /* of all passes until then, as in auto.h */
    unsigned silent;            /* bit j: level j had nothing to add */
    bool exploring;
};

/* What a reviewer says of one position. */
typedef struct linn_verdict {
    bool drafted;   /* the draft has a token there */
    bool passed;    /* and it may stay */
    linn_token own; /* if it did not pass, or where the draft is over: the reviewer's own token */
    float margin;   /* by how much the score of what now stands there exceeds the next best; of a
                       coupled level below the target, if the policy wants it */
} linn_verdict;

typedef struct linn_cascade linn_cascade;
typedef struct linn_policy linn_policy;
struct linn_policy {
    /* The level that writes on, one of those below the reviewer, or 0: the draft is reviewed as it
     * is. For the statistical level what it proposes, and the policy takes, stands in
     * c->proposals then. */
    int (*next)(linn_policy *p, linn_cascade *c, linn_draft *d);
    bool wants_margins;
    /* These may be NULL. */
    void (*begin)(linn_policy *p, linn_cascade *c); /* a request */
    void (*passed)(linn_policy *p, int level, int32_t rows, int32_t n_outputs, int64_t ns);
    void (*judged)(linn_policy *p, linn_cascade *c, int reviewer, int32_t position,
                   const linn_verdict *v);
    void (*reviewed)(linn_policy *p, linn_cascade *c, const linn_draft *d); /* the text stands */
    void (*free)(linn_policy *p);
};

/* As the K matrix says. */
int linn_policy_fixed(linn_policy *p, linn_cascade *c, linn_draft *d); /* its `next` */

/* Asks statistical drafter i for at most n tokens, into c->proposals; returns how many. */
int32_t linn_ask(linn_cascade *c, int i, int32_t n);

#endif
