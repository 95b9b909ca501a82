/* Every entry of every kernel table against plain C, by memcmp, and plain C against
 * a float64 reference. Random shapes, edge widths, guards around outputs. */
#include "test.h"
#include "kernel_data.h"
#include "quant/half.h"

#include <math.h>

static const int32_t widths[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 16, 17, 33, 64};
enum { N_WIDTHS = sizeof widths / sizeof widths[0] };

static int32_t columns_of(uint32_t type, int blocks)
{
    int32_t block = (int32_t)linn_type_find(type)->block;
    return block == 1 ? blocks * 8 + kd_range(-7, 7) : block * blocks;
}

static void fail_with(const linn_kernels *t, const char *what, const char *type, int32_t n,
                      int32_t rows, int32_t k)
{
    fail_msg("%s: %s %s: %d columns, %d rows, k = %d: not the bits of plain C", t->name, what, type,
             n, rows, k);
}

/* ---- products -------------------------------------------------------------------- */

static void product_case(uint32_t type, int32_t n, int32_t rows, int32_t k, kd_weights weights,
                         kd_values values)
{
    const linn_kernels *c = kd_tables()[0];
    linn_matrix w = kd_matrix(type, rows, k, weights);
    linn_acts a = kd_acts(c, type, n, k, values);
    size_t stride = (size_t)rows + (size_t)kd_range(0, 3), size = (size_t)n * stride;
    float *want = kd_alloc(size * sizeof *want);
    memset(want, 0xee, size * sizeof *want);
    c->product[type](&w, &a, 0, rows, want, stride);
    for (const linn_kernels *const *t = kd_tables() + 1; *t; t++) {
        float *y = kd_alloc(size * sizeof *y);
        memset(y, 0xee, size * sizeof *y);
        int32_t cut = rows / 2 / LINN_ROW_GRAIN * LINN_ROW_GRAIN; /* in two parts */
        kd_pack(*t, &w);
        (*t)->product[type](&w, &a, 0, cut, y, stride);
        (*t)->product[type](&w, &a, cut, rows, y, stride);
        if (memcmp(want, y, size * sizeof *y))
            fail_with(*t, "product", linn_type_name(type), n, rows, k);
        if (!kd_free(y) || !kd_unpack(&w))
            fail_with(*t, "product wrote outside", linn_type_name(type), n, rows, k);
    }
    if (!kd_free(want) || !kd_free(w.data))
        fail_with(c, "wrote outside", linn_type_name(type), n, rows, k);
    kd_acts_free(&a);
}

static void products_equal_plain_c(void **state)
{
    (void)state;
    for (int i = 0; i < 15; i++)
        for (int j = 0; j < N_WIDTHS; j++)
            for (int r = 0; r < 6; r++) {
                int32_t rows = kd_range(1, 70);
                bool super = linn_type_find(kd_types[i])->block == 256;
                int blocks = kd_range(1, super ? 3 : 21);
                product_case(kd_types[i], widths[j], rows, columns_of(kd_types[i], blocks),
                             r % 3 == 0 ? KD_EXTREME : KD_RANDOM, (kd_values)(r % KD_VALUES));
            }
}

/* Whatever the parts, and whatever was in the memory before: the same bytes, all of them written.
 */
static void packing_in_parts(void **state)
{
    (void)state;
    for (const linn_kernels *const *t = kd_tables(); *t; t++)
        for (int i = 0; i < 15; i++)
            for (int round = 0; round < 8; round++) {
                int32_t rows = kd_range(1, 100), k = columns_of(kd_types[i], kd_range(1, 3));
                linn_matrix w = kd_matrix(kd_types[i], rows, k, KD_RANDOM);
                size_t size = (*t)->packed_bytes(&w);
                if (size > 0) {
                    char *whole = kd_alloc(size);
                    memset(whole, 0x3c, size);
                    (*t)->pack(&w, 0, rows, whole);
                    kd_pack(*t, &w);
                    if (memcmp(whole, w.packed, size))
                        fail_with(*t, "pack", linn_type_name(kd_types[i]), 1, rows, k);
                    size_t row = (w.row_bytes + 31) / 32 * 32; /* steps of 8 floats are whole */
                    assert_true(size < (size_t)(rows + 15) / 16 * (16 * row + 64));
                    assert_true(kd_free(whole) && kd_unpack(&w));
                }
                assert_true(kd_free(w.data));
            }
}

static void width_and_rows_do_not_matter(void **state)
{
    (void)state;
    for (const linn_kernels *const *t = kd_tables(); *t; t++)
        for (int i = 0; i < 15; i++) {
            uint32_t type = kd_types[i];
            int32_t rows = 45, n = 13, k = columns_of(type, 2);
            linn_matrix w = kd_matrix(type, rows, k, KD_RANDOM);
            linn_acts a = kd_acts(*t, type, n, k, KD_NORMAL);
            float *all = kd_alloc((size_t)(n * rows) * sizeof *all);
            kd_pack(*t, &w);
            (*t)->product[type](&w, &a, 0, rows, all, (size_t)rows);
            for (int32_t j = 0; j < n; j++) {
                int32_t block = linn_act_form_of(type) == LINN_ACT_Q8 ? 32 : 256;
                linn_acts one = {.n = 1, .k = k, .x = a.x + j * k};
                if (a.q) {
                    one.q = a.q + j * k;
                    one.d = a.d + j * (k / block);
                    one.sums = a.sums + j * (k / 16);
                }
                float y[48];
                (*t)->product[type](&w, &one, 0, 16, y, 0);
                (*t)->product[type](&w, &one, 16, rows, y, 0);
                assert_memory_equal(y, all + j * rows, (size_t)rows * sizeof *y);
            }
            assert_true(kd_free(all) && kd_unpack(&w) && kd_free(w.data));
            kd_acts_free(&a);
        }
}

/* Against the decoded weights and the dequantised activations in double. */
static void plain_c_is_right(void **state)
{
    (void)state;
    const linn_kernels *c = kd_tables()[0];
    for (int i = 0; i < 15; i++) {
        uint32_t type = kd_types[i];
        const linn_type_info *info = linn_type_find(type);
        int32_t rows = 19, n = 3, k = info->block == 1 ? 515 : 512;
        for (int kind = 0; kind < KD_WEIGHTS; kind++) {
            linn_matrix w = kd_matrix(type, rows, k, (kd_weights)kind);
            linn_acts a = kd_acts(c, type, n, k, KD_NORMAL);
            float *y = kd_alloc((size_t)(n * rows) * sizeof *y);
            float *row = kd_alloc((size_t)k * sizeof *row);
            c->product[type](&w, &a, 0, rows, y, (size_t)rows);
            for (int32_t r = 0; r < rows; r++) {
                info->decode((const char *)w.data + (size_t)r * w.row_bytes, row,
                             (size_t)k / info->block);
                for (int32_t j = 0; j < n; j++) {
                    int32_t block = linn_act_form_of(type) == LINN_ACT_Q8 ? 32 : 256;
                    double sum = 0, size = 0;
                    for (int32_t l = 0; l < k; l++) {
                        double x = (double)a.x[j * k + l];
                        if (a.q)
                            x = (double)a.q[j * k + l] *
                                (double)a.d[(size_t)j * (size_t)(k / block) + (size_t)(l / block)];
                        sum += (double)row[l] * x;
                        size += fabs((double)row[l] * x);
                    }
                    assert_true(fabs((double)y[j * rows + r] - sum) <= 2e-6 * size);
                }
            }
            assert_true(kd_free(y) && kd_free(row) && kd_free(w.data));
            kd_acts_free(&a);
        }
    }
}

/* ---- activations ------------------------------------------------------------------- */

static void quantize_equals_plain_c(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        linn_act_form form = round % 2 ? LINN_ACT_Q8 : LINN_ACT_Q8K;
        int32_t block = form == LINN_ACT_Q8 ? 32 : 256, k = block * kd_range(1, 9);
        size_t nb = (size_t)(k / block), ng = (size_t)(k / 16);
        float *x = kd_alloc((size_t)k * sizeof *x);
        kd_fill(x, (size_t)k, (kd_values)(round / 2 % KD_VALUES));
        if (round % 5 == 0) /* bad values, or ties */
            for (int i = 0; i < 3; i++) {
                static const float bad[] = {INFINITY, -INFINITY, NAN, 0x1p-100f, -0x1p127f};
                x[kd_range(0, k - 1)] = bad[kd_range(0, 4)];
            }
        if (round % 7 == 0)
            for (int32_t i = 0; i < k; i++)
                x[i] = i % block ? (float)kd_range(-254, 254) * 0.5f : 127.0f;
        int8_t *q[2];
        float *d[2];
        int16_t *s[2];
        for (const linn_kernels *const *t = kd_tables(); *t; t++) {
            int which = t != kd_tables();
            q[which] = kd_alloc((size_t)k);
            d[which] = kd_alloc(nb * sizeof(float));
            s[which] = kd_alloc(ng * sizeof(int16_t));
            (*t)->quantize(form, x, k, q[which], d[which], s[which]);
            if (which == 0)
                continue;
            if (memcmp(q[0], q[1], (size_t)k) || memcmp(d[0], d[1], nb * sizeof(float)) ||
                memcmp(s[0], s[1], ng * sizeof(int16_t)))
                fail_with(*t, "quantize", form == LINN_ACT_Q8 ? "Q8" : "Q8K", 1, 1, k);
            assert_true(kd_free(q[1]) && kd_free(d[1]) && kd_free(s[1]));
        }
        for (size_t b = 0; b < nb; b++) { /* what is promised */
            float max = 0;
            bool finite = true;
            for (size_t i = 0; i < (size_t)block; i++) {
                float v = x[b * (size_t)block + i];
                finite &= isfinite(v) != 0;
                max = fmaxf(max, fabsf(v));
            }
            assert_true(finite ? d[0][b] == (max < LINN_ACT_TINY ? 0 : max / 127) : isnan(d[0][b]));
            for (size_t i = 0; i < (size_t)block; i++) {
                size_t at = b * (size_t)block + i;
                assert_true(q[0][at] >= -127);
                if (finite)
                    assert_true(fabs((double)q[0][at] * (double)d[0][b] - (double)x[at]) <=
                                0.50001 * (double)d[0][b] + (max < LINN_ACT_TINY ? 1e-30 : 0));
                else
                    assert_int_equal(q[0][at], 0);
            }
        }
        for (size_t g = 0; g < ng; g++) {
            int sum = 0;
            for (size_t i = 0; i < 16; i++)
                sum += q[0][16 * g + i];
            assert_int_equal(sum, s[0][g]);
        }
        assert_true(kd_free(x) && kd_free(q[0]) && kd_free(d[0]) && kd_free(s[0]));
    }
}

/* ---- rows ---------------------------------------------------------------------------- */

typedef struct row_inputs {
    int32_t n;
    float *x, *w; /* at any alignment */
} row_inputs;

static row_inputs row_make(int round)
{
    row_inputs r = {.n = round < 40 ? round + 1 : kd_range(1, 3000)};
    size_t bytes = (size_t)r.n * sizeof(float);
    r.x = kd_alloc_at(bytes, 4 * (size_t)kd_range(0, 7));
    r.w = kd_alloc_at(bytes, 4 * (size_t)kd_range(0, 7));
    kd_fill(r.x, (size_t)r.n, round % 3 ? KD_NORMAL : KD_OUTLIERS);
    kd_fill(r.w, (size_t)r.n, KD_NORMAL);
    if (round % 4 == 1)
        for (int32_t i = 0; i < r.n; i++)
            r.x[i] *= 40; /* where exp leaves the finite numbers */
    return r;
}

static void row_entries_equal_plain_c(void **state)
{
    (void)state;
    for (int round = 0; round < 120; round++) {
        row_inputs r = row_make(round);
        size_t n = (size_t)r.n, bytes = n * sizeof(float);
        float *want[3] = {0};
        for (const linn_kernels *const *t = kd_tables(); *t; t++) {
            float *y[3];
            for (int i = 0; i < 3; i++) {
                y[i] = kd_alloc_at(bytes, 4 * (size_t)kd_range(0, 7));
                memcpy(y[i], r.x, bytes);
            }
            float *norm = round % 2 ? y[0] : r.x; /* in place or not */
            (*t)->rms_norm(norm, r.w, 1e-5f, r.n, y[0]);
            (*t)->add(y[1], r.w, r.n);
            (*t)->swiglu(y[2], r.w, r.n);
            for (int i = 0; i < 3; i++)
                if (t == kd_tables())
                    want[i] = y[i];
                else {
                    static const char *const names[] = {"rms_norm", "add", "swiglu"};
                    if (memcmp(want[i], y[i], bytes))
                        fail_with(*t, names[i], "", 1, 1, r.n);
                    assert_true(kd_free(y[i]));
                }
        }
        double sum = 0; /* plain C against doubles */
        for (size_t i = 0; i < n; i++)
            sum += (double)r.x[i] * (double)r.x[i];
        double scale = 1 / sqrt(sum / (double)n + (double)1e-5f);
        for (size_t i = 0; i < n; i++) {
            double x = (double)r.x[i], w = (double)r.w[i], y = x * scale * w;
            assert_true(fabs((double)want[0][i] - y) <= 1e-6 * fabs(y) + 1e-37);
            y = x / (1 + exp(-x)) * w;
            assert_true(fabs((double)want[2][i] - y) <= 1e-6 * fabs(y) + 1e-30);
        }
        for (int i = 0; i < 3; i++)
            assert_true(kd_free(want[i]));
        assert_true(kd_free(r.x) && kd_free(r.w));
    }
}

static void to_f16_equals_plain_c(void **state)
{
    (void)state;
    for (int round = 0; round < 120; round++) {
        row_inputs r = row_make(round);
        size_t n = (size_t)r.n;
        if (round % 2) /* any bits: subnormals, infinities, NaNs, values that overflow */
            for (size_t i = 0; i < n; i++)
                r.x[i] = linn_f32_from_bits((uint32_t)kd_random());
        for (const linn_kernels *const *t = kd_tables(); *t; t++) {
            uint16_t *y = kd_alloc_at(n * sizeof *y, 2 * (size_t)kd_range(0, 15));
            (*t)->to_f16(r.x, r.n, y);
            for (size_t i = 0; i < n; i++)
                if (y[i] != linn_f32_to_f16(r.x[i]))
                    fail_with(*t, "to_f16", "", 1, 1, r.n);
            assert_true(kd_free(y));
        }
        assert_true(kd_free(r.x) && kd_free(r.w));
    }
}

static void rope_equals_plain_c(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        bool neox = round & 1;
        int32_t head_dim = 2 * kd_range(1, 80), heads = kd_range(1, 5);
        int32_t n_rot = round % 3 ? head_dim : 2 * kd_range(0, head_dim / 2);
        size_t n = (size_t)(head_dim * heads), half = (size_t)(n_rot / 2);
        float *x = kd_alloc(n * sizeof *x), *c = kd_alloc(half * sizeof *c),
              *s = kd_alloc(half * sizeof *s), *want = NULL;
        kd_fill(x, n, KD_NORMAL);
        kd_fill(c, half, KD_NORMAL);
        kd_fill(s, half, KD_NORMAL);
        for (const linn_kernels *const *t = kd_tables(); *t; t++) {
            float *y = kd_alloc_at(n * sizeof *y, 4 * (size_t)kd_range(0, 7));
            memcpy(y, x, n * sizeof *y);
            (*t)->rope(y, heads, head_dim, n_rot, neox, c, s);
            if (!want) {
                want = y;
                continue;
            }
            if (memcmp(want, y, n * sizeof *y))
                fail_with(*t, "rope", neox ? "neox" : "", heads, head_dim, n_rot);
            assert_true(kd_free(y));
        }
        for (size_t i = 0; i < n; i++) {
            size_t h = i / (size_t)head_dim * (size_t)head_dim, l = i - h;
            double y = (double)x[i];
            if (l < (size_t)n_rot) {
                size_t p = neox ? l % half : l / 2;
                bool second = neox ? l >= half : l & 1;
                double a = (double)x[h + (neox ? p : 2 * p)];
                double b = (double)x[h + (neox ? p + half : 2 * p + 1)];
                y = second ? a * (double)s[p] + b * (double)c[p]
                           : a * (double)c[p] - b * (double)s[p];
            }
            assert_true(fabs((double)want[i] - y) < 1e-5);
        }
        assert_true(kd_free(x) && kd_free(c) && kd_free(s) && kd_free(want));
    }
}

/* ---- attention -------------------------------------------------------------------------- */

/* A page of one KV head: K and V tiles, and the values that they stand for. */
typedef struct page {
    char *k, *v;               /* [linn_kv_tile_bytes] */
    double *k_value, *v_value; /* [LINN_KV_PAGE, head_dim] */
} page;

static double set_value(linn_kv_type kv, char *tile, size_t i)
{
    float x = kd_normal();
    if (kv == LINN_KV_F32) {
        memcpy(tile + i * sizeof x, &x, sizeof x);
        return (double)x;
    }
    uint16_t h = linn_f32_to_f16(x);
    memcpy(tile + i * sizeof h, &h, sizeof h);
    return (double)linn_f16_to_f32(h);
}

/* Scales of a column of a q8_0 tile. */
static void set_scales(char *tile, int32_t head_dim, size_t position)
{
    for (size_t b = 0; b < linn_kv_blocks(head_dim); b++) {
        float d = kd_range(0, 30) ? (1.5f + kd_normal() / 4) / 127 : 0;
        memcpy(tile + (b * LINN_KV_PAGE + position) * sizeof d, &d, sizeof d);
    }
}

/* Level d of a position; extreme ones now and then. */
static double set_level(char *tile, int32_t head_dim, size_t position, size_t d, size_t at)
{
    float scale;
    int level = kd_range(0, 9) ? kd_range(-127, 127) : kd_range(0, 1) ? 127 : -127;
    memcpy(&scale, tile + (d / LINN_KV_BLOCK * LINN_KV_PAGE + position) * sizeof scale,
           sizeof scale);
    linn_kv_levels(tile, head_dim)[at] = (int8_t)level;
    return (double)scale * level;
}

static page make_page(linn_kv_type kv, int32_t head_dim)
{
    size_t bytes = linn_kv_tile_bytes(kv, head_dim), n = (size_t)head_dim;
    size_t width = linn_kv_blocks(head_dim) * LINN_KV_BLOCK;
    page p = {kd_alloc(bytes), kd_alloc(bytes), kd_alloc(n * LINN_KV_PAGE * sizeof(double)),
              kd_alloc(n * LINN_KV_PAGE * sizeof(double))};
    memset(p.k, 0, bytes);
    memset(p.v, 0, bytes);
    for (size_t i = 0; i < LINN_KV_PAGE; i++) {
        if (kv == LINN_KV_Q8_0) {
            set_scales(p.k, head_dim, i);
            set_scales(p.v, head_dim, i);
        }
        for (size_t d = 0; d < n; d++) {
            double *k = &p.k_value[i * n + d], *v = &p.v_value[i * n + d];
            if (kv == LINN_KV_Q8_0) {
                *k = set_level(p.k, head_dim, i, d, (d / 4 * LINN_KV_PAGE + i) * 4 + d % 4);
                *v = set_level(p.v, head_dim, i, d, i * width + d);
            } else {
                *k = set_value(kv, p.k, d * LINN_KV_PAGE + i);
                *v = set_value(kv, p.v, i * n + d);
            }
        }
    }
    return p;
}

/* Position i holds no values: all its bytes are 0xff, which are NaNs. */
static void spoil_position(const page *p, linn_kv_type kv, int32_t head_dim, size_t i)
{
    size_t n = (size_t)head_dim, size = kv == LINN_KV_F32 ? 4 : 2;
    if (kv == LINN_KV_Q8_0) {
        for (size_t b = 0; b < linn_kv_blocks(head_dim); b++) {
            memset(p->k + (b * LINN_KV_PAGE + i) * sizeof(float), 0xff, sizeof(float));
            memset(p->v + (b * LINN_KV_PAGE + i) * sizeof(float), 0xff, sizeof(float));
        }
        return;
    }
    for (size_t d = 0; d < n; d++) {
        memset(p->k + (d * LINN_KV_PAGE + i) * size, 0xff, size);
        memset(p->v + (i * n + d) * size, 0xff, size);
    }
}

static bool free_page(const page *p)
{
    bool k = kd_free(p->k), v = kd_free(p->v);
    return kd_free(p->k_value) && kd_free(p->v_value) && k && v;
}

/* Queries in blocks for a q8_0 cache; q_value: what they stand for. */
static linn_acts quantise_queries(const float *const *q, int32_t n_q, int32_t head_dim,
                                  double *q_value)
{
    size_t n_blocks = linn_kv_blocks(head_dim), width = n_blocks * LINN_KV_BLOCK;
    linn_acts a = {.n = n_q, .k = (int32_t)width};
    float *x = kd_alloc((size_t)n_q * width * sizeof *x);
    memset(x, 0, (size_t)n_q * width * sizeof *x);
    a.q = kd_alloc((size_t)n_q * width);
    a.d = kd_alloc((size_t)n_q * n_blocks * sizeof *a.d);
    a.sums = kd_alloc((size_t)n_q * n_blocks * 2 * sizeof *a.sums);
    a.x = x;
    for (size_t j = 0; j < (size_t)n_q; j++) {
        memcpy(x + j * width, q[j], (size_t)head_dim * sizeof *x);
        kd_tables()[0]->quantize(LINN_ACT_Q8, x + j * width, a.k, a.q + j * width,
                                 a.d + j * n_blocks, a.sums + j * n_blocks * 2);
        for (size_t d = 0; d < (size_t)head_dim; d++)
            q_value[j * (size_t)head_dim + d] =
                (double)a.d[j * n_blocks + d / LINN_KV_BLOCK] * a.q[j * width + d];
    }
    return a;
}

static void attend_equals_plain_c(void **state)
{
    (void)state;
    static const char *const names[] = {"f16", "f32", "q8_0"};
    enum { PAGES = 3, MAX_Q = 9 };
    for (int round = 0; round < 225; round++) {
        linn_kv_type kv = (linn_kv_type)(round % 3);
        int32_t dims[] = {2, 6, 16, 32, 64, 80, 96, 128};
        int32_t head_dim = dims[kd_range(0, 7)], n_q = kd_range(1, MAX_Q);
        size_t n_acc = (size_t)(head_dim * n_q);
        page pages[PAGES];
        for (int p = 0; p < PAGES; p++)
            pages[p] = make_page(kv, head_dim);
        float *q_all = kd_alloc(n_acc * sizeof(float));
        double *q_value = kd_alloc(n_acc * sizeof(double));
        const float *q[MAX_Q];
        int32_t visible[PAGES][MAX_Q];
        kd_fill(q_all, n_acc, KD_NORMAL);
        for (int32_t j = 0; j < n_q; j++) {
            q[j] = q_all + j * head_dim;
            for (int p = 0; p < PAGES; p++)
                visible[p][j] = p < PAGES - 1 && kd_range(0, 3) ? LINN_KV_PAGE
                                                                : kd_range(p ? 0 : 1, LINN_KV_PAGE);
        }
        for (size_t i = 0; i < n_acc; i++)
            q_value[i] = (double)q_all[i];
        linn_acts q8 = {0};
        if (kv == LINN_KV_Q8_0)
            q8 = quantise_queries(q, n_q, head_dim, q_value);
        /* what is not visible may be anything */
        int32_t most = 0;
        for (int32_t j = 0; j < n_q; j++)
            most = visible[PAGES - 1][j] > most ? visible[PAGES - 1][j] : most;
        for (int32_t i = most; i < LINN_KV_PAGE; i++)
            spoil_position(&pages[PAGES - 1], kv, head_dim, (size_t)i);
        float want_m[MAX_Q], want_l[MAX_Q], *want = NULL;
        float scale = 1.0f / sqrtf((float)head_dim) * (round % 5 ? 1 : 20);
        for (const linn_kernels *const *t = kd_tables(); *t; t++) {
            float *acc = kd_alloc(n_acc * sizeof *acc), m[MAX_Q], l[MAX_Q] = {0};
            for (int32_t j = 0; j < n_q; j++)
                m[j] = -INFINITY;
            for (int p = 0; p < PAGES; p++) {
                linn_attend a = {.head_dim = head_dim,
                                 .n_q = n_q,
                                 .kv = kv,
                                 .k = pages[p].k,
                                 .v = pages[p].v,
                                 .q = q,
                                 .q8 = &q8,
                                 .n_visible = visible[p],
                                 .scale = scale,
                                 .m = m,
                                 .l = l,
                                 .acc = acc};
                (*t)->attend(&a);
            }
            if (!want) {
                want = acc;
                memcpy(want_m, m, sizeof m);
                memcpy(want_l, l, sizeof l);
                continue;
            }
            if (memcmp(want, acc, n_acc * sizeof *acc) ||
                memcmp(want_m, m, (size_t)n_q * sizeof *m) ||
                memcmp(want_l, l, (size_t)n_q * sizeof *l))
                fail_with(*t, "attend", names[kv], n_q, 1, head_dim);
            assert_true(kd_free(acc));
        }
        for (int32_t j = 0; j < n_q; j++) { /* plain C against doubles */
            double s[PAGES][LINN_KV_PAGE], max = -INFINITY, sum = 0;
            size_t n = (size_t)head_dim;
            for (int p = 0; p < PAGES; p++)
                for (size_t i = 0; i < (size_t)visible[p][j]; i++) {
                    s[p][i] = 0;
                    for (size_t d = 0; d < n; d++)
                        s[p][i] += q_value[(size_t)j * n + d] * pages[p].k_value[i * n + d];
                    s[p][i] *= (double)scale;
                    max = fmax(max, s[p][i]);
                }
            for (int p = 0; p < PAGES; p++)
                for (int32_t i = 0; i < visible[p][j]; i++)
                    sum += s[p][i] = exp(s[p][i] - max);
            for (size_t d = 0; d < n; d++) {
                double y = 0;
                for (int p = 0; p < PAGES; p++)
                    for (size_t i = 0; i < (size_t)visible[p][j]; i++)
                        y += s[p][i] / sum * pages[p].v_value[i * n + d];
                double got = (double)want[(size_t)j * n + d] / (double)want_l[j];
                assert_true(fabs(got - y) < 1e-4);
            }
        }
        for (int p = 0; p < PAGES; p++)
            assert_true(free_page(&pages[p]));
        if (kv == LINN_KV_Q8_0)
            kd_acts_free(&q8);
        assert_true(kd_free(want) && kd_free(q_all) && kd_free(q_value));
    }
}

static void selection(void **state)
{
    (void)state;
    assert_string_equal(linn_kernels_select(LINN_CPU_C)->name, "c");
    assert_string_equal(linn_kernels_select(0)->name, "c");
    unsigned has = linn_cpu_features();
    if (has & LINN_CPU_AVX2)
        assert_string_equal(linn_kernels_select(LINN_CPU_AVX2)->name, "avx2");
    for (const linn_kernels *const *t = kd_tables(); *t; t++) {
        print_message("tested: %s\n", (*t)->name);
        for (int i = 0; i < 15; i++)
            assert_non_null((*t)->product[kd_types[i]]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selection),
        cmocka_unit_test(plain_c_is_right),
        cmocka_unit_test(packing_in_parts),
        cmocka_unit_test(products_equal_plain_c),
        cmocka_unit_test(width_and_rows_do_not_matter),
        cmocka_unit_test(quantize_equals_plain_c),
        cmocka_unit_test(row_entries_equal_plain_c),
        cmocka_unit_test(to_f16_equals_plain_c),
        cmocka_unit_test(rope_equals_plain_c),
        cmocka_unit_test(attend_equals_plain_c),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
