/* pack.c - interleaving rows of weights; pack.h has the pictures. */
#include "kernels/pack.h"
#include "quant/blocks.h"

#include <string.h>

enum { ROWS = LINN_PACK_ROWS, LINE = LINN_PACK_LINE };

/* One block of the rows of a group: src[r * stride], r < n; the rest of the 16 stay zeros. */
typedef struct source {
    const uint8_t *src;
    size_t stride;
    int n;
} source;

typedef struct format {
    size_t head, body; /* bytes of a block of a group */
    void (*pack)(const source *s, uint8_t *head, uint8_t *body);
} format;

/* n_lines lines out of the 4 n_lines bytes at `offset` of each row's block */
static void put_lines(const source *s, size_t offset, int n_lines, uint8_t *out)
{
    for (int r = 0; r < s->n; r++) {
        const uint8_t *in = s->src + (size_t)r * s->stride + offset;
        for (int t = 0; t < n_lines; t++)
            memcpy(out + LINE * t + 4 * r, in + 4 * t, 4);
    }
}

/* a number of 16 bits a row */
static void put_scale(const source *s, size_t offset, uint8_t *out)
{
    for (int r = 0; r < s->n; r++)
        memcpy(out + 2 * r, s->src + (size_t)r * s->stride + offset, 2);
}

/* 16 six-bit numbers of row r */
static void put_six_bits(const uint8_t x[16], int r, uint8_t *out)
{
    for (int p = 0; p < 4; p++) {
        uint8_t *at = out + 16 * p + r, high = x[12 + p];
        for (int j = 0; j < 3; j++)
            at[LINE * j] = (uint8_t)(x[4 * j + p] | (high >> 2 * j & 3) << 6);
    }
}

static void pack_q8_0(const source *s, uint8_t *head, uint8_t *body)
{
    put_scale(s, offsetof(linn_q8_0, d), head);
    put_lines(s, offsetof(linn_q8_0, q), 8, body);
}

static void pack_q4_0(const source *s, uint8_t *head, uint8_t *body)
{
    put_scale(s, offsetof(linn_q4_0, d), head);
    put_lines(s, offsetof(linn_q4_0, q), 4, body);
}

static void pack_iq4_nl(const source *s, uint8_t *head, uint8_t *body)
{
    put_scale(s, offsetof(linn_iq4_nl, d), head);
    put_lines(s, offsetof(linn_iq4_nl, q), 4, body);
}

static void pack_q4_1(const source *s, uint8_t *head, uint8_t *body)
{
    put_scale(s, offsetof(linn_q4_1, d), head);
    put_scale(s, offsetof(linn_q4_1, m), head + LINN_PACK_D);
    put_lines(s, offsetof(linn_q4_1, q), 4, body);
}

/* Bit (t, i), numbered 4 t + i, goes to 8 i + t: the five digits of its number turn by two
 * places, each by gathering the even bits below the odd ones. */
static uint32_t turn_bits(uint32_t x)
{
    for (int round = 0; round < 2; round++) {
        static const uint32_t moved[] = {0x22222222, 0x0c0c0c0c, 0x00f000f0, 0x0000ff00};
        for (int j = 0; j < 4; j++) {
            uint32_t t = (x ^ x >> (1 << j)) & moved[j];
            x ^= t ^ t << (1 << j);
        }
    }
    return x;
}

static void put_fifth_bits(const source *s, size_t offset, uint8_t *out)
{
    for (int r = 0; r < s->n; r++) {
        uint32_t x;
        memcpy(&x, s->src + (size_t)r * s->stride + offset, sizeof x);
        x = turn_bits(x);
        memcpy(out + 4 * r, &x, sizeof x);
    }
}

static void pack_q5_0(const source *s, uint8_t *head, uint8_t *body)
{
    put_scale(s, offsetof(linn_q5_0, d), head);
    put_fifth_bits(s, offsetof(linn_q5_0, qh), body);
    put_lines(s, offsetof(linn_q5_0, q), 4, body + LINE);
}

static void pack_q5_1(const source *s, uint8_t *head, uint8_t *body)
{
    put_scale(s, offsetof(linn_q5_1, d), head);
    put_scale(s, offsetof(linn_q5_1, m), head + LINN_PACK_D);
    put_fifth_bits(s, offsetof(linn_q5_1, qh), body);
    put_lines(s, offsetof(linn_q5_1, q), 4, body + LINE);
}

/* the scales and minima of Q4_K and Q5_K */
static void put_k4(const source *s, uint8_t *head, uint8_t *body)
{
    static_assert(offsetof(linn_q4_k, scales) == offsetof(linn_q5_k, scales), "alike");
    put_scale(s, offsetof(linn_q4_k, d), head);
    put_scale(s, offsetof(linn_q4_k, dmin), head + LINN_PACK_D);
    for (int r = 0; r < s->n; r++) {
        uint8_t x[16];
        linn_k4_scales(s->src + (size_t)r * s->stride + offsetof(linn_q4_k, scales), x, x + 8);
        put_six_bits(x, r, body);
    }
}

static void pack_q4_k(const source *s, uint8_t *head, uint8_t *body)
{
    put_k4(s, head, body);
    put_lines(s, offsetof(linn_q4_k, q), 32, body + 3 * LINE);
}

/* Bit planes of 256 values: bit 4 h + c of byte 4 (4 u + v) + i of a row goes to bit 4 u + c of
 * byte i of line 4 h + v. */
static void put_bit_planes(const source *s, size_t offset, uint8_t *out)
{
    const uint32_t low = 0x0f0f0f0f;
    for (int r = 0; r < s->n; r++) {
        uint32_t x[8];
        memcpy(x, s->src + (size_t)r * s->stride + offset, sizeof x);
        for (int v = 0; v < 4; v++) {
            uint32_t first = (x[v] & low) | (x[v + 4] & low) << 4;
            uint32_t second = (x[v] >> 4 & low) | (x[v + 4] & ~low);
            memcpy(out + LINE * v + 4 * r, &first, 4);
            memcpy(out + LINE * (4 + v) + 4 * r, &second, 4);
        }
    }
}

static void pack_q5_k(const source *s, uint8_t *head, uint8_t *body)
{
    put_k4(s, head, body);
    put_bit_planes(s, offsetof(linn_q5_k, qh), body + 3 * LINE);
    put_lines(s, offsetof(linn_q5_k, q), 32, body + 11 * LINE);
}

/* 16 bytes a row */
static void put_bytes(const source *s, size_t offset, uint8_t *out)
{
    for (int r = 0; r < s->n; r++)
        for (int g = 0; g < 16; g++)
            out[16 * g + r] = s->src[(size_t)r * s->stride + offset + (size_t)g];
}

static void pack_q6_k(const source *s, uint8_t *head, uint8_t *body)
{
    put_scale(s, offsetof(linn_q6_k, d), head);
    put_bytes(s, offsetof(linn_q6_k, scales), body);
    put_lines(s, offsetof(linn_q6_k, ql), 32, body + 4 * LINE);
    put_lines(s, offsetof(linn_q6_k, qh), 16, body + 36 * LINE);
}

static void pack_q2_k(const source *s, uint8_t *head, uint8_t *body)
{
    put_scale(s, offsetof(linn_q2_k, d), head);
    put_scale(s, offsetof(linn_q2_k, dmin), head + LINN_PACK_D);
    put_bytes(s, offsetof(linn_q2_k, scales), body);
    put_lines(s, offsetof(linn_q2_k, q), 16, body + 4 * LINE);
}

static void pack_q3_k(const source *s, uint8_t *head, uint8_t *body)
{
    put_scale(s, offsetof(linn_q3_k, d), head);
    for (int r = 0; r < s->n; r++) {
        int8_t sc[16];
        uint8_t x[16];
        linn_q3_k_scales(s->src + (size_t)r * s->stride + offsetof(linn_q3_k, scales), sc);
        for (int g = 0; g < 16; g++)
            x[g] = (uint8_t)(sc[g] + 32);
        put_six_bits(x, r, body);
    }
    put_bit_planes(s, offsetof(linn_q3_k, qh), body + 3 * LINE);
    put_lines(s, offsetof(linn_q3_k, q), 16, body + 11 * LINE);
}

static void pack_iq4_xs(const source *s, uint8_t *head, uint8_t *body)
{
    uint8_t *low = head + LINN_PACK_D, *high = low + LINE;
    put_scale(s, offsetof(linn_iq4_xs, d), head);
    for (int r = 0; r < s->n; r++) {
        int8_t sc[8];
        linn_iq4_xs_scales((const linn_iq4_xs *)(s->src + (size_t)r * s->stride), sc);
        int h[2] = {0};
        for (int g = 0; g < 8; g++)
            h[g / 4] |= (sc[g] + 32) >> 4 << 2 * (g % 4);
        for (int j = 0; j < 4; j++)
            low[16 * j + r] = (uint8_t)(((sc[j] + 32) & 15) | ((sc[j + 4] + 32) & 15) << 4);
        high[2 * r] = (uint8_t)h[0];
        high[2 * r + 1] = (uint8_t)h[1];
    }
    put_lines(s, offsetof(linn_iq4_xs, q), 32, body);
}

#define FORMAT(NAME, name) \
    [LINN_TYPE_##NAME] = {LINN_PACK_##NAME##_HEAD, LINN_PACK_##NAME##_BODY, pack_##name}
static const format formats[LINN_TYPE_LIMIT] = {
    FORMAT(Q8_0, q8_0), FORMAT(Q4_0, q4_0),     FORMAT(Q4_1, q4_1), FORMAT(Q5_0, q5_0),
    FORMAT(Q5_1, q5_1), FORMAT(IQ4_NL, iq4_nl), FORMAT(Q2_K, q2_k), FORMAT(Q3_K, q3_k),
    FORMAT(Q4_K, q4_k), FORMAT(Q5_K, q5_k),     FORMAT(Q6_K, q6_k), FORMAT(IQ4_XS, iq4_xs),
};
#undef FORMAT

#define SAME_SIZE(NAME, name)                                                                      \
    static_assert(LINN_PACK_##NAME##_HEAD + LINN_PACK_##NAME##_BODY == ROWS * sizeof(linn_##name), \
                  "no more bytes than in the file")
SAME_SIZE(Q8_0, q8_0);
SAME_SIZE(Q4_0, q4_0);
SAME_SIZE(Q4_1, q4_1);
SAME_SIZE(Q5_0, q5_0);
SAME_SIZE(Q5_1, q5_1);
SAME_SIZE(IQ4_NL, iq4_nl);
SAME_SIZE(Q2_K, q2_k);
SAME_SIZE(Q3_K, q3_k);
SAME_SIZE(Q4_K, q4_k);
SAME_SIZE(Q5_K, q5_k);
SAME_SIZE(Q6_K, q6_k);
SAME_SIZE(IQ4_XS, iq4_xs);
#undef SAME_SIZE

/* ---- plain formats --------------------------------------------------------------------------- */

enum { STEP = LINN_PACK_STEP, PLAIN_ROWS = LINN_PACK_PLAIN_ROWS };

/* Bytes of a value of a plain format; 0: it is none. */
static size_t plain_value(uint32_t type)
{
    return type == LINN_TYPE_F32 ? 4 : type == LINN_TYPE_F16 || type == LINN_TYPE_BF16 ? 2 : 0;
}

/* n rows of 8 (the others are zeros), steps of `size` bytes a row */
static inline __attribute__((always_inline)) void put_steps(const linn_matrix *w, int32_t row,
                                                            int32_t n, size_t size, char *out)
{
    size_t whole = (size_t)w->n_cols / STEP, rest = (size_t)w->n_cols % STEP * (size / STEP);
    const char *from = (const char *)w->data + (size_t)row * w->row_bytes;
    if (n < PLAIN_ROWS)
        memset(out, 0, linn_packed_plain((size_t)w->n_cols, size / STEP));
    for (size_t s = 0; s < whole; s++, from += size, out += PLAIN_ROWS * size)
        for (int32_t r = 0; r < n; r++)
            memcpy(out + (size_t)r * size, from + (size_t)r * w->row_bytes, size);
    for (int32_t r = 0; r < n && rest > 0; r++) {
        memset(out + (size_t)r * size, 0, size);
        memcpy(out + (size_t)r * size, from + (size_t)r * w->row_bytes, rest);
    }
}

static void pack_plain(const linn_matrix *w, int32_t begin, int32_t end, char *packed)
{
    size_t value = plain_value(w->type), group = linn_packed_plain((size_t)w->n_cols, value);
    int32_t all = (end + ROWS - 1) / ROWS * ROWS;
    for (int32_t row = begin; row < all; row += PLAIN_ROWS) {
        char *out = packed + (size_t)(row / PLAIN_ROWS) * group;
        int32_t n = end - row < 0 ? 0 : end - row < PLAIN_ROWS ? end - row : PLAIN_ROWS;
        if (value == 4)
            put_steps(w, row, n, STEP * 4, out);
        else
            put_steps(w, row, n, STEP * 2, out);
    }
}

/* ---- all formats ----------------------------------------------------------------------------- */

size_t linn_packed_bytes(const linn_matrix *w)
{
    size_t groups = ((size_t)w->n_rows + ROWS - 1) / ROWS, value = plain_value(w->type);
    if (value > 0)
        return groups * (ROWS / PLAIN_ROWS) * linn_packed_plain((size_t)w->n_cols, value);
    const format *f = &formats[w->type];
    if (!f->pack)
        return 0;
    size_t n_blocks = (size_t)w->n_cols / linn_type_find(w->type)->block;
    return groups * linn_packed_group(n_blocks, f->head, f->body);
}

void linn_pack(const linn_matrix *w, int32_t begin, int32_t end, void *packed)
{
    if (plain_value(w->type) > 0) {
        pack_plain(w, begin, end, packed);
        return;
    }
    const format *f = &formats[w->type];
    const linn_type_info *info = linn_type_find(w->type);
    size_t n_blocks = (size_t)w->n_cols / info->block;
    size_t heads = linn_packed_heads(n_blocks, f->head);
    size_t group = linn_packed_group(n_blocks, f->head, f->body);
    for (int32_t row = begin; row < end; row += ROWS) {
        uint8_t *out = (uint8_t *)packed + (size_t)(row / ROWS) * group;
        source s = {.src = (const uint8_t *)w->data + (size_t)row * w->row_bytes,
                    .stride = w->row_bytes,
                    .n = end - row < ROWS ? end - row : ROWS};
        if (s.n < ROWS)
            memset(out, 0, group);
        memset(out + n_blocks * f->head, 0, heads - n_blocks * f->head);
        for (size_t b = 0; b < n_blocks; b++, s.src += info->bytes)
            f->pack(&s, out + b * f->head, out + heads + b * f->body);
    }
}
