/* fuzz_http.c - whole connections: what a client sends, byte for byte, to a server that runs.
 *
 * The server has no port; the connection is a pair of sockets, and the event loop is run
 * here until the server has answered or waits for more. Its models are the smallest of the
 * family. The input may hold several requests; its first byte says into how many pieces it
 * is cut, and whether the client goes away at the end or reads on.
 */
#include "serve/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static linn_engine *engine;
static linn_model *model;
static linn_server *server;

static void must(int rc, const linn_error *err)
{
    if (rc == LINN_OK)
        return;
    fprintf(stderr, "%s\n", err->message);
    abort();
}

static void close_server(void)
{
    linn_server_free(server);
    linn_model_free(model);
    linn_engine_free(engine);
}

static void open_server(void)
{
    linn_error err;
    char path[4096];
    const char *models = getenv("LINN_MODELS");
    snprintf(path, sizeof path, "%s/rill.gguf", models ? models : "models");
    linn_engine_settings e = linn_engine_settings_default();
    e.threads = 1;
    must(linn_engine_create(&engine, &e, &err), &err);
    must(linn_model_open(&model, engine, path, &err), &err);
    linn_server_settings s = linn_server_settings_default();
    s.port = -1;
    s.slots = 2;
    s.queue = 2;
    s.max_body = 1 << 16;
    s.deadline_seconds = 0.02; /* a text may be long, a run must not */
    s.cascade.session.n_ctx = 128;
    must(linn_server_create(&server, model, NULL, 0, &s, &err), &err);
    atexit(close_server);
}

/* Takes what the server says; false: it has closed. */
static bool drain(int fd)
{
    char buffer[4096];
    for (;;) {
        ssize_t n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (n == 0)
            return false;
        if (n < 0)
            return true;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int pair[2];
    if (size == 0)
        return 0;
    if (!server)
        open_server();
    size_t pieces = 1 + (data[0] & 7), stays = data[0] & 8;
    const uint8_t *at = data + 1, *end = data + size;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        abort();
    linn_server_adopt(server, pair[1]);
    size_t piece = (size_t)(end - at) / pieces + 1;
    for (bool open = true; open && at < end;) {
        size_t n = (size_t)(end - at) < piece ? (size_t)(end - at) : piece;
        ssize_t sent = send(pair[0], at, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        at += sent > 0 ? sent : 0;
        linn_server_step(server, 0);
        open = drain(pair[0]) && (sent > 0 || n == 0);
    }
    for (int i = 0; stays && i < 3 && drain(pair[0]); i++)
        linn_server_step(server, 1);
    close(pair[0]);
    while (server->lines || server->exchanges)
        linn_server_step(server, 1);
    return 0;
}
