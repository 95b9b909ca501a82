/* auto.h - the marginal rule as a policy: draft further while the expected saving exceeds the
 * cost (auto.c), and what it has learned, which a profile keeps (profile.h).
 */
#ifndef LINN_CASCADE_AUTO_H
#define LINN_CASCADE_AUTO_H

#include "cascade/calibration.h"
#include "cascade/cascade.h"
#include "cascade/widths.h"

/* What is known of a level. */
typedef struct linn_auto_level {
    linn_widths widths;
    double read_ns;        /* a token of a prompt, in wide passes; 0: unknown */
    double spent_ns, made; /* of late: the time that its steps took, and the tokens they added */
    uint64_t n_passes;
    double size; /* parameters over the target's: what is guessed of its passes */
} linn_auto_level;

/* For a cascade whose passes are shared with those of others (serve/): what theirs add. Whoever
 * runs the passes keeps it up to date. Then all costs are those of the machine: a pass that is made
 * anyway costs what one's own rows add to it. */
typedef struct linn_company {
    const linn_widths *widths[LINN_MAX_MODELS]; /* T(n) of each level's passes */
    int32_t others[LINN_MAX_MODELS];            /* rows of others in them */
    double token_ns; /* of passes that a token of the target takes of late; 0: unknown */
    double step_ns;  /* between two passes */
} linn_company;

/* What a statistical drafter would say at a position. */
typedef struct linn_shadow {
    int32_t position; /* -1: nothing */
    linn_token token;
    int bin;
} linn_shadow;

typedef struct linn_auto {
    linn_policy policy;
    int n_models, n_sources; /* sources: the lines of linn_stats */
    linn_auto_level levels[LINN_MAX_MODELS];
    const linn_company *company; /* NULL: alone; borrowed */
    linn_calibration calibration;
    uint8_t *source, *bin; /* [n_ctx] who vouches for a drafted token, and how surely */
    linn_shadow shadows[LINN_MAX_MODELS][2];
    linn_proposal proposals[2][LINN_OPEN_DRAFT]; /* what each statistical drafter says now */
    int32_t n_proposals[2];
    double ask_ns[2], ask_gain[2];     /* of a drafter that is slow to ask: cost and use of late */
    double look_ns;                    /* to look what is on offer */
    double look_gain[LINN_HEATS];      /* and what a look brought of late */
    int32_t first_look;                /* tokens of the text to be said before */
    double explore;                    /* share of the time for trying */
    double allowance[LINN_MAX_LEVELS]; /* nanoseconds that may be lost to try a source */
    uint64_t n_tries;
    double between_ns; /* of a token, beside passes: sampling, and what drafts without passes */
    int32_t rounds_since_plain;
    double passes_ns, usual_ns; /* all passes, and no more than twice what each was to take */
    bool read_now;              /* a level has read more than a few tokens in this round */
    /* since it was made */
    uint64_t n_asked, n_answered; /* of the first statistical drafter, for the target */
    uint64_t n_rounds, n_drafted_rounds, n_explored;
    /* the profile */
    char *profile; /* its path; NULL: none is kept */
    uint64_t key;
    char note[500]; /* why it was not used; "": it was, or it is not there */
} linn_auto;

/* Takes the place of the cascade's fixed policy. The K matrix must be open. */
int linn_auto_install(linn_cascade *c, double explore, linn_error *err);
/* Takes what the profile of that key in a folder holds, if it is one, and will save it there. */
int linn_auto_remember(linn_cascade *c, const char *folder, uint64_t key, linn_error *err);
/* NULL: another policy is at work. */
linn_auto *linn_auto_of(const linn_cascade *c);

/* A pass of level r, as far as it is known or guessed; 0: not at all. */
double linn_auto_pass_ns(const linn_auto *a, int r, int32_t rows);
double linn_auto_token_ns(const linn_auto *a, int r); /* a token that level r writes */

#endif
