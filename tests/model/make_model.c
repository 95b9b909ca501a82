/* make_model.c - writes a model with random weights, for measuring speed at real sizes.
 *
 *     make-model --shape 1.1b --type q8_0 /tmp/big.gguf
 *     make-model --layers 4 --embd 256 --heads 8 --kv-heads 2 --ff 768 --type q4_k small.gguf
 *
 * Random blocks with sensible scales: no quantiser takes part, so it is as fast as the
 * disk. With --tokenizer FILE the tokenizer of another model is copied (and filled up
 * with unused tokens), so that text goes in and comes out, here and in other programs.
 */
#include "synthetic.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct shape {
    const char *name;
    int n_layers, n_embd, n_heads, n_kv_heads, n_ff, n_vocab, n_ctx;
} shape;

static const shape shapes[] = {
    {"tiny", 2, 256, 4, 2, 768, 512, 512},
    {"68m", 2, 768, 12, 12, 3072, 32000, 2048},   /* as JackFram/llama-68m */
    {"160m", 12, 768, 12, 12, 3072, 32000, 2048}, /* as JackFram/llama-160m */
    {"1.1b", 22, 2048, 32, 4, 5632, 32000, 2048}, /* as TinyLlama */
    {"3b", 28, 3072, 24, 8, 8192, 32000, 4096},
    {"7b", 32, 4096, 32, 32, 11008, 32000, 4096}, /* as Llama 2 */
    {"8b", 32, 4096, 32, 8, 14336, 128256, 8192}, /* as Llama 3 */
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static const char usage[] =
    "Usage: make-model [options] FILE\n"
    "  --shape NAME      tiny, 68m, 160m, 1.1b, 3b, 7b, 8b: what the next ones start from\n"
    "  --arch NAME       llama, qwen2, qwen3\n"
    "  --type NAME       of all matrices: F32, F16, BF16, Q8_0, Q4_0, Q4_K, ...\n"
    "  --output-type NAME  of the output matrix, if another\n"
    "  --layers N  --embd N  --heads N  --kv-heads N  --head-dim N  --ff N  --vocab N  --ctx N\n"
    "  --tied            the output matrix is the embedding\n"
    "  --rope-factors    with rope_freqs.weight, as Llama 3.1\n"
    "  --rope-scale X    linear scaling\n"
    "  --eps X  --freq-base X  --seed N\n"
    "  --tokenizer FILE  copies the tokenizer of a GGUF file; else bytes are tokens\n";

static int misuse(const char *what, const char *value)
{
    fprintf(stderr, "make-model: %s: %s\n%s", what, value, usage);
    return 2;
}

static bool find_shape(synthetic *s, const char *name)
{
    for (int i = 0; i < N_SHAPES; i++)
        if (strcmp(shapes[i].name, name) == 0) {
            const shape *h = &shapes[i];
            s->n_layers = h->n_layers;
            s->n_embd = h->n_embd;
            s->n_heads = h->n_heads;
            s->n_kv_heads = h->n_kv_heads;
            s->n_ff = h->n_ff;
            s->n_vocab = h->n_vocab;
            s->n_ctx = h->n_ctx;
            return true;
        }
    return false;
}

enum { SHAPE, ARCH, TYPE, OUTPUT_TYPE, TIED, FACTORS, SCALE, EPS, BASE, SEED, TOKENIZER, NUMBERS };

int main(int argc, char **argv)
{
    synthetic s = synthetic_small("llama");
    find_shape(&s, "tiny");
    s.type = LINN_TYPE_Q8_0;
    int output_type = -1;
    struct {
        const char *name;
        int *value;
    } numbers[] = {{"layers", &s.n_layers},     {"embd", &s.n_embd},       {"heads", &s.n_heads},
                   {"kv-heads", &s.n_kv_heads}, {"head-dim", &s.head_dim}, {"ff", &s.n_ff},
                   {"vocab", &s.n_vocab},       {"ctx", &s.n_ctx}};
    enum { N_NUMBERS = sizeof numbers / sizeof *numbers };
    struct option longs[NUMBERS + N_NUMBERS + 1] = {
        {"shape", required_argument, NULL, SHAPE},
        {"arch", required_argument, NULL, ARCH},
        {"type", required_argument, NULL, TYPE},
        {"output-type", required_argument, NULL, OUTPUT_TYPE},
        {"tied", no_argument, NULL, TIED},
        {"rope-factors", no_argument, NULL, FACTORS},
        {"rope-scale", required_argument, NULL, SCALE},
        {"eps", required_argument, NULL, EPS},
        {"freq-base", required_argument, NULL, BASE},
        {"seed", required_argument, NULL, SEED},
        {"tokenizer", required_argument, NULL, TOKENIZER},
    };
    for (int i = 0; i < N_NUMBERS; i++)
        longs[NUMBERS + i] = (struct option){numbers[i].name, required_argument, NULL, NUMBERS + i};
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
        switch (c) {
        case SHAPE:
            if (!find_shape(&s, optarg))
                return misuse("unknown shape", optarg);
            break;
        case ARCH:
            s.architecture = optarg;
            break;
        case TYPE:
        case OUTPUT_TYPE:
            if (linn_type_by_name(optarg) < 0)
                return misuse("unknown type", optarg);
            if (c == TYPE)
                s.type = (uint32_t)linn_type_by_name(optarg);
            else
                output_type = linn_type_by_name(optarg);
            break;
        case TIED:
            s.tied = true;
            break;
        case FACTORS:
            s.rope_factors = true;
            break;
        case SCALE:
            s.rope_scale = strtof(optarg, NULL);
            break;
        case EPS:
            s.eps = strtof(optarg, NULL);
            break;
        case BASE:
            s.freq_base = strtof(optarg, NULL);
            break;
        case SEED:
            s.seed = strtoull(optarg, NULL, 10);
            break;
        case TOKENIZER:
            s.tokenizer = optarg;
            break;
        default:
            if (c < NUMBERS || c >= NUMBERS + N_NUMBERS)
                return misuse("bad option", argv[optind - 1]);
            *numbers[c - NUMBERS].value = atoi(optarg);
        }
    }
    if (optind != argc - 1)
        return misuse("expected one file", "where to write");
    linn_error err;
    synthetic_plan *p = synthetic_plan_create(&s);
    if (!p)
        return 1;
    synthetic_tensor *output = synthetic_find(p, "output.weight");
    if (output && output_type >= 0)
        output->type = (uint32_t)output_type;
    int rc = synthetic_write(p, argv[optind], &err);
    synthetic_plan_free(p);
    if (rc != LINN_OK)
        fprintf(stderr, "make-model: %s\n", err.message);
    return rc != LINN_OK;
}
