/* kernel_data.c - see kernel_data.h */
#include "kernel_data.h"
#include "base/memory.h"
#include "quant/blocks.h"
#include "quant/half.h"

#include <stdlib.h>
#include <string.h>

static uint64_t state = 1;

void kd_seed(uint64_t seed)
{
    state = seed;
}

uint64_t kd_random(void)
{
    uint64_t z = (state += 0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

int32_t kd_range(int32_t from, int32_t to)
{
    return from + (int32_t)(kd_random() % (uint64_t)(to - from + 1));
}

float kd_normal(void)
{
    float sum = 0;
    for (int i = 0; i < 4; i++)
        sum += (float)(kd_random() >> 40) * 0x1p-24f;
    return (sum - 2.0f) * 1.7320508f;
}

enum { GUARD = 128 };

typedef struct guarded {
    size_t size, offset;
} guarded;

void *kd_alloc_at(size_t size, size_t offset)
{
    char *raw = linn_alloc(1, size + offset + 3 * GUARD);
    if (!raw)
        abort();
    *(guarded *)(void *)raw = (guarded){size, offset};
    char *p = raw + 2 * GUARD + offset;
    memset(p - GUARD, 0xa5, GUARD);
    memset(p + size, 0xa5, GUARD);
    /* the header finds its way back by the offset stored before the first guard */
    memcpy(p - GUARD - sizeof(guarded), raw, sizeof(guarded));
    return p;
}

void *kd_alloc(size_t size)
{
    return kd_alloc_at(size, 0);
}

bool kd_free(const void *data)
{
    bool good = true;
    if (!data)
        return true;
    char *p = (char *)(uintptr_t)data;
    guarded g;
    memcpy(&g, p - GUARD - sizeof g, sizeof g);
    for (size_t i = 0; i < GUARD; i++)
        good &= (uint8_t)p[-1 - (ptrdiff_t)i] == 0xa5 && (uint8_t)p[g.size + i] == 0xa5;
    free(p - 2 * GUARD - g.offset);
    return good;
}

const uint32_t kd_types[15] = {
    LINN_TYPE_F32,  LINN_TYPE_F16,  LINN_TYPE_BF16, LINN_TYPE_Q8_0,   LINN_TYPE_Q4_0,
    LINN_TYPE_Q4_1, LINN_TYPE_Q5_0, LINN_TYPE_Q5_1, LINN_TYPE_IQ4_NL, LINN_TYPE_Q2_K,
    LINN_TYPE_Q3_K, LINN_TYPE_Q4_K, LINN_TYPE_Q5_K, LINN_TYPE_Q6_K,   LINN_TYPE_IQ4_XS,
};

static uint16_t scale16(float size)
{
    return linn_f32_to_f16(kd_normal() * size);
}

/* finite scales over the random bits of a block */
static void set_scales(uint32_t type, void *block)
{
    uint16_t d = scale16(0.01f), m = scale16(0.05f);
    if (kd_range(0, 19) == 0)
        d = (uint16_t)(kd_random() & 0x83ff); /* subnormal */
    switch (type) {
    case LINN_TYPE_Q8_0:
        ((linn_q8_0 *)block)->d = d;
        break;
    case LINN_TYPE_Q4_0:
        ((linn_q4_0 *)block)->d = d;
        break;
    case LINN_TYPE_Q4_1:
        ((linn_q4_1 *)block)->d = d;
        ((linn_q4_1 *)block)->m = m;
        break;
    case LINN_TYPE_Q5_0:
        ((linn_q5_0 *)block)->d = d;
        break;
    case LINN_TYPE_Q5_1:
        ((linn_q5_1 *)block)->d = d;
        ((linn_q5_1 *)block)->m = m;
        break;
    case LINN_TYPE_IQ4_NL:
        ((linn_iq4_nl *)block)->d = d;
        break;
    case LINN_TYPE_Q2_K:
        ((linn_q2_k *)block)->d = d;
        ((linn_q2_k *)block)->dmin = m;
        break;
    case LINN_TYPE_Q3_K:
        ((linn_q3_k *)block)->d = d;
        break;
    case LINN_TYPE_Q4_K:
        ((linn_q4_k *)block)->d = d;
        ((linn_q4_k *)block)->dmin = m;
        break;
    case LINN_TYPE_Q5_K:
        ((linn_q5_k *)block)->d = d;
        ((linn_q5_k *)block)->dmin = m;
        break;
    case LINN_TYPE_Q6_K:
        ((linn_q6_k *)block)->d = d;
        break;
    case LINN_TYPE_IQ4_XS:
        ((linn_iq4_xs *)block)->d = d;
        break;
    default:
        break;
    }
}

linn_matrix kd_matrix(uint32_t type, int32_t n_rows, int32_t n_cols, kd_weights kind)
{
    static const int ends[] = {0x00, 0xff, 0x7f, 0x80};
    const linn_type_info *info = linn_type_find(type);
    size_t n_blocks = (size_t)n_rows * ((size_t)n_cols / info->block);
    linn_matrix w = {.type = type,
                     .n_rows = n_rows,
                     .n_cols = n_cols,
                     .row_bytes = (size_t)n_cols / info->block * info->bytes};
    char *data = kd_alloc_at(n_blocks * info->bytes, 32);
    for (size_t b = 0; b < n_blocks; b++) {
        char *block = data + b * info->bytes;
        if (type == LINN_TYPE_F32) {
            float x = kd_normal();
            memcpy(block, &x, sizeof x);
        } else if (type == LINN_TYPE_F16) {
            uint16_t h = kd_range(0, 30) ? scale16(1) : (uint16_t)(kd_random() & 0x83ff);
            memcpy(block, &h, sizeof h);
        } else if (type == LINN_TYPE_BF16) {
            uint16_t h = linn_f32_to_bf16(kd_normal());
            memcpy(block, &h, sizeof h);
        } else {
            int byte = ends[kd_random() % 4];
            for (uint32_t i = 0; i < info->bytes; i++)
                block[i] = (char)(kind == KD_EXTREME ? byte : (int)(kd_random() >> 24 & 255));
            set_scales(type, block);
        }
    }
    w.data = data;
    return w;
}

void kd_pack(const linn_kernels *t, linn_matrix *w)
{
    size_t bytes = t->packed_bytes(w);
    w->packed = NULL;
    if (!bytes)
        return;
    char *packed = kd_alloc(bytes);
    memset(packed, 0xc3, bytes);
    for (int32_t begin = 0, end; begin < w->n_rows; begin = end) {
        end = begin + LINN_ROW_GRAIN * kd_range(1, 3);
        end = end < w->n_rows ? end : w->n_rows;
        t->pack(w, begin, end, packed);
    }
    w->packed = packed;
}

bool kd_unpack(linn_matrix *w)
{
    bool good = kd_free(w->packed);
    w->packed = NULL;
    return good;
}

void kd_fill(float *x, size_t n, kd_values kind)
{
    for (size_t i = 0; i < n; i++) {
        float v = kd_normal();
        if (kind == KD_MAX)
            v = kd_random() & 1 ? 1.5f : -1.5f;
        if (kind == KD_OUTLIERS) {
            int e = kd_range(-60, 8);
            v = kd_range(0, 9) ? v * linn_f32_from_bits((uint32_t)(127 + e) << 23) : 0.0f;
            if (kd_range(0, 50) == 0)
                v = linn_f32_from_bits((uint32_t)kd_random() & 0x807fffff);
        }
        x[i] = v;
    }
    if (kind == KD_MAX && n >= 512 && (kd_random() & 1))
        for (size_t i = 0; i < n; i++)
            x[i] = -1.5f;
}

linn_acts kd_acts(const linn_kernels *t, uint32_t type, int32_t n, int32_t k, kd_values kind)
{
    linn_act_form form = linn_act_form_of(type);
    size_t rows = (size_t)n, cols = (size_t)k, count = rows * cols;
    float *x = kd_alloc(count * sizeof *x);
    kd_fill(x, count, kind);
    linn_acts a = {.n = n, .k = k, .x = x};
    if (form == LINN_ACT_F32)
        return a;
    size_t blocks = cols / (form == LINN_ACT_Q8 ? 32 : 256), groups = cols / 16;
    a.q = kd_alloc(count);
    a.d = kd_alloc(rows * blocks * sizeof *a.d);
    a.sums = kd_alloc(rows * groups * sizeof *a.sums);
    for (size_t j = 0; j < rows; j++)
        t->quantize(form, a.x + j * cols, k, a.q + j * cols, a.d + j * blocks, a.sums + j * groups);
    return a;
}

void kd_acts_free(linn_acts *a)
{
    bool x = kd_free(a->x), q = kd_free(a->q), d = kd_free(a->d), sums = kd_free(a->sums);
    if (!(x && q && d && sums))
        abort();
}

const linn_kernels *const *kd_tables(void)
{
    static const linn_kernels *tables[5];
    const unsigned masks[] = {LINN_CPU_C, LINN_CPU_AVX2, LINN_CPU_AVX2 | LINN_CPU_AVX512,
                              LINN_CPU_NEON};
    int n = 0;
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        const linn_kernels *t = linn_kernels_select(masks[i]);
        bool seen = false;
        for (int j = 0; j < n; j++)
            seen |= tables[j] == t;
        if (!seen)
            tables[n++] = t;
    }
    tables[n] = NULL;
    return tables;
}
