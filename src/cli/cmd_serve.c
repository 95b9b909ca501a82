/* cmd_serve.c - linn serve: OpenAI's API over HTTP, and a page. */
#include "cli.h"
#include "linn_serve.h"
#include "model_path.h"
#include "models.h"
#include "options.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

typedef struct settings {
    const char *host, *name, *key_file, *log, *ngram;
    linn_texts drafters, keys, cors;
    int64_t port, slots, queue, per_key, kv_mib, chunk, threads, ctx, k, max_body, connections;
    double header, body, idle, send, deadline, grace;
    int shape, kv;
} settings;

static const char *const shape_names[] = {"auto", "off", "maxgram", "spec", NULL};
static const char *const kv_names[] = {"f16", "f32", "q8_0", NULL};

static const linn_option options[] = {
    LINN_GROUP("Where"),
    LINN_TEXT(0, "host", "NAME", settings, host,
              "Address to listen on; 0.0.0.0 or ::: all of them, so that other machines can reach "
              "it",
              .otherwise = "127.0.0.1, this machine only"),
    LINN_INTEGER(0, "port", "N", settings, port, 0, 65535, "Port to listen on; 0: any free one"),
    LINN_TEXT(0, "name", "NAME", settings, name, "What requests call the model",
              .otherwise = "MODEL without folder and .gguf"),
    LINN_GROUP("Who"),
    LINN_TEXTS(0, "api-key", "KEY", settings, keys,
               "Who has no such key is refused. May be given several times; other users of this "
               "machine may see it, better give a file"),
    LINN_TEXT(0, "api-key-file", "FILE", settings, key_file,
              "A file of keys, one a line, each with a name for the log behind it if you like. "
              "SIGHUP has it read again"),
    LINN_TEXTS(0, "cors", "ORIGIN", settings, cors,
               "Pages of this origin (https://example.org; *: any) may use the server. May be "
               "given several times",
               .otherwise = "none but its own"),
    LINN_GROUP("Work"),
    LINN_INTEGER(0, "slots", "N", settings, slots, 1, 256,
                 "Texts written at once; they share the forward passes"),
    LINN_INTEGER(0, "queue", "N", settings, queue, 0, 65536,
                 "Texts that may wait; past that, requests are answered with 429"),
    LINN_INTEGER(0, "per-key", "N", settings, per_key, 1, 65536,
                 "Unfinished texts of one key, or of one address if there are no keys",
                 .otherwise = "no limit"),
    LINN_INTEGER(0, "kv-memory", "MIB", settings, kv_mib, 1, 1 << 24,
                 "Memory for KV caches; when it is short, texts wait or are computed again",
                 .otherwise = "enough for all slots"),
    LINN_INTEGER(0, "chunk", "N", settings, chunk, 1, 4096,
                 "Prompt tokens read in one pass beside running texts: how long these may stall"),
    LINN_INTEGER('t', "threads", "N", settings, threads, 1, 1024, "Threads",
                 .otherwise = "as many as processors"),
    LINN_INTEGER(0, "ctx", "N", settings, ctx, 1, INT32_MAX,
                 "Tokens of prompt and text together, at most", .otherwise = "the model's"),
    LINN_CHOICE(0, "kv", settings, kv, kv_names, "Numbers in the KV cache"),
    LINN_GROUP("Cascade: how soon texts arrive, never what they say"),
    LINN_TEXTS('d', "draft", "MODEL", settings, drafters,
               "A smaller model of the same vocabulary that drafts. May be given several times, "
               "the largest first",
               .otherwise = "brook and rill for river, else none"),
    LINN_CHOICE(
        0, "cascade", settings, shape, shape_names,
        "auto: all drafters and Max-Gram, each as far as it pays beside the other texts; off: "
        "MODEL alone; maxgram: drafts from what was said before only; spec: the first "
        "drafter only"),
    LINN_INTEGER(0, "k", "N", settings, k, 1, 255, "spec, maxgram: tokens drafted before a review"),
    LINN_TEXT(0, "ngram", "FILE", settings, ngram,
              "A table of n-grams that drafts where Max-Gram has little to go by; river: that of "
              "the models that linn comes with"),
    LINN_GROUP("Limits"),
    LINN_INTEGER(0, "max-body", "BYTES", settings, max_body, 1, 1 << 30, "Of a request"),
    LINN_INTEGER(0, "max-connections", "N", settings, connections, 1, 1000000,
                 "Connections at once; more of them wait to be accepted"),
    LINN_REAL(0, "header-time", "S", settings, header, 0, 86400,
              "Seconds in which a request's head must come", .above_min = true),
    LINN_REAL(0, "body-time", "S", settings, body, 0, 86400, "Seconds for its body",
              .above_min = true),
    LINN_REAL(0, "idle-time", "S", settings, idle, 0, 86400,
              "Seconds that a connection may be idle between requests", .above_min = true),
    LINN_REAL(0, "send-time", "S", settings, send, 0, 86400,
              "Seconds in which a client must take some of a stream, or all of an answer",
              .above_min = true),
    LINN_REAL(0, "deadline", "S", settings, deadline, 0, 86400,
              "Seconds for a whole request; its text is cut there; 0: no limit"),
    LINN_REAL(0, "grace", "S", settings, grace, 0, 86400,
              "Seconds that running texts have to end after SIGTERM or Ctrl-C; a second one cuts "
              "them off"),
    LINN_TEXT(0, "access-log", "FILE", settings, log,
              "A line of JSON for each request is added to it; -: standard output. SIGHUP opens it "
              "anew",
              .otherwise = "none"),
    LINN_OPTIONS_END,
};

/* The one variable that is not a constant: a signal handler has no argument. */
static linn_server *volatile running;

static void on_signal(int number)
{
    if (!running)
        return;
    if (number == SIGHUP)
        linn_server_reload(running);
    else
        linn_server_stop(running);
}

static void watch_signals(void)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaction(numbers[i], &action, NULL);
}

static void on_note(void *self, const char *line)
{
    linn_cli_note(self, "%s", line);
}

/* As many open files as connections need, where the system lets us. */
static void allow_connections(const linn_command *self, int64_t n)
{
    enum { OTHERS = 64 };
    struct rlimit limit;
    rlim_t wanted = (rlim_t)n + OTHERS;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= wanted)
        return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < wanted)
        linn_cli_note(self, "only %llu files may be open, too few for %" PRId64 " connections",
                      (unsigned long long)limit.rlim_cur, n);
}

/* "models/river.gguf" is called river. */
static void default_name(const char *model, char *out, size_t capacity)
{
    const char *slash = strrchr(model, '/');
    snprintf(out, capacity, "%s", slash ? slash + 1 : model);
    size_t n = strlen(out);
    if (n > 5 && strcmp(out + n - 5, ".gguf") == 0)
        out[n - 5] = '\0';
}

static linn_server_settings server_settings(const linn_command *self, const settings *s)
{
    linn_server_settings set = linn_server_settings_default();
    set.host = s->host;
    set.port = (int)s->port;
    set.model_name = s->name;
    set.slots = (int32_t)s->slots;
    set.queue = (int32_t)s->queue;
    set.per_user = (int32_t)s->per_key;
    set.kv_bytes = (uint64_t)s->kv_mib << 20;
    set.prefill_chunk = (int32_t)s->chunk;
    set.cascade.shape = (linn_shape)s->shape;
    set.cascade.k = (int32_t)s->k;
    set.cascade.session = (linn_session_settings){(int32_t)s->ctx, (linn_kv_type)s->kv};
    set.keys = s->keys.items;
    set.n_keys = s->keys.n;
    set.key_file = s->key_file;
    set.cors = s->cors.items;
    set.n_cors = s->cors.n;
    set.max_body = (size_t)s->max_body;
    set.max_connections = (int32_t)s->connections;
    set.header_seconds = s->header;
    set.body_seconds = s->body;
    set.idle_seconds = s->idle;
    set.send_seconds = s->send;
    set.deadline_seconds = s->deadline;
    set.grace_seconds = s->grace;
    set.access_log = s->log;
    set.user = (void *)(uintptr_t)self;
    set.on_note = on_note;
    return set;
}

/* Says where it is, and serves until it is told to stop. */
static int serve(const linn_command *self, const linn_models *models, linn_server_settings *set)
{
    linn_server *server;
    linn_error err;
    watch_signals(); /* before the port is open: who sees it may send one */
    int rc = linn_server_create(&server, models->items[0],
                                (const linn_model *const *)(models->items + 1), models->n - 1, set,
                                &err);
    if (rc)
        return linn_cli_fail(self, "%s", err.message);
    running = server;
    linn_cli_note(self, "%s at %s, %d texts at once, context %d", set->model_name,
                  linn_server_url(server), set->slots, linn_server_context(server));
    rc = linn_server_run(server, &err);
    running = NULL;
    linn_server_free(server);
    return rc ? linn_cli_fail(self, "%s", err.message) : LINN_EXIT_DONE;
}

static int run_command(const linn_command *self, int argc, char **argv)
{
    linn_server_settings standard = linn_server_settings_default();
    settings s = {
        .host = standard.host,
        .port = standard.port,
        .slots = standard.slots,
        .queue = standard.queue,
        .chunk = standard.prefill_chunk,
        .k = standard.cascade.k,
        .max_body = (int64_t)standard.max_body,
        .connections = standard.max_connections,
        .header = standard.header_seconds,
        .body = standard.body_seconds,
        .idle = standard.idle_seconds,
        .send = standard.send_seconds,
        .deadline = standard.deadline_seconds,
        .grace = standard.grace_seconds,
    };
    linn_models models = {0};
    char name[256], *path = NULL;
    int n, status = linn_cli_parse(self, argc, argv, &s, 1, 1, &n);
    if (status != LINN_PARSED) {
        free(s.drafters.items);
        free(s.keys.items);
        free(s.cors.items);
        return status;
    }
    default_name(argv[1], name, sizeof name);
    s.name = s.name ? s.name : name;
    allow_connections(self, s.connections);
    status = linn_cli_model_path(self, argv[1], &path);
    if (status == LINN_PARSED)
        status = linn_cli_open_models(self, argv[1], linn_cli_family(argv[1], s.drafters),
                                      s.threads, &models);
    if (status == LINN_PARSED)
        status = linn_cli_open_table(self, s.ngram, &models);
    if (status == LINN_PARSED) {
        linn_server_settings set = server_settings(self, &s);
        set.model_path = path;
        set.cascade.ngram = models.ngram;
        status = serve(self, &models, &set);
    }
    linn_cli_close_models(&models);
    free(path);
    free(s.drafters.items);
    free(s.keys.items);
    free(s.cors.items);
    return status;
}

const linn_command linn_command_serve = {
    .name = "serve",
    .usage = "MODEL [options]",
    .summary = "Answer requests of OpenAI's API, and show a page",
    .description =
        "Serves MODEL over HTTP: OpenAI's API under /v1 (chat/completions, completions, models), "
        "/tokenize, /detokenize, /health, /metrics for Prometheus, and a page to chat with at /. "
        "MODEL is a GGUF file, or river, brook or rill, the models that linn comes with.\n\n"
        "Many texts are written at once and share the forward passes; drafts fill these as far as "
        "that pays. A request with a seed gets the same text alone, in any company and with any "
        "cascade. Without API keys the server talks to this machine only, unless told otherwise "
        "by --host. There is no TLS: put a proxy before it for the open network.",
    .options = options,
    .examples = "  linn serve river\n"
                "  linn serve MODEL.gguf -d DRAFT.gguf --api-key-file keys --host 0.0.0.0\n"
                "  curl localhost:8080/v1/completions \\\n"
                "      -d '{\"prompt\": \"Once upon a time\", \"max_tokens\": 40, \"seed\": 1}'\n",
    .run = run_command,
};
