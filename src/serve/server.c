/* server.c - listening, the event loop, limits of time, reloading, ending (server.h). */
#include "serve/server.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "tokenizer/vocab.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HEAD_BYTES = 1 << 15, /* of a request's head; MHD keeps it with what it writes */
    SWEEP_MS = 250,
    CUT_MS = 5000, /* to hand out what was cut */
};

linn_server_settings linn_server_settings_default(void)
{
    linn_scheduler_settings s = linn_scheduler_settings_default();
    return (linn_server_settings){
        .host = "127.0.0.1",
        .port = 8080,
        .slots = s.slots,
        .queue = s.queue,
        .prefill_chunk = s.prefill_chunk,
        .cascade = s.cascade,
        .max_body = 4 << 20,
        .max_connections = 1024,
        .header_seconds = 10,
        .body_seconds = 30,
        .idle_seconds = 60,
        .send_seconds = 30,
        .grace_seconds = 30,
    };
}

/* ---- listening ------------------------------------------------------------------------------- */

static bool is_loopback(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET)
        return (ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24) == 127;
    return a->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
}

static int bind_to(const struct addrinfo *a)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* restart at once after a kill */
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    int code = errno;
    close(fd);
    errno = code;
    return -1;
}

static void write_url(linn_server *s, int fd)
{
    struct sockaddr_storage at;
    socklen_t n = sizeof at;
    char host[INET6_ADDRSTRLEN] = "", port[16] = "";
    if (getsockname(fd, (struct sockaddr *)&at, &n) == 0) {
        getnameinfo((struct sockaddr *)&at, n, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV);
        s->loopback = is_loopback((struct sockaddr *)&at);
    }
    snprintf(s->url, sizeof s->url, strchr(host, ':') ? "http://[%s]:%s" : "http://%s:%s", host,
             port);
}

static int open_socket(linn_server *s, int *fd, linn_error *err)
{
    char port[16];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    const char *host = s->settings.host;
    snprintf(port, sizeof port, "%d", s->settings.port);
    int code = getaddrinfo(host, port, &hints, &list);
    if (code)
        return linn_fail(err, LINN_EINVAL, "cannot listen on %s: %s", host, gai_strerror(code));
    *fd = bind_to(list);
    int why = errno;
    freeaddrinfo(list);
    if (*fd < 0)
        return linn_fail(err, LINN_EIO, "cannot listen on %s, port %s: %s", host, port,
                         strerror(why));
    write_url(s, *fd);
    return LINN_OK;
}

/* ---- connections ----------------------------------------------------------------------------- */

void linn_server_phase(linn_line *l, linn_phase phase)
{
    l->phase = phase;
    l->since_ns = linn_now_ns();
}

static void begin_line(linn_server *s, struct MHD_Connection *connection, void **context)
{
    linn_line *l = calloc(1, sizeof *l);
    *context = l;
    s->metrics.connections++;
    s->metrics.open_connections++;
    if (!l)
        return; /* its requests are refused (on_request) */
    l->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    l->since_ns = linn_now_ns();
    l->next = s->lines;
    l->link = &s->lines;
    if (l->next)
        l->next->link = &l->next;
    s->lines = l;
}

static void end_line(linn_server *s, linn_line *l)
{
    s->metrics.open_connections--;
    s->again = true;
    if (!l)
        return;
    *l->link = l->next;
    if (l->next)
        l->next->link = l->link;
    free(l);
}

static void on_connection(void *server, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        begin_line(server, connection, context);
    else
        end_line(server, *context);
}

/* libmicrohttpd is done with a request, whatever came of it. */
static void on_completed(void *server, struct MHD_Connection *connection, void **exchange,
                         enum MHD_RequestTerminationCode code)
{
    linn_server *s = server;
    linn_exchange *e = *exchange;
    (void)connection;
    if (!e)
        return;
    *exchange = NULL;
    epoll_ctl(s->epoll, EPOLL_CTL_DEL, e->line->fd, NULL);
    e->line->used = true;
    linn_server_phase(e->line, LINN_PHASE_HEAD);
    e->aborted = code != MHD_REQUEST_TERMINATED_COMPLETED_OK;
    pthread_mutex_lock(&e->lock);
    e->connection = NULL;
    e->suspended = false;
    pthread_mutex_unlock(&e->lock);
    linn_exchange_leave(e);
    s->n_done++;
}

static double limit_of(const linn_server_settings *s, const linn_line *l)
{
    switch (l->phase) {
    case LINN_PHASE_HEAD:
        return l->used ? s->idle_seconds : s->header_seconds;
    case LINN_PHASE_BODY:
        return s->body_seconds;
    case LINN_PHASE_SEND:
        return s->send_seconds;
    case LINN_PHASE_ANSWER:
        break;
    }
    return INFINITY;
}

/* Cuts the connections that have taken too long over what they are at. */
static void sweep(linn_server *s, int64_t now)
{
    if (now - s->swept_ns < SWEEP_MS * 1000000LL)
        return;
    s->swept_ns = now;
    for (linn_line *l = s->lines; l; l = l->next) {
        if ((double)(now - l->since_ns) * 1e-9 <= limit_of(&s->settings, l))
            continue;
        /* What a client does not take must not stay in the kernel either. */
        const struct linger reset = {.l_onoff = 1};
        if (l->phase == LINN_PHASE_SEND)
            setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        shutdown(l->fd, SHUT_RDWR);
        l->since_ns = now;
        s->metrics.cut_connections++;
    }
}

/* Frees the exchanges that are over. */
static void reap(linn_server *s)
{
    for (linn_exchange *e = s->exchanges, *next; e && s->n_done > 0; e = next) {
        next = e->next;
        if (e->connection || !linn_exchange_is_over(e))
            continue;
        linn_server_metrics_count(&s->metrics, e->route, e->status);
        s->metrics.aborted += e->aborted;
        linn_exchange_log(e);
        *e->link = e->next;
        if (e->next)
            e->next->link = e->link;
        s->n_exchanges--;
        s->n_done--;
        linn_exchange_free(e);
    }
}

/* ---- making ---------------------------------------------------------------------------------- */

static int check_settings(const linn_server_settings *s, linn_error *err)
{
    if (s->port < -1 || s->port > 65535)
        return linn_fail(err, LINN_EINVAL, "port %d: must be 0 to 65535", s->port);
    if (s->max_connections < 1 || s->max_body < 1)
        return linn_fail(err, LINN_EINVAL, "a limit of 0 would let nobody in");
    const double times[] = {s->header_seconds, s->body_seconds, s->idle_seconds, s->send_seconds};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        if (!(times[i] > 0))
            return linn_fail(err, LINN_EINVAL, "a limit of %g seconds: must be above 0", times[i]);
    return LINN_OK;
}

/* What the text depends on beside the request: the model's file, numbers in the KV cache, and the
 * order of operations. */
static int name_things(linn_server *s, linn_error *err)
{
    const char *name = s->settings.model_name ? s->settings.model_name : s->model.name;
    bool good = *name && linn_utf8_check(name, strlen(name)) == strlen(name);
    snprintf(s->name, sizeof s->name, "%s", good ? name : "model");
    s->name[linn_utf8_check(s->name, strlen(s->name))] = '\0'; /* cut within a character */
    uint64_t parts[] = {0, (uint64_t)s->settings.cascade.session.kv};
    const char *path = s->settings.model_path;
    int rc = path ? linn_hash_file(path, &parts[0], err) : LINN_OK;
    uint64_t hash = linn_hash_bytes(0, parts, sizeof parts);
    snprintf(s->fingerprint, sizeof s->fingerprint, "fp_%012llx_n%d",
             (unsigned long long)(hash & 0xffffffffffff), linn_numeric_version());
    return rc;
}

static int open_daemon(linn_server *s, int fd, linn_error *err)
{
    const linn_server_settings *set = &s->settings;
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC;
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_CONNECTION_LIMIT, set->max_connections, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, HEAD_BYTES, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, s},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, s},
        {fd >= 0 ? MHD_OPTION_LISTEN_SOCKET : MHD_OPTION_END, fd, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    if (fd < 0)
        flags |= MHD_USE_NO_LISTEN_SOCKET;
    s->daemon = MHD_start_daemon(flags, 0, NULL, NULL, linn_route_request, s, MHD_OPTION_ARRAY,
                                 options, MHD_OPTION_END);
    if (!s->daemon) {
        if (fd >= 0)
            close(fd);
        return linn_fail(err, LINN_EIO, "cannot start the HTTP server: %s", strerror(errno));
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    struct epoll_event http = {.events = EPOLLIN, .data.ptr = s};
    struct epoll_event wake = {.events = EPOLLIN, .data.ptr = NULL};
    if (!info || epoll_ctl(s->epoll, EPOLL_CTL_ADD, info->epoll_fd, &http) ||
        epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->wake, &wake))
        return linn_fail(err, LINN_EIO, "cannot start the HTTP server: %s", strerror(errno));
    return LINN_OK;
}

static int open_scheduler(linn_server *s, const linn_model *target,
                          const linn_model *const *drafters, size_t n_drafters, linn_error *err)
{
    const linn_server_settings *set = &s->settings;
    linn_scheduler_settings work = {.slots = set->slots,
                                    .queue = set->queue,
                                    .kv_bytes = set->kv_bytes,
                                    .prefill_chunk = set->prefill_chunk,
                                    .cascade = set->cascade};
    return linn_scheduler_create(&s->scheduler, target, drafters, n_drafters, &work, err);
}

int linn_server_create(linn_server **out, const linn_model *target,
                       const linn_model *const *drafters, size_t n_drafters,
                       const linn_server_settings *settings, linn_error *err)
{
    *out = NULL;
    linn_server *s = calloc(1, sizeof *s);
    if (!s)
        return linn_fail(err, LINN_ENOMEM, "out of memory for a server");
    int fd = -1;
    s->settings = *settings;
    s->log.fd = -1;
    s->created = time(NULL);
    s->model = linn_model_describe(target);
    s->tokenizer = linn_model_tokenizer(target);
    s->plain_chat = !s->tokenizer->chat.style && !s->tokenizer->chat.start[0];
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = s->epoll < 0 || s->wake < 0
                 ? linn_fail(err, LINN_EIO, "cannot start the HTTP server: %s", strerror(errno))
                 : check_settings(settings, err);
    if (!rc)
        rc = linn_keys_read(&s->keys, settings->keys, settings->n_keys, settings->key_file, err);
    if (!rc)
        rc = linn_access_log_open(&s->log, settings->access_log, err);
    if (!rc && settings->port >= 0)
        rc = open_socket(s, &fd, err);
    if (!rc)
        rc = name_things(s, err);
    if (!rc)
        rc = open_scheduler(s, target, drafters, n_drafters, err);
    if (!rc)
        rc = open_daemon(s, fd, err); /* which has the socket then */
    else if (fd >= 0)
        close(fd);
    if (rc) {
        linn_server_free(s);
        return rc;
    }
    *out = s;
    return LINN_OK;
}

void linn_server_free(linn_server *s)
{
    if (!s)
        return;
    for (linn_exchange *e = s->exchanges; e; e = e->next)
        linn_exchange_leave(e);
    linn_scheduler_free(s->scheduler); /* all jobs end, and resume their connections */
    if (s->daemon) {
        MHD_run(s->daemon);
        MHD_stop_daemon(s->daemon);
    }
    reap(s);
    linn_access_log_close(&s->log);
    linn_keys_free(&s->keys);
    if (s->wake >= 0)
        close(s->wake);
    if (s->epoll >= 0)
        close(s->epoll);
    free(s);
}

const char *linn_server_url(const linn_server *s)
{
    return s->url;
}

int32_t linn_server_context(const linn_server *s)
{
    return linn_scheduler_context(s->scheduler);
}

bool linn_server_adopt(linn_server *s, int fd)
{
    struct sockaddr_in nowhere = {.sin_family = AF_UNSPEC};
    return MHD_add_connection(s->daemon, fd, (struct sockaddr *)&nowhere, sizeof nowhere) ==
           MHD_YES;
}

/* ---- running --------------------------------------------------------------------------------- */

void linn_server_wake(linn_server *s)
{
    uint64_t one = 1;
    /* Fails only if it has been woken very often and not looked: then it will. */
    if (write(s->wake, &one, sizeof one) < 0)
        return;
}

void linn_server_stop(linn_server *s)
{
    atomic_fetch_add(&s->stops, 1);
    linn_server_wake(s);
}

void linn_server_reload(linn_server *s)
{
    atomic_store(&s->reload, true);
    linn_server_wake(s);
}

static void note(const linn_server *s, const char *line)
{
    if (s->settings.on_note)
        s->settings.on_note(s->settings.user, line);
}

/* What cannot be read stays as it was. */
static void reload(linn_server *s)
{
    const linn_server_settings *set = &s->settings;
    linn_keys keys;
    linn_error err;
    char line[600];
    if (linn_keys_read(&keys, set->keys, set->n_keys, set->key_file, &err)) {
        snprintf(line, sizeof line, "%s; the old keys stay", err.message);
        note(s, line);
    } else {
        linn_keys_free(&s->keys);
        s->keys = keys;
        snprintf(line, sizeof line, "reloaded: %zu API keys", keys.n);
        note(s, line);
    }
    if (linn_access_log_open(&s->log, set->access_log, &err))
        note(s, err.message);
}

static void begin_drain(linn_server *s, int64_t now)
{
    s->draining = true;
    s->drain_until_ns = now + (int64_t)(s->settings.grace_seconds * 1e9);
    linn_scheduler_drain(s->scheduler, now); /* takes no more; does not wait */
    int fd = MHD_quiesce_daemon(s->daemon);
    if (fd >= 0)
        close(fd);
}

static void begin_cut(linn_server *s, int64_t now)
{
    s->cut = true;
    s->cut_until_ns = now + CUT_MS * 1000000LL;
    for (linn_exchange *e = s->exchanges; e; e = e->next)
        linn_exchange_cut(e);
}

/* False: all is over. */
static bool go_on(linn_server *s, int64_t now)
{
    int stops = atomic_load(&s->stops);
    if (stops > 0 && !s->draining)
        begin_drain(s, now);
    if (s->draining && !s->cut && (stops > 1 || now >= s->drain_until_ns))
        begin_cut(s, now);
    return !s->draining || (s->n_exchanges > 0 && !(s->cut && now >= s->cut_until_ns));
}

static int wait_ms(linn_server *s, int most)
{
    unsigned MHD_LONG_LONG ms;
    if (s->again) /* at its limit, libmicrohttpd listens again only when it is run once more */
        most = 0;
    s->again = false;
    if (MHD_get_timeout(s->daemon, &ms) == MHD_YES && ms < (unsigned MHD_LONG_LONG)most)
        most = (int)ms;
    return (s->lines || s->draining) && most > SWEEP_MS ? SWEEP_MS : most;
}

static void take_events(linn_server *s, int timeout_ms)
{
    enum { MOST = 64 };
    struct epoll_event events[MOST];
    int n = epoll_wait(s->epoll, events, MOST, wait_ms(s, timeout_ms));
    for (int i = 0; i < n; i++) {
        uint64_t count;
        void *who = events[i].data.ptr;
        if (!who) {
            if (read(s->wake, &count, sizeof count) < 0)
                continue; /* somebody else's wake was read with it */
        } else if (who != s) {
            linn_exchange_leave(who); /* its client has closed its side */
        }
    }
}

bool linn_server_step(linn_server *s, int timeout_ms)
{
    take_events(s, timeout_ms);
    if (atomic_exchange(&s->reload, false))
        reload(s);
    MHD_run(s->daemon);
    int64_t now = linn_now_ns();
    sweep(s, now);
    reap(s);
    return go_on(s, now);
}

int linn_server_run(linn_server *s, linn_error *err)
{
    enum { LONG_MS = 60000 };
    if (err)
        *err = (linn_error){0};
    while (linn_server_step(s, LONG_MS))
        ;
    return LINN_OK;
}
