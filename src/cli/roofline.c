/* roofline.c - see roofline.h. */
#include "roofline.h"

#include <string.h>

enum {
    MEMORY_LEAST = 1 << 20,
    MEMORY_MOST = 256 << 20,
    MEMORY_ROUNDS = 3,
    /* A matrix that fits the cache of its own that a processor has, in any format. */
    ROWS_A_THREAD = 128,
    COLUMNS = 2048,
    WIDTH_MOST = 256, /* wider products are no faster */
};

static int index_of(const char *type)
{
    const char *name;
    for (size_t i = 0; i < LINN_CLI_ROOF_TYPES && (name = linn_product_type(i)); i++)
        if (strcmp(name, type) == 0)
            return (int)i;
    return -1;
}

int linn_cli_roof_survey(linn_cli_roof *r, const linn_model *model, const char *path,
                         linn_error *err)
{
    *r = (linn_cli_roof){.bytes = (double)linn_model_describe(model).weight_bytes};
    linn_file *f;
    int rc = linn_file_open(&f, path, err);
    if (rc != LINN_OK)
        return rc;
    double embedding = 0;
    int embedding_type = -1;
    bool output = false;
    linn_tensor_info t;
    for (size_t i = 0; linn_file_tensor(f, i, &t) == LINN_OK; i++) {
        int type = t.n_dims == 2 ? index_of(t.type) : -1;
        double macs = (double)t.shape[0] * (double)t.shape[1];
        output |= strcmp(t.name, "output.weight") == 0;
        if (strcmp(t.name, "token_embd.weight") == 0) {
            embedding = macs;
            embedding_type = type;
        } else if (type >= 0) {
            r->macs[type] += macs;
        }
    }
    if (!output && embedding_type >= 0) /* the output is the embedding */
        r->macs[embedding_type] += embedding;
    linn_file_close(f);
    return LINN_OK;
}

int linn_cli_roof_bandwidth(linn_cli_roof *r, linn_engine *e, linn_error *err)
{
    double bytes = r->bytes;
    bytes = bytes < MEMORY_LEAST ? MEMORY_LEAST : bytes > MEMORY_MOST ? MEMORY_MOST : bytes;
    return linn_measure_memory(e, (size_t)bytes, MEMORY_ROUNDS, &r->bandwidth, err);
}

int linn_cli_roof_seconds(const linn_cli_roof *r, linn_engine *e, int32_t n, double more,
                          double *seconds, linn_error *err)
{
    double memory = (r->bytes + more) / r->bandwidth, arithmetic = 0;
    for (size_t i = 0; i < LINN_CLI_ROOF_TYPES; i++) {
        if (r->macs[i] == 0)
            continue;
        linn_product_case c = {.type = linn_product_type(i),
                               .n_rows = ROWS_A_THREAD * linn_engine_threads(e),
                               .n_cols = COLUMNS,
                               .width = n < WIDTH_MOST ? n : WIDTH_MOST};
        double took;
        int rc = linn_measure_product(e, &c, 1, &took, err);
        if (rc != LINN_OK)
            return rc;
        double rate = (double)c.n_rows * (double)c.n_cols * (double)c.width / took;
        arithmetic += r->macs[i] * (double)n / rate;
    }
    *seconds = memory > arithmetic ? memory : arithmetic;
    return LINN_OK;
}
