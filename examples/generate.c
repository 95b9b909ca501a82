#include <linn.h>
#include <stdio.h>

static bool print(void *user, const linn_piece *p)
{
    return fwrite(p->text, 1, p->length, user) == p->length;
}

int main(void)
{
    linn_error err;
    linn_engine_settings threads = linn_engine_settings_default();
    linn_cascade_settings settings = linn_cascade_settings_default();
    linn_engine *engine;
    linn_model *river, *brook;
    linn_cascade *cascade;
    linn_token ids[64];
    linn_finish finish;
    linn_stats stats;
    linn_request r = {.prompt = ids,
                      .max_tokens = 100,
                      .sampling = linn_sampling_default(),
                      .user = stdout,
                      .on_piece = print};

    if (linn_engine_create(&engine, &threads, &err) ||
        linn_model_open(&river, engine, "models/river.gguf", &err) ||
        linn_model_open(&brook, engine, "models/brook.gguf", &err) ||
        linn_cascade_create(&cascade, river, (const linn_model *[]){brook}, 1, &settings, &err) ||
        linn_tokenize(linn_model_tokenizer(river), "Once upon a time", 16, LINN_TOKENIZE_BOS, ids,
                      64, &r.n_prompt, &err) ||
        linn_generate(cascade, &r, &finish, &stats, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    printf("\n%d tokens, %.0f a second\n", stats.tokens, 1000 * stats.tokens / stats.decode_ms);
    linn_cascade_free(cascade);
    linn_model_free(brook);
    linn_model_free(river);
    linn_engine_free(engine);
    return 0;
}
