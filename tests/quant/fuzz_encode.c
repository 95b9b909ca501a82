/* fuzz_encode.c - any bits as numbers to encode, in the format that the last byte picks: what comes
 * back is finite, and where the numbers were in range, nearer to them than zeros. */
#include "quant/quant.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BLOCK = 256 };

static void must(int good)
{
    if (!good)
        abort();
}

static void check(const linn_type_info *type, const float *x, int in_range)
{
    uint8_t coded[BLOCK * 4];
    float y[BLOCK];
    double zeros = 0, error = 0;
    type->encode(x, coded, BLOCK / type->block);
    type->decode(coded, y, BLOCK / type->block);
    for (int i = 0; i < BLOCK; i++) {
        must(type->block == 1 || isfinite(y[i]));
        zeros += (double)x[i] * (double)x[i];
        error += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
    }
    /* below 2^-24 a format may have nothing but zeros and steps */
    must(!in_range || error <= 1.001 * zeros + BLOCK * 0x1p-48);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    float x[BLOCK] = {0};
    int in_range = 1;
    const linn_type_info *type = size ? linn_type_find(data[size - 1] % LINN_TYPE_LIMIT) : NULL;
    if (!type)
        return 0;
    memcpy(x, data, size - 1 < sizeof x ? size - 1 : sizeof x);
    for (int i = 0; i < BLOCK; i++)
        in_range &= fabsf(x[i]) <= 65504;
    check(type, x, in_range);
    return 0;
}
