/* blocks.h - the bytes of every quantised block.
 *
 * The structs lie over file data: packed, so that any address will do, and free
 * to alias. Scales `d`, `m`, `dmin` are binary16 bits (half.h); numbers of more
 * than one byte are little-endian, as is every host that linn is built for.
 * In the pictures, a value is numbered by its place in the block, bits are
 * written high to low, and [a..b] counts through consecutive bytes or values.
 */
#ifndef LINN_QUANT_BLOCKS_H
#define LINN_QUANT_BLOCKS_H

#include <assert.h>
#include <stdint.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "linn reads GGUF data in place and needs a little-endian host"
#endif

#define LINN_BLOCK __attribute__((packed, may_alias))

/* ---- blocks of 32 values --------------------------------------------------------
 * 4-bit levels of all these: byte j = (value j+16) << 4 | value j, j < 16.
 * Fifth bits: bit j of qh belongs to value j. */

/*  0 1 | 2 .. 33
 *   d  | q[0..31]            x = d q, q signed */
typedef struct LINN_BLOCK linn_q8_0 {
    uint16_t d;
    int8_t q[32];
} linn_q8_0;

/*  0 1 | 2 .. 17
 *   d  | q                   x = d (q - 8) */
typedef struct LINN_BLOCK linn_q4_0 {
    uint16_t d;
    uint8_t q[16];
} linn_q4_0;

/*  0 1 | 2 3 | 4 .. 19
 *   d  |  m  | q             x = d q + m */
typedef struct LINN_BLOCK linn_q4_1 {
    uint16_t d, m;
    uint8_t q[16];
} linn_q4_1;

/*  0 1 | 2 .. 5 | 6 .. 21
 *   d  |   qh   | q          x = d (q + 16 qh - 16) */
typedef struct LINN_BLOCK linn_q5_0 {
    uint16_t d;
    uint32_t qh;
    uint8_t q[16];
} linn_q5_0;

/*  0 1 | 2 3 | 4 .. 7 | 8 .. 23
 *   d  |  m  |   qh   | q    x = d (q + 16 qh) + m */
typedef struct LINN_BLOCK linn_q5_1 {
    uint16_t d, m;
    uint32_t qh;
    uint8_t q[16];
} linn_q5_1;

/*  0 1 | 2 .. 17
 *   d  | q                   x = d linn_iq4_values[q] */
typedef struct LINN_BLOCK linn_iq4_nl {
    uint16_t d;
    uint8_t q[16];
} linn_iq4_nl;

/* ---- super-blocks of 256 values ----------------------------------------------------- */

/* 16 groups of 16:          x = (d sc[g]) q - (dmin mn[g])
 *
 *  0 .. 15                | 16 .. 79 | 80 81 | 82 83
 *  mn[g] << 4 | sc[g]     |    q     |   d   | dmin
 *
 *  byte 32 h + l of q, h < 2, l < 32, holds four values of the 128-value half h:
 *    7 6          5 4         3 2         1 0
 *    128h+96+l    128h+64+l   128h+32+l   128h+l */
typedef struct LINN_BLOCK linn_q2_k {
    uint8_t scales[16];
    uint8_t q[64];
    uint16_t d, dmin;
} linn_q2_k;

/* 16 groups of 16:          x = (d (sc[g] - 32)) (q + 4 qh - 4)
 *
 *  0 .. 31 | 32 .. 95 | 96 .. 107 | 108 109
 *    qh    |    q     |  scales   |   d
 *
 *  q: as Q2_K. qh: bit b of byte l belongs to value 32 b + l.
 *  scales: 6 bits each,
 *    byte g, g < 8:       low four bits of sc[g+8] << 4 | of sc[g]
 *    byte 8+j, j < 4:     high two bits of sc[j+12], sc[j+8], sc[j+4], sc[j] */
typedef struct LINN_BLOCK linn_q3_k {
    uint8_t qh[32];
    uint8_t q[64];
    uint8_t scales[12];
    uint16_t d;
} linn_q3_k;

/* 8 groups of 32:           x = (d sc[g]) q - (dmin mn[g])
 *
 *  0 1 | 2 3  | 4 .. 15 | 16 .. 143
 *   d  | dmin | scales  |    q
 *
 *  byte 32 p + l of q, p < 4, l < 32: value 64p+32+l << 4 | value 64p+l.
 *  scales: 6 bits each, j < 4,
 *    byte j        sc[j+4] >> 4   (2 bits) | sc[j] (6 bits)
 *    byte j+4      mn[j+4] >> 4   (2 bits) | mn[j] (6 bits)
 *    byte j+8      mn[j+4] & 15   (4 bits) | sc[j+4] & 15 (4 bits) */
typedef struct LINN_BLOCK linn_q4_k {
    uint16_t d, dmin;
    uint8_t scales[12];
    uint8_t q[128];
} linn_q4_k;

/* As Q4_K with a fifth bit:  x = (d sc[g]) (q + 16 qh) - (dmin mn[g])
 *
 *  0 1 | 2 3  | 4 .. 15 | 16 .. 47 | 48 .. 175
 *   d  | dmin | scales  |    qh    |    q
 *
 *  qh: bit g of byte l belongs to value 32 g + l. */
typedef struct LINN_BLOCK linn_q5_k {
    uint16_t d, dmin;
    uint8_t scales[12];
    uint8_t qh[32];
    uint8_t q[128];
} linn_q5_k;

/* 16 groups of 16:          x = (d sc[g]) (ql + 16 qh - 32), sc signed
 *
 *  0 .. 127 | 128 .. 191 | 192 .. 207 | 208 209
 *     ql    |     qh     |   scales   |    d
 *
 *  In the 128-value half h, l < 32:
 *    byte 64 h + l of ql          value 128h+64+l << 4 | value 128h+l
 *    byte 64 h + 32 + l of ql     value 128h+96+l << 4 | value 128h+32+l
 *    byte 32 h + l of qh          two bits of 128h+96+l, +64+l, +32+l, +l */
typedef struct LINN_BLOCK linn_q6_k {
    uint8_t ql[128];
    uint8_t qh[64];
    int8_t scales[16];
    uint16_t d;
} linn_q6_k;

/* 8 groups of 32:           x = (d (sc[g] - 32)) linn_iq4_values[q]
 *
 *  0 1 |   2 3    |  4 .. 7  | 8 .. 135
 *   d  | scales_h | scales_l |    q
 *
 *  scales_l: byte j = low four bits of sc[2j+1] << 4 | of sc[2j];
 *  scales_h: bits 2g+1, 2g = high two bits of sc[g].
 *  byte 16 g + l of q: value 32g+16+l << 4 | value 32g+l, l < 16. */
typedef struct LINN_BLOCK linn_iq4_xs {
    uint16_t d;
    uint16_t scales_h;
    uint8_t scales_l[4];
    uint8_t q[128];
} linn_iq4_xs;

static_assert(sizeof(linn_q8_0) == 34, "Q8_0");
static_assert(sizeof(linn_q4_0) == 18, "Q4_0");
static_assert(sizeof(linn_q4_1) == 20, "Q4_1");
static_assert(sizeof(linn_q5_0) == 22, "Q5_0");
static_assert(sizeof(linn_q5_1) == 24, "Q5_1");
static_assert(sizeof(linn_iq4_nl) == 18, "IQ4_NL");
static_assert(sizeof(linn_q2_k) == 84, "Q2_K");
static_assert(sizeof(linn_q3_k) == 110, "Q3_K");
static_assert(sizeof(linn_q4_k) == 144, "Q4_K");
static_assert(sizeof(linn_q5_k) == 176, "Q5_K");
static_assert(sizeof(linn_q6_k) == 210, "Q6_K");
static_assert(sizeof(linn_iq4_xs) == 136, "IQ4_XS");

/* The 16 levels of IQ4_NL and IQ4_XS, ascending. */
extern const int8_t linn_iq4_values[16];

/* sc[8] and mn[8] of Q4_K and Q5_K, out of their 12 bytes. */
static inline void linn_k4_scales(const uint8_t packed[12], uint8_t sc[8], uint8_t mn[8])
{
    for (int j = 0; j < 4; j++) {
        sc[j] = packed[j] & 63;
        mn[j] = packed[j + 4] & 63;
        sc[j + 4] = (uint8_t)((packed[j + 8] & 15) | packed[j] >> 6 << 4);
        mn[j + 4] = (uint8_t)(packed[j + 8] >> 4 | packed[j + 4] >> 6 << 4);
    }
}

/* sc[16] of Q3_K less 32, out of its 12 bytes. */
static inline void linn_q3_k_scales(const uint8_t packed[12], int8_t sc[16])
{
    for (int g = 0; g < 16; g++) {
        int low = g < 8 ? packed[g] & 15 : packed[g - 8] >> 4;
        int high = packed[8 + g % 4] >> 2 * (g / 4) & 3;
        sc[g] = (int8_t)((low | high << 4) - 32);
    }
}

/* sc[8] of IQ4_XS less 32. */
static inline void linn_iq4_xs_scales(const linn_iq4_xs *b, int8_t sc[8])
{
    for (int g = 0; g < 8; g++) {
        int low = b->scales_l[g / 2] >> 4 * (g % 2) & 15;
        int high = b->scales_h >> 2 * g & 3;
        sc[g] = (int8_t)((low | high << 4) - 32);
    }
}

#endif
