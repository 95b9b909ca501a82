/* timeline.h - runs token ids through a model in any cut, and compares the logits' bits. */
#ifndef LINN_TESTS_MODEL_TIMELINE_H
#define LINN_TESTS_MODEL_TIMELINE_H

#include "synthetic.h"
#include "test.h"

/* A file that is removed by free_path. */
char *temporary_path(void);
void free_path(char *path);

/* A path of models/ in the project's sources; valid until the next call. */
const char *project_model(const char *name);

linn_engine *open_engine(int threads, unsigned cpu);
linn_model *open_model(linn_engine *e, const char *path);
linn_session *open_session(const linn_model *m, linn_kv_type kv);
linn_batch *open_batch(const linn_model *m, int32_t max_outputs);

/* The next number of a generator; from .. to, both included. */
int32_t pick(uint64_t *state, int32_t from, int32_t to);
void random_ids(uint64_t seed, int32_t n_vocab, linn_token *out, int32_t n);

/* Rows for ids[0..n) of a session from its length on, appended at rows[*n_rows]; `parent` is the
 * index of the session's row before, or LINN_ROW_NONE. Returns the index of the last one. */
int32_t add_rows(linn_row *rows, int32_t *n_rows, linn_session *s, int32_t position,
                 const linn_token *ids, int32_t n, int32_t parent, unsigned outputs);

/* Extends a session by n ids in passes of `width` rows; logits [n, n_vocab]. */
void extend(linn_batch *b, linn_session *s, const linn_token *ids, int32_t n, int32_t width,
            float *logits);

/* Logits [n, n_vocab] of a fresh session, for free(). */
float *logits_of(const linn_model *m, linn_kv_type kv, const linn_token *ids, int32_t n,
                 int32_t width);

/* Fails the test, saying what and where, unless the n rows are the same bits. */
void same_rows(const char *what, const linn_model *m, const float *want, const float *got,
               int32_t n);

#endif
