/* tokenizer.h - what the rest of linn may ask of a tokenizer beyond linn.h.
 *
 * A tokenizer is immutable after it is made and keeps nothing of the file. All of its calls may
 * come from many threads at once.
 */
#ifndef LINN_TOKENIZER_TOKENIZER_H
#define LINN_TOKENIZER_TOKENIZER_H

#include "gguf/gguf.h"

/* Reads the keys `tokenizer.*` of a file. What is checked, and what is done about it, stands in
 * vocab.h. */
int linn_tokenizer_create(linn_tokenizer **out, const linn_file *f, linn_error *err);

/* Whether ids mean the same in both: every id that both have stands for the same bytes in the same
 * role, and what one has beyond the other is marked unused (padding of the vocabulary). */
bool linn_tokenizer_matches(const linn_tokenizer *a, const linn_tokenizer *b);

#endif
