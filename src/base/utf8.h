/* utf8.h - UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing
 * above U+10FFFF. */
#ifndef LINN_BASE_UTF8_H
#define LINN_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Decodes the character at s[0..n). Returns its length in bytes (1 to 4) and
 * stores the code point, or 0 if the bytes there are not UTF-8 (n == 0 too). */
size_t linn_utf8_decode(const char *s, size_t n, uint32_t *code_point);

/* Encodes a code point (not a surrogate, <= U+10FFFF) into out[4]; returns its length. */
size_t linn_utf8_encode(uint32_t code_point, char out[4]);

/* Offset of the first byte that is not UTF-8, or n if all of s[0..n) is. */
size_t linn_utf8_check(const char *s, size_t n);

/* How many bytes at the end of s[0..n) may be the start of a character whose
 * rest has not come yet (0 to 3). */
size_t linn_utf8_incomplete(const char *s, size_t n);

#endif
