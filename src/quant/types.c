/* types.c - the table of formats, and the names that GGUF gives its types. */
#include "quant/blocks.h"
#include "quant/formats.h"
#include "quant/quant.h"

#include <strings.h>

static const linn_type_info table[LINN_TYPE_LIMIT] = {
    [LINN_TYPE_F32] = {"F32", 1, 4, linn_f32_decode, linn_f32_encode},
    [LINN_TYPE_F16] = {"F16", 1, 2, linn_f16_decode, linn_f16_encode},
    [LINN_TYPE_BF16] = {"BF16", 1, 2, linn_bf16_decode, linn_bf16_encode},
    [LINN_TYPE_Q8_0] = {"Q8_0", 32, sizeof(linn_q8_0), linn_q8_0_decode, linn_q8_0_encode},
    [LINN_TYPE_Q4_0] = {"Q4_0", 32, sizeof(linn_q4_0), linn_q4_0_decode, linn_q4_0_encode},
    [LINN_TYPE_Q4_1] = {"Q4_1", 32, sizeof(linn_q4_1), linn_q4_1_decode, linn_q4_1_encode},
    [LINN_TYPE_Q5_0] = {"Q5_0", 32, sizeof(linn_q5_0), linn_q5_0_decode, linn_q5_0_encode},
    [LINN_TYPE_Q5_1] = {"Q5_1", 32, sizeof(linn_q5_1), linn_q5_1_decode, linn_q5_1_encode},
    [LINN_TYPE_Q2_K] = {"Q2_K", 256, sizeof(linn_q2_k), linn_q2_k_decode, linn_q2_k_encode},
    [LINN_TYPE_Q3_K] = {"Q3_K", 256, sizeof(linn_q3_k), linn_q3_k_decode, linn_q3_k_encode},
    [LINN_TYPE_Q4_K] = {"Q4_K", 256, sizeof(linn_q4_k), linn_q4_k_decode, linn_q4_k_encode},
    [LINN_TYPE_Q5_K] = {"Q5_K", 256, sizeof(linn_q5_k), linn_q5_k_decode, linn_q5_k_encode},
    [LINN_TYPE_Q6_K] = {"Q6_K", 256, sizeof(linn_q6_k), linn_q6_k_decode, linn_q6_k_encode},
    [LINN_TYPE_IQ4_NL] = {"IQ4_NL", 32, sizeof(linn_iq4_nl), linn_iq4_nl_decode,
                          linn_iq4_nl_encode},
    [LINN_TYPE_IQ4_XS] = {"IQ4_XS", 256, sizeof(linn_iq4_xs), linn_iq4_xs_decode,
                          linn_iq4_xs_encode},
};

/* All that GGUF files may name; the numbers left out were taken back. */
static const char *const names[] = {
    [0] = "F32",       [1] = "F16",       [2] = "Q4_0",   [3] = "Q4_1",    [6] = "Q5_0",
    [7] = "Q5_1",      [8] = "Q8_0",      [9] = "Q8_1",   [10] = "Q2_K",   [11] = "Q3_K",
    [12] = "Q4_K",     [13] = "Q5_K",     [14] = "Q6_K",  [15] = "Q8_K",   [16] = "IQ2_XXS",
    [17] = "IQ2_XS",   [18] = "IQ3_XXS",  [19] = "IQ1_S", [20] = "IQ4_NL", [21] = "IQ3_S",
    [22] = "IQ2_S",    [23] = "IQ4_XS",   [24] = "I8",    [25] = "I16",    [26] = "I32",
    [27] = "I64",      [28] = "F64",      [29] = "IQ1_M", [30] = "BF16",   [31] = "Q4_0_4_4",
    [32] = "Q4_0_4_8", [33] = "Q4_0_8_8", [34] = "TQ1_0", [35] = "TQ2_0",  [39] = "MXFP4",
};

const linn_type_info *linn_type_find(uint32_t type)
{
    return type < LINN_TYPE_LIMIT && table[type].name ? &table[type] : NULL;
}

int linn_type_by_name(const char *name)
{
    for (int i = 0; i < LINN_TYPE_LIMIT; i++)
        if (table[i].name && strcasecmp(table[i].name, name) == 0)
            return i;
    return -1;
}

const char *linn_type_name(uint32_t type)
{
    const char *name = type < sizeof names / sizeof *names ? names[type] : NULL;
    return name ? name : "unknown";
}
