/* encode_iq4.c - encoding IQ4_NL and IQ4_XS. Pictures of the bytes: blocks.h; how
 * scales are found: fit.h and super.h. */
#include "quant/blocks.h"
#include "quant/formats.h"
#include "quant/super.h"

typedef struct nearest {
    float level[512];   /* of the 16 the one nearest to v, at floor(2 v) + 256 */
    uint8_t index[256]; /* of a level among the 16, at level + 128 */
} nearest;

/* The middle of two neighbours is a multiple of a half, so steps of a half lose nothing. */
static void fill_nearest(nearest *t)
{
    for (int i = 0, j = 0; i < 512; i++) {
        while (j < 15 && i - 256 >= linn_iq4_values[j] + linn_iq4_values[j + 1])
            j++;
        t->level[i] = linn_iq4_values[j];
        t->index[linn_iq4_values[j] + 128] = (uint8_t)j;
    }
}

static void pack(const nearest *t, const int level[32], uint8_t q[16])
{
    for (int l = 0; l < 16; l++)
        q[l] = (uint8_t)(t->index[level[l + 16] + 128] << 4 | t->index[level[l] + 128]);
}

static const fit_scan scan = {0.7f, 0.04f, 3, true};

void linn_iq4_nl_encode(const float *values, void *blocks, size_t n_blocks)
{
    linn_iq4_nl *b = blocks;
    nearest t;
    fill_nearest(&t);
    fit_levels k = {-127, 113, t.level};
    for (size_t i = 0; i < n_blocks; i++, b++, values += 32) {
        float x[32];
        int level[32];
        fit_load(values, x, 32);
        float d = fit_scale_half(x, 32, k, fit_scale_scan(x, 32, k, scan));
        fit_scale_levels(x, 32, k, d, level);
        b->d = linn_f32_to_f16(d);
        pack(&t, level, b->q);
    }
}

void linn_iq4_xs_encode(const float *values, void *blocks, size_t n_blocks)
{
    linn_iq4_xs *b = blocks;
    nearest t;
    fill_nearest(&t);
    super_scales form = {8, 32, {-127, 113, t.level}, -32, 31, scan};
    for (size_t i = 0; i < n_blocks; i++, b++, values += SUPER_BLOCK) {
        float x[SUPER_BLOCK], sc[SUPER_GROUPS];
        fit_load(values, x, SUPER_BLOCK);
        float d = super_scales_fit(x, form, sc);
        b->d = linn_f32_to_f16(d);
        unsigned high = 0;
        for (int g = 0; g < 8; g++) {
            int level[32], code = (int)sc[g] + 32;
            fit_scale_levels(x + 32 * g, 32, form.levels, d * sc[g], level);
            pack(&t, level, b->q + 16 * g);
            high |= (unsigned)(code >> 4) << 2 * g;
            b->scales_l[g / 2] =
                (uint8_t)(g % 2 ? b->scales_l[g / 2] | (code & 15) << 4 : code & 15);
        }
        b->scales_h = (uint16_t)high;
    }
}
