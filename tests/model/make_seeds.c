/* make_seeds.c - writes the seeds of fuzz-model: one tiny model of each kind.
 *     make-model-seeds FOLDER */
#include "synthetic.h"

#include <stdio.h>
#include <stdlib.h>

static void write(const synthetic_plan *p, const char *folder, const char *name)
{
    char path[4096];
    linn_error err;
    snprintf(path, sizeof path, "%s/%s.gguf", folder, name);
    if (!p || synthetic_write(p, path, &err) != LINN_OK) {
        fprintf(stderr, "%s: %s\n", path, p ? err.message : "out of memory");
        exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    static const char *const architectures[] = {"llama", "qwen2", "qwen3"};
    static const uint32_t types[] = {LINN_TYPE_F32, LINN_TYPE_F16, LINN_TYPE_Q8_0};
    for (int i = 0; i < 3; i++) {
        synthetic s = synthetic_small(architectures[i]);
        s.type = types[i];
        s.n_layers = 1;
        s.n_embd = s.n_ff = i < 2 ? 16 : 32;
        s.n_heads = 2;
        s.n_kv_heads = 1;
        s.n_vocab = 8;
        s.tied = i > 0;
        s.rope_factors = i == 0;
        s.rope_scale = i == 1 ? 4 : 0;
        synthetic_plan *p = synthetic_plan_create(&s);
        write(p, argv[1], architectures[i]);
        synthetic_plan_free(p);
    }
    /* Super-blocks need 256 columns; what has fewer stays F32. */
    synthetic s = synthetic_small("llama");
    s.n_layers = 1;
    s.n_embd = 256;
    s.n_heads = s.n_kv_heads = 1;
    s.head_dim = 2;
    s.n_ff = 4;
    s.n_vocab = 4;
    s.tied = true;
    synthetic_plan *p = synthetic_plan_create(&s);
    static const uint32_t super[] = {LINN_TYPE_Q2_K, LINN_TYPE_Q3_K, LINN_TYPE_Q4_K,
                                     LINN_TYPE_Q5_K, LINN_TYPE_Q6_K, LINN_TYPE_IQ4_XS};
    for (size_t i = 0, n = 0; p && i < p->n_tensors; i++)
        if (p->tensors[i].n_dims == 2 && p->tensors[i].shape[0] == 256)
            p->tensors[i].type = super[n++ % 6];
    write(p, argv[1], "super");
    synthetic_plan_free(p);
    return 0;
}
