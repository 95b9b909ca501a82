/* linn_tools.h - what surrounds the running of models: looking into GGUF files, quantising
 * them, building n-gram tables, measuring.
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

/* ---- measuring ---------------------------------------------------------------------------- */

/* Bytes a second that the engine's threads together read from `bytes` of memory (best of rounds).
 */
LINN_API int linn_measure_memory(linn_engine *e, size_t bytes, int rounds, double *bytes_per_second,
                                 linn_error *err);

#ifdef __cplusplus
}
#endif

#endif
