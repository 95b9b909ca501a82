/* linn_tools.h - what surrounds the running of models: looking into GGUF files, quantising
 * them, building n-gram tables, planning cascades, measuring.
 *
 * Conventions are those of linn.h. Files are written to a temporary name and appear when
 * they are complete.
 */
#ifndef LINN_TOOLS_H
#define LINN_TOOLS_H

#include "linn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- GGUF files, for looking into any of them --------------------------------------- */

typedef struct linn_file linn_file;
typedef struct linn_tensor_info {
    const char *name;
    const char *type; /* "Q8_0" */
    int n_dims;
    uint64_t shape[4]; /* elements, fastest first; 1 beyond n_dims */
    uint64_t offset;   /* from the start of the file */
    uint64_t size;     /* bytes; 0: a type that linn has no code for */
} linn_tensor_info;

LINN_API int linn_file_open(linn_file **out, const char *path, linn_error *err);
LINN_API void linn_file_close(linn_file *f);
LINN_API int linn_file_version(const linn_file *f); /* of GGUF: 2 or 3 */
LINN_API size_t linn_file_keys(const linn_file *f);
LINN_API const char *linn_file_key(const linn_file *f, size_t i); /* borrowed, "" past the end */
/* Writes the value of key i as JSON into out[capacity], cut to at most max_items of an
 * array (the rest becomes a string "... N more"); returns the length it needs, as snprintf. */
LINN_API size_t linn_file_value(const linn_file *f, size_t i, size_t max_items, char *out,
                                size_t capacity);
LINN_API size_t linn_file_tensors(const linn_file *f);
LINN_API int linn_file_tensor(const linn_file *f, size_t i, linn_tensor_info *out);

/* ---- quantising files ------------------------------------------------------------------ */

typedef struct linn_quantize_step {
    const char *tensor, *from, *to; /* its types */
    const char *note;               /* why it is not the type that belongs there; NULL: it is */
    uint64_t done, total;           /* values, of all tensors */
} linn_quantize_step;

typedef struct linn_quantize_settings {
    const char *type; /* one of linn_quantize_type, letter case ignored */
    bool pure;        /* all matrices in one type, where "Q4_K_M" means a mixture */
    bool requantize;  /* quantise what has lost precision before, too */
    void *user;
    bool (*on_step)(void *user, const linn_quantize_step *step); /* may be NULL; false cancels */
} linn_quantize_settings;

LINN_API const char *linn_quantize_type(size_t i); /* "Q4_K_M", ...; NULL past the end */
/* Copies a GGUF file with its matrices in other types. `out` appears when it is complete. */
LINN_API int linn_quantize_file(linn_engine *e, const char *in, const char *out,
                                const linn_quantize_settings *s, linn_error *err);

/* ---- building n-gram tables -------------------------------------------------------- */

typedef struct linn_ngram_settings {
    int32_t order;      /* 2 to 5 */
    int32_t min_count;  /* what was seen less often is left out; at least 1 */
    uint64_t max_bytes; /* of the file: what helps least for its size is left out */
    void *user;
    bool (*on_progress)(void *user, double share); /* 0 to 1; false cancels; may be NULL */
} linn_ngram_settings;

LINN_API linn_ngram_settings linn_ngram_settings_default(void); /* order 5, 2, 4 MB */
/* Writes a table of text[n], in which -1 parts what does not belong together. Takes about 12 bytes
 * of memory a token, and 30 for each n-gram that was seen min_count times. */
LINN_API int linn_ngram_build(const char *path, const linn_tokenizer *t, const linn_token *text,
                              size_t n, const linn_ngram_settings *s, linn_error *err);

/* ---- planning: how fast a cascade would be ------------------------------------------ */

enum { LINN_MAX_WIDTHS = 32, LINN_MAX_ORDER = LINN_MAX_LEVELS - 2 };

/* What a forward pass costs by its rows, at n widths: straight lines between them and beyond the
 * last two. n = 1: the same at any width. */
typedef struct linn_pass_cost {
    int n;
    int32_t rows[LINN_MAX_WIDTHS]; /* rising */
    double cost[LINN_MAX_WIDTHS];  /* above 0, in the same unit for all levels */
} linn_pass_cost;

/* Level 0 is the target, then the drafters come, largest first; a statistical level is last.
 * Acceptance is taken to be independent from token to token. */
typedef struct linn_plan {
    int n_levels;
    bool statistical; /* the last level proposes `block` tokens without a pass */
    double hit;       /* how often it has something to propose */
    double alpha[LINN_MAX_LEVELS][LINN_MAX_LEVELS]; /* [r][j]: the chance that level r accepts a
                                                       token of level j > r after accepting those
                                                       before it */
    linn_pass_cost cost[LINN_MAX_LEVELS];           /* of a statistical one: by tokens proposed */
} linn_plan;

/* As in linn_cascade_settings: a matrix [n_levels - 1, n_levels - 1]. A first row of zeros: the
 * target alone. */
typedef struct linn_plan_cascade {
    int32_t k_matrix[LINN_MAX_ORDER * LINN_MAX_ORDER];
    int32_t block;
} linn_plan_cascade;

typedef struct linn_forecast {
    double tokens, cost; /* of a round, which has one pass of the target */
    double speed;        /* tokens for the cost, over the same of the target alone */
    double error;        /* of a simulation: the standard error of speed; else 0 */
    double passes[LINN_MAX_LEVELS], rows[LINN_MAX_LEVELS]; /* of a round */
} linn_forecast;

typedef enum linn_plan_shape {
    LINN_PLAN_TWO,        /* the target and one drafter: speculative decoding, prompt lookup */
    LINN_PLAN_VERTICAL,   /* a chain: each level drafts for the one above it only */
    LINN_PLAN_HORIZONTAL, /* several drafters for the target, none for each other */
    LINN_PLAN_COMBINED,   /* any matrix, the ones above and the target alone included */
} linn_plan_shape;

typedef struct linn_plan_search {
    linn_plan_shape shape;
    unsigned levels; /* bit j: level j may draft */
    int32_t total;   /* of the first row; 0: any */
    int32_t most;    /* of an entry and of the block, 1 to 64 */
} linn_plan_search;

/* What a cascade that decides as it goes (LINN_CASCADE_AUTO) has learned of its levels until now,
 * its profile included, for texts of that temperature; costs in nanoseconds. LINN_EINVAL when it
 * is another cascade, or has learned nothing yet. */
LINN_API int linn_plan_learned(const linn_cascade *c, float temperature, linn_plan *out,
                               linn_error *err);
/* Exact expectations. */
LINN_API int linn_plan_evaluate(const linn_plan *p, const linn_plan_cascade *c, linn_forecast *out,
                                linn_error *err);
/* The same by drawing (rounds: at least 1). */
LINN_API int linn_plan_simulate(const linn_plan *p, const linn_plan_cascade *c, int64_t rounds,
                                uint64_t seed, linn_forecast *out, linn_error *err);
/* The fastest of a shape, by climbing from many starts; LINN_EINVAL when the levels do not suffice
 * for the shape. */
LINN_API int linn_plan_best(const linn_plan *p, const linn_plan_search *s, linn_plan_cascade *out,
                            linn_forecast *forecast, linn_error *err);

/* ---- measuring ---------------------------------------------------------------------------- */

/* Bytes a second that the engine's threads together read from `bytes` of memory (best of rounds).
 */
LINN_API int linn_measure_memory(linn_engine *e, size_t bytes, int rounds, double *bytes_per_second,
                                 linn_error *err);

typedef struct linn_product_case {
    const char *type;       /* of the weights: one of linn_product_type, letter case ignored */
    int32_t n_rows, n_cols; /* of the matrix; n_cols: a multiple of 256 */
    int32_t width;          /* tokens of a pass: columns that it is multiplied with */
} linn_product_case;

LINN_API const char *linn_product_type(size_t i); /* "Q8_0", ...; NULL past the end */
/* Seconds of the product of a matrix by the engine's threads together: seconds[rounds], each the
 * mean of as many products as fill a millisecond. */
LINN_API int linn_measure_product(linn_engine *e, const linn_product_case *c, int rounds,
                                  double *seconds, linn_error *err);

#ifdef __cplusplus
}
#endif

#endif
