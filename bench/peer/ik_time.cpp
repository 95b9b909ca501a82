// ik_time - times ik_llama.cpp as `linn bench width` and `linn bench speed` time linn: passes of n
// tokens with all logits after some context, rolled back after each; reading a prompt; loading.
//
//   ik_time MODEL THREADS CONTEXT KV(f16|q8_0) REPACK(0|1) ROUNDS N...
//
// Prints lines "load MS", "prompt512 MS" and, for each N, "passN MS": medians of the rounds. Not part of
// any build; compare.py says how it is compiled against a built copy of the peer.
#include "llama.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

static llama_model *model;
static llama_context *ctx;
static llama_batch batch;

static double now_ms()
{
    using namespace std::chrono;
    return duration<double, std::milli>(steady_clock::now().time_since_epoch()).count();
}

static void feed(int from, int n, bool logits)
{
    const unsigned vocab = (unsigned)llama_n_vocab(model);
    batch.n_tokens = n;
    for (int i = 0; i < n; i++) {
        batch.token[i] = (llama_token)(((unsigned)(from + i) * 7919u + 13u) % (vocab - 10) + 5);
        batch.pos[i] = from + i;
        batch.n_seq_id[i] = 1;
        batch.seq_id[i][0] = 0;
        batch.logits[i] = logits;
    }
    if (llama_decode(ctx, batch)) {
        fprintf(stderr, "ik_time: the peer failed to decode\n");
        exit(1);
    }
}

static void read_tokens(int n)
{
    llama_kv_cache_clear(ctx);
    for (int at = 0; at < n; at += 512)
        feed(at, std::min(512, n - at), false);
}

template <class Step> static void report(const char *name, int n, int rounds, Step step)
{
    std::vector<double> ms;
    for (int i = 0; i < rounds; i++) {
        double start = now_ms();
        step();
        ms.push_back(now_ms() - start);
        llama_kv_cache_seq_rm(ctx, 0, n, -1);
    }
    std::sort(ms.begin(), ms.end());
    printf("%s %.4f\n", name, ms[ms.size() / 2]);
}

int main(int argc, char **argv)
{
    if (argc < 7) {
        fprintf(stderr, "usage: ik_time MODEL THREADS CONTEXT KV REPACK ROUNDS N...\n");
        return 2;
    }
    const int threads = atoi(argv[2]), context = atoi(argv[3]), rounds = atoi(argv[6]);
    const bool repack = atoi(argv[5]) != 0;
    llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    double start = now_ms();
    llama_backend_init();
    llama_model_params mp = llama_model_default_params();
    mp.use_mmap = !repack;
    mp.repack_tensors = repack;
    model = llama_model_load_from_file(argv[1], mp);
    if (!model) {
        fprintf(stderr, "ik_time: the peer cannot load %s\n", argv[1]);
        return 1;
    }
    printf("load %.2f\n", now_ms() - start);
    llama_context_params cp = llama_context_default_params();
    cp.n_ctx = (uint32_t)std::max(context + 64, 576);
    cp.n_batch = cp.n_ubatch = 512;
    cp.n_threads = cp.n_threads_batch = (uint32_t)threads;
    cp.flash_attn = true;
    cp.type_k = cp.type_v = strcmp(argv[4], "q8_0") ? GGML_TYPE_F16 : GGML_TYPE_Q8_0;
    ctx = llama_init_from_model(model, cp);
    if (!ctx) {
        fprintf(stderr, "ik_time: the peer has no room for %d positions\n", context);
        return 1;
    }
    batch = llama_batch_init(512, 0, 1);
    read_tokens(64); // caches and threads are warm from here on
    report("prompt512", 0, std::min(rounds, 3), [] { read_tokens(512); });
    read_tokens(context);
    for (int i = 7; i < argc; i++) {
        const int n = atoi(argv[i]);
        char name[32];
        snprintf(name, sizeof name, "pass%d", n);
        report(name, context, rounds, [=] { feed(context, n, true); });
    }
    llama_batch_free(batch);
    llama_free(ctx);
    llama_free_model(model);
    return 0;
}
