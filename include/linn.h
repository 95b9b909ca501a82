/* linn.h - the whole public interface of liblinn.
 *
 * linn runs language models from GGUF files, and makes them answer sooner by
 * Cascade Speculative Drafting (Chen et al., NeurIPS 2024) without changing one
 * byte of the answer: a model, a prompt, the sampling settings and a seed
 * determine the text; drafting, batching, threads and hardware do not.
 *
 * Objects and lifetimes. An *engine* owns the threads and picks the kernels. A
 * *model* is an immutable file of weights, shared by all who use it. A *session*
 * is one mutable timeline over a model: the tokens seen and their KV cache. A
 * *batch* holds the working memory and the outputs of forward passes. A *cascade*
 * is a target model with its drafters, and writes text. Free in reverse order of
 * making; every *_free takes NULL.
 *
 * Threads. Engines, models, tokenizers and files may be used from many threads
 * at once. A session, batch or cascade belongs to one thread at a time.
 *
 * Errors. What can fail returns LINN_OK or a negative code and fills *err (which
 * may be NULL) with one line: what, where, what to do. An *out parameter is NULL
 * after a failure. The library never prints and never exits.
 *
 * Looking into model files, making them and measuring is in linn_tools.h.
 *
 * Units. Positions and tokens are int32_t from 0; sizes are bytes unless named.
 */
#ifndef LINN_H
#define LINN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LINN_API __attribute__((visibility("default")))

enum {
    LINN_OK = 0,
    LINN_EINVAL = -1,       /* an argument or setting out of range */
    LINN_EIO = -2,          /* a file that cannot be read or written */
    LINN_EFORMAT = -3,      /* a file that breaks its format */
    LINN_EUNSUPPORTED = -4, /* a valid file or request that linn has no code for */
    LINN_ENOMEM = -5,
    LINN_ECONTEXT = -6,   /* the context limit was reached */
    LINN_ECANCELLED = -7, /* a callback said so */
};

typedef struct linn_error {
    int code;          /* LINN_OK or LINN_E* */
    char message[500]; /* one line, no newline */
} linn_error;

LINN_API const char *linn_version(void); /* "0.1.0" */
LINN_API int linn_numeric_version(void); /* equal numbers give equal text (docs/numerics.md) */

/* ---- engine: threads and kernels -------------------------------------------------- */

enum { /* instruction sets; plain C is always there */
       LINN_CPU_C = 0,
       LINN_CPU_AVX2 = 1 << 0, /* AVX2 + FMA + F16C */
       LINN_CPU_AVX512 = 1 << 1,
       LINN_CPU_NEON = 1 << 2,
       LINN_CPU_ANY = 0xff,
};

typedef struct linn_engine linn_engine;
typedef struct linn_engine_settings {
    int threads;  /* 0: as many as processors; never changes a result */
    unsigned cpu; /* LINN_CPU_* that may be used; never changes a result */
} linn_engine_settings;

LINN_API linn_engine_settings linn_engine_settings_default(void); /* heeds LINN_CPU=c|avx2|... */
LINN_API int linn_engine_create(linn_engine **out, const linn_engine_settings *s, linn_error *err);
LINN_API void linn_engine_free(linn_engine *e);
LINN_API int linn_engine_threads(const linn_engine *e);
LINN_API const char *linn_engine_cpu(const linn_engine *e); /* "avx2" */

/* ---- tokenizer ---------------------------------------------------------------------- */

typedef int32_t linn_token;
typedef struct linn_tokenizer linn_tokenizer;
typedef struct linn_chat_message {
    const char *role; /* "system", "user" or "assistant" */
    const char *content;
} linn_chat_message;

/* A vocabulary-only file is enough. */
LINN_API int linn_tokenizer_open(linn_tokenizer **out, const char *path, linn_error *err);
LINN_API void linn_tokenizer_free(linn_tokenizer *t);
LINN_API int32_t linn_tokenizer_size(const linn_tokenizer *t); /* tokens */

enum {
    LINN_TOKENIZE_BOS = 1,     /* add the begin (and end) tokens that the model asks for */
    LINN_TOKENIZE_SPECIAL = 2, /* recognise special tokens written out in the text */
};
/* Writes at most `capacity` ids and sets *n to how many the text has (call again with more room
 * if that is larger). The text is UTF-8; else LINN_EINVAL with the byte offset. */
LINN_API int linn_tokenize(const linn_tokenizer *t, const char *text, size_t length, unsigned flags,
                           linn_token *out, size_t capacity, size_t *n, linn_error *err);

/* The bytes of one token (not always whole characters), borrowed. Control tokens have none
 * unless `special`. */
LINN_API const char *linn_token_bytes(const linn_tokenizer *t, linn_token token, bool special,
                                      size_t *length);
LINN_API bool linn_token_is_end(const linn_tokenizer *t,
                                linn_token token); /* end of text or turn */

/* Joins the bytes of tokens into a stream that is cut only between UTF-8 characters. Zero it to
 * begin. `next` returns the text that became complete, valid until the next call; at the end,
 * `finish` gives what is left, bytes that are no UTF-8 replaced by U+FFFD. */
typedef struct linn_text_stream {
    char text[1024]; /* what was returned last */
    char held[4];    /* the start of a character */
    uint8_t n_held;
    bool started; /* a token was seen: the blank that SentencePiece adds in front is gone */
    bool special; /* set by the caller: write control tokens out */
} linn_text_stream;
LINN_API const char *linn_text_next(linn_text_stream *s, const linn_tokenizer *t, linn_token token,
                                    size_t *length);
LINN_API const char *linn_text_finish(linn_text_stream *s, size_t *length);

/* Formats a conversation as the model's chat template does, ending where the assistant speaks.
 * As snprintf: writes at most capacity bytes, sets *length to what it needs. LINN_EUNSUPPORTED
 * when the file's template is not one that linn knows. */
LINN_API int linn_chat_format(const linn_tokenizer *t, const linn_chat_message *messages, size_t n,
                              char *out, size_t capacity, size_t *length, linn_error *err);
LINN_API const char *
linn_chat_template_name(const linn_tokenizer *t); /* "chatml"; NULL: none known */

/* ---- model, session, forward pass ------------------------------------------------------ */

typedef struct linn_model linn_model;
typedef struct linn_model_info {
    const char *name, *architecture;
    int32_t n_vocab; /* rows of the output matrix: logits per row */
    int32_t n_ctx;   /* positions the model was trained for */
    int32_t n_layers, n_embd, n_heads, n_kv_heads, head_dim, n_ff;
    uint64_t n_parameters;
    uint64_t weight_bytes; /* bytes of weights read by a forward pass of one token */
    uint64_t identity;     /* a hash of shapes and samples of the weights, to tell models apart */
    const linn_engine *engine;
} linn_model_info;

LINN_API int linn_model_open(linn_model **out, linn_engine *e, const char *path, linn_error *err);
LINN_API void linn_model_free(linn_model *m);
LINN_API linn_model_info linn_model_describe(const linn_model *m);
LINN_API const linn_tokenizer *linn_model_tokenizer(const linn_model *m);

typedef enum linn_kv_type { LINN_KV_F16, LINN_KV_F32, LINN_KV_Q8_0 } linn_kv_type;
typedef struct linn_session linn_session;
typedef struct linn_session_settings {
    int32_t n_ctx;   /* positions to make room for; 0: the model's */
    linn_kv_type kv; /* LINN_KV_F16 */
} linn_session_settings;

LINN_API int linn_session_create(linn_session **out, const linn_model *m,
                                 const linn_session_settings *s, linn_error *err);
LINN_API void linn_session_free(linn_session *s);
LINN_API int32_t linn_session_length(const linn_session *s); /* positions in the KV cache */
/* Forgets all positions from `length` on; costs nothing. */
LINN_API int linn_session_truncate(linn_session *s, int32_t length, linn_error *err);

enum { LINN_OUT_NONE = 0, LINN_OUT_LOGITS = 1, LINN_OUT_HIDDEN = 2 };
enum { LINN_ROW_NONE = -1 };

/* One token of one timeline. The rows of a session come in order of position, the first at
 * linn_session_length(). */
typedef struct linn_row {
    linn_token token;
    int32_t position;
    int32_t slot;   /* where its K and V go; equal to position */
    int32_t parent; /* index of the row before in this call; LINN_ROW_NONE: it is in the cache */
    linn_session *session;
    unsigned outputs; /* LINN_OUT_* */
} linn_row;

typedef struct linn_batch linn_batch;
/* Room for passes over `m` of up to max_outputs rows with outputs (any number of rows). */
LINN_API int linn_batch_create(linn_batch **out, const linn_model *m, int32_t max_outputs,
                               linn_error *err);
LINN_API void linn_batch_free(linn_batch *b);
/* Computes the rows and extends their sessions; on an error no session has changed. What a row
 * gives never depends on the other rows. Allocates nothing. */
LINN_API int linn_forward(linn_batch *b, const linn_row *rows, int32_t n_rows, linn_error *err);
/* Outputs of row i of the last pass: [n_vocab], and [n_embd] after the last norm; borrowed, NULL
 * if not asked for. */
LINN_API const float *linn_batch_logits(const linn_batch *b, int32_t row);
LINN_API const float *linn_batch_hidden(const linn_batch *b, int32_t row);

/* ---- sampling ---------------------------------------------------------------------------- */

/* Which tokens may come next, say by a grammar. `mask` writes one bit a token (bit v & 31 of word
 * v >> 5, 1: allowed) for the state after all tokens advanced over and not rolled back. */
typedef struct linn_constraint {
    void *state;
    void (*mask)(void *state, uint32_t *bits, int32_t n_vocab);
    void (*advance)(void *state, linn_token token);
    void (*roll_back)(void *state, int32_t n_tokens);
} linn_constraint;

typedef struct linn_logit_bias {
    linn_token token;
    float bias;
} linn_logit_bias;

/* In the order in which they apply (docs/numerics.md). */
typedef struct linn_sampling {
    const linn_logit_bias *biases; /* [n_biases], borrowed */
    size_t n_biases;
    float repeat_penalty;              /* > 0; 1: none; over prompt and output */
    float presence_penalty;            /* 0: none; over the output, as the next */
    float frequency_penalty;           /* 0: none */
    const linn_constraint *constraint; /* borrowed; NULL: none */
    float temperature;                 /* >= 0; 0: the most likely token */
    int32_t top_k;                     /* 0: off */
    float top_p;                       /* 0 < p <= 1; 1: off */
    float min_p;                       /* 0 <= p < 1; 0: off */
    uint64_t seed;
} linn_sampling;
LINN_API linn_sampling
linn_sampling_default(void); /* temperature 0.8, top-k 40, top-p 0.95, min-p 0.05 */

/* ---- n-gram tables: what tends to follow the last few tokens ------------------------------- */

typedef struct linn_ngram linn_ngram; /* mapped from a file */
/* Refuses a table of another tokenizer; t NULL: opens any. */
LINN_API int linn_ngram_open(linn_ngram **out, const char *path, const linn_tokenizer *t,
                             linn_error *err);
LINN_API void linn_ngram_free(linn_ngram *g);

/* ---- cascade: text ------------------------------------------------------------------------- */

typedef enum linn_shape {
    LINN_CASCADE_AUTO,    /* decides as it goes what to draft, if anything */
    LINN_CASCADE_OFF,     /* the target alone */
    LINN_CASCADE_MAXGRAM, /* target and Max-Gram: prompt lookup */
    LINN_CASCADE_SPEC,    /* target and first drafter: plain speculative decoding */
    LINN_CASCADE_K,       /* as the K matrix says */
} linn_shape;
typedef enum linn_verify { LINN_VERIFY_COUPLED, LINN_VERIFY_REJECTION } linn_verify;
typedef enum linn_lenience_rule { LINN_LENIENCE_SCORE, LINN_LENIENCE_PAPER } linn_lenience_rule;

/* Coupled verification gives the target's own text whatever stands here; rejection sampling
 * (Leviathan et al. 2023) keeps its distribution only. */
typedef struct linn_cascade_settings {
    linn_shape shape;
    int32_t k;               /* MAXGRAM, SPEC: tokens drafted before a review */
    const int32_t *k_matrix; /* K: [k_order, k_order], borrowed while creating; upper triangular,
                                k_order = neural drafters + 1 if maxgram. Entry [i][j]: the share of
                                drafter j in what level i reviews (the paper's Algorithm 1) */
    int32_t k_order;
    bool maxgram;            /* K, AUTO: Max-Gram below the smallest drafter */
    const linn_ngram *ngram; /* what Max-Gram falls back on; borrowed; NULL: nothing */
    int32_t block;           /* K: tokens that Max-Gram proposes at once */
    float lenience;          /* >= 1, of inner reviews */
    linn_lenience_rule lenience_rule;
    linn_verify verify;
    linn_session_settings session; /* of every level; its n_ctx limits prompt and text together */
    const char *profiles; /* AUTO: a folder where it looks for what it learned of these models
                             before; borrowed while creating; NULL: it begins anew */
    float explore;        /* AUTO: share of the time that may be lost to try what is not used */
} linn_cascade_settings;
LINN_API linn_cascade_settings linn_cascade_settings_default(void);

typedef struct linn_cascade linn_cascade;
/* Drafters come largest first and must have the target's tokenizer. */
LINN_API int linn_cascade_create(linn_cascade **out, const linn_model *target,
                                 const linn_model *const *drafters, size_t n_drafters,
                                 const linn_cascade_settings *s, linn_error *err);
LINN_API void linn_cascade_free(linn_cascade *c);

typedef enum linn_finish {
    LINN_FINISH_LENGTH,
    LINN_FINISH_END,  /* an end-of-text token, which is the last one given */
    LINN_FINISH_STOP, /* a stop string, which is cut off the text */
    LINN_FINISH_CONTEXT,
    LINN_FINISH_CANCELLED,
} linn_finish;

/* What one token adds: it, who proposed it first (0: the target; then as linn_stats.levels), and
 * the text that became certain with it: whole characters, nothing that may begin a stop string.
 * A last piece with token -1 brings what was held back, if anything was and the text was not
 * cancelled: what is given is always a beginning of the whole text. */
typedef struct linn_piece {
    linn_token token;
    int level;
    const char *text; /* borrowed until the callback returns; not terminated */
    size_t length;
} linn_piece;

typedef struct linn_request {
    const linn_token *prompt; /* [n_prompt], at least one */
    size_t n_prompt;
    int32_t max_tokens; /* -1: until the end of text or of the context */
    linn_sampling sampling;
    const char *const *stop; /* [n_stop] strings that end the text and are not part of it */
    size_t n_stop;
    bool special; /* write control tokens into the text */
    void *user;   /* handed to the callbacks, each of which may be NULL; false cancels */
    bool (*on_piece)(void *user, const linn_piece *piece);
    bool (*on_prompt)(void *user, size_t done, size_t total); /* as the prompt is read */
    bool (*go_on)(void *user); /* asked before every forward pass, of drafters too */
} linn_request;

enum { LINN_MAX_LEVELS = 8, LINN_MAX_POSITIONS = 32 };

/* Of one level, while decoding. Level 0 is the target, then the drafters, then Max-Gram and the
 * n-gram table if they take part. A draft's position counts from 0; the last entry holds all
 * beyond. */
typedef struct linn_level_stats {
    const char *name;      /* borrowed from model or library */
    uint64_t n_parameters; /* 0: not a model */
    uint64_t tokens;       /* of the text that it proposed first; the sum over levels is all */
    uint64_t passes, rows; /* forward passes, and tokens in them */
    uint64_t reviewed, approved;           /* draft tokens it judged, and let pass */
    uint64_t drafted[LINN_MAX_POSITIONS];  /* its tokens in drafts that the target judged ... */
    uint64_t accepted[LINN_MAX_POSITIONS]; /* ... and accepted */
    double ms;                             /* in forward passes or proposing */
} linn_level_stats;

typedef struct linn_stats {
    int32_t prompt_tokens, tokens;
    int32_t prompt_reused; /* tokens of the prompt found in the KV cache of the call before */
    double prompt_ms, decode_ms;
    int n_levels;
    linn_level_stats levels[LINN_MAX_LEVELS];
    /* The paper's standardised walltime improvement: tokens made per unit of cost, the cost of a
     * pass being the model's parameter count (ms), or its measured time a pass (pw). 1: plain. */
    double swi_ms, swi_pw;
} linn_stats;

/* Writes text after the prompt. Tokens that prompt and cache have in common are not read again. */
LINN_API int linn_generate(linn_cascade *c, const linn_request *r, linn_finish *finish,
                           linn_stats *stats, linn_error *err);

/* AUTO: what it decided so far and why, in lines for people; as snprintf, 0: nothing to say. */
LINN_API size_t linn_cascade_explain(const linn_cascade *c, char *out, size_t capacity);
/* AUTO: writes what it has learned into the folder of profiles, which must be there; does nothing
 * without one. */
LINN_API int linn_cascade_save_profile(const linn_cascade *c, linn_error *err);
/* Why the profile found there was not used (it will be replaced); NULL: it was, or there is none.
 */
LINN_API const char *linn_cascade_profile_note(const linn_cascade *c);

#ifdef __cplusplus
}
#endif

#endif
