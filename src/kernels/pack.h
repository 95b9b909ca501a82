/* pack.h - the layout of weights that the vector kernels share.
 *
 * A vector lane is an output row, so 16 rows of a matrix are interleaved: a group.
 * Within a group, and for every block of 32 or 256 values of its rows, there is a
 * head (scales, as in the file) and a body (levels), and the groups follow each
 * other. A product of any number of columns reads a matrix front to back.
 *
 *     group    | heads of blocks 0, 1, ... | 0 to 63 bytes 0 | bodies of blocks 0, 1, ... |
 *
 * Heads together, and every body, start at a multiple of 64. Nothing is decoded
 * but shuffled: the packed form is as large as the file's, but for the zeros.
 *
 * A *quad* is four consecutive values of a row. The unit of a body is a *line* of
 * 64 bytes, 4 bytes of each row: byte 4 r + i belongs to row r of the group.
 *
 *     line     | row 0: 0 1 2 3 | row 1: 0 1 2 3 | ... | row 15: 0 1 2 3 |
 *
 * Q8_0        head  d[16]                      body  8 lines; line t: quad t
 * Q4_0        head  d[16]                      body  4 lines; line t: quad t in the low four bits
 * IQ4_NL                                             of the bytes, quad t+4 in the high four
 * Q4_1        head  d[16] m[16]                body  as Q4_0
 * Q5_0        head  d[16]                      body  1 line; bit t of byte i of a row: the fifth
 *                                                    bit of value i of quad t; 4 lines as Q4_0
 * Q5_1        head  d[16] m[16]                body  as Q5_0
 * Q4_K        head  d[16] dmin[16]             body  3 lines of six-bit numbers, sc[0..7] then
 *                                                    mn[0..7]; 32 lines; line 8p+t: quads 16p+t
 *                                                    (low) and 16p+8+t (high)
 * Q5_K        head  d[16] dmin[16]             body  3 lines as Q4_K; 8 lines, bits 4u+c of line
 *                                                    4h+v: the fifth bits of quad 32h+8c+4u+v,
 *                                                    h < 2, c < 4, u < 2, v < 4; 32 as Q4_K
 * Q6_K        head  d[16]                      body  sc: 4 lines of bytes; 32 lines of low bits,
 *                                                    line 16h+t: quads 32h+t (low) and 32h+16+t
 *                                                    (high), h < 2, t < 16; 16 lines of high
 *                                                    bits, line 8h+t, from bit 0: quads 32h+t,
 *                                                    +8, +16, +24, t < 8
 * Q2_K        head  d[16] dmin[16]             body  mn << 4 | sc: 4 lines of bytes; 16 lines,
 *                                                    8h+t, from bit 0: quads 32h+t, +8, +16, +24
 * Q3_K        head  d[16]                      body  sc: 3 lines of six-bit numbers; 8 lines of
 *                                                    third bits as the fifth bits of Q5_K; 16 lines
 *                                                    as Q2_K
 * IQ4_XS      head  d[16], 48 words of scales  body  32 lines; line 4g+t: quads 8g+t (low) and
 *                   as below                         8g+4+t (high), t < 4
 *
 * Lines of bytes: byte 16 (g % 4) + r of line g / 4 is the number of group g of row r.
 * Lines of six-bit numbers, of 16 a row: with x_j the byte line j would be if they were bytes,
 *     line j of 3 = x_j | (x_3 >> 2 j & 3) << 6
 * The scales in a head of IQ4_XS: sc_l, 64 bytes: byte 16 j + r, j < 4, is sc[j+4] << 4 | sc[j]
 * of row r, low four bits of each; sc_h, 32 bytes: byte 2 r + j, from bit 0: the high two bits of
 * sc[4j], sc[4j+1], sc[4j+2], sc[4j+3].
 *
 * F32, F16 and BF16: their reductions run along a row, in 8 lanes by k mod 8. So 8 rows are
 * interleaved by 8 values, a *step*; a last step is filled up with zeros, and the number of rows
 * to a multiple of 16.
 *
 *     step     | row 0: k .. k+7 | row 1: k .. k+7 | ... | row 7: k .. k+7 |
 */
#ifndef LINN_KERNELS_PACK_H
#define LINN_KERNELS_PACK_H

#include "kernels/kernels.h"

#include <assert.h>

enum { LINN_PACK_ROWS = 16, LINN_PACK_LINE = 64 };
static_assert(LINN_ROW_GRAIN % LINN_PACK_ROWS == 0, "products are split between groups");

enum { LINN_PACK_PLAIN_ROWS = 8, LINN_PACK_STEP = 8 };

/* Bytes of a group's head and body for one block. */
enum {
    LINN_PACK_D = 2 * LINN_PACK_ROWS, /* one scale */
    LINN_PACK_Q8_0_HEAD = LINN_PACK_D,
    LINN_PACK_Q8_0_BODY = 8 * LINN_PACK_LINE,
    LINN_PACK_Q4_0_HEAD = LINN_PACK_D,
    LINN_PACK_Q4_0_BODY = 4 * LINN_PACK_LINE,
    LINN_PACK_IQ4_NL_HEAD = LINN_PACK_D,
    LINN_PACK_IQ4_NL_BODY = 4 * LINN_PACK_LINE,
    LINN_PACK_Q4_1_HEAD = 2 * LINN_PACK_D,
    LINN_PACK_Q4_1_BODY = 4 * LINN_PACK_LINE,
    LINN_PACK_Q5_0_HEAD = LINN_PACK_D,
    LINN_PACK_Q5_0_BODY = 5 * LINN_PACK_LINE,
    LINN_PACK_Q5_1_HEAD = 2 * LINN_PACK_D,
    LINN_PACK_Q5_1_BODY = 5 * LINN_PACK_LINE,
    LINN_PACK_Q4_K_HEAD = 2 * LINN_PACK_D,
    LINN_PACK_Q4_K_BODY = 35 * LINN_PACK_LINE,
    LINN_PACK_Q5_K_HEAD = 2 * LINN_PACK_D,
    LINN_PACK_Q5_K_BODY = 43 * LINN_PACK_LINE,
    LINN_PACK_Q6_K_HEAD = LINN_PACK_D,
    LINN_PACK_Q6_K_BODY = 52 * LINN_PACK_LINE,
    LINN_PACK_Q2_K_HEAD = 2 * LINN_PACK_D,
    LINN_PACK_Q2_K_BODY = 20 * LINN_PACK_LINE,
    LINN_PACK_Q3_K_HEAD = LINN_PACK_D,
    LINN_PACK_Q3_K_BODY = 27 * LINN_PACK_LINE,
    LINN_PACK_IQ4_XS_HEAD = LINN_PACK_D + 96,
    LINN_PACK_IQ4_XS_BODY = 32 * LINN_PACK_LINE,
};

/* linn_kernels.packed_bytes and .pack of the tables that read this layout. */
size_t linn_packed_bytes(const linn_matrix *w);
void linn_pack(const linn_matrix *w, int32_t begin, int32_t end, void *packed);

/* Bytes of 8 rows of `k` plain values of `value` bytes. */
static inline size_t linn_packed_plain(size_t k, size_t value)
{
    return (k + LINN_PACK_STEP - 1) / LINN_PACK_STEP *
           ((size_t)LINN_PACK_STEP * LINN_PACK_PLAIN_ROWS * value);
}

static inline size_t linn_packed_heads(size_t n_blocks, size_t head)
{
    return (n_blocks * head + LINN_PACK_LINE - 1) & ~(size_t)(LINN_PACK_LINE - 1);
}

static inline size_t linn_packed_group(size_t n_blocks, size_t head, size_t body)
{
    return linn_packed_heads(n_blocks, head) + n_blocks * body;
}

#endif
