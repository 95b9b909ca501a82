/* access_log.c - see access_log.h. A line is one write to a file opened for appending. */
#include "serve/access_log.h"

#include "base/error.h"
#include "serve/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int linn_access_log_open(linn_access_log *log, const char *path, linn_error *err)
{
    if (!path || (log->fd >= 0 && strcmp(path, "-") == 0))
        return LINN_OK;
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)
                      : open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return linn_fail(err, LINN_EIO, "cannot open the access log %s: %s", path, strerror(errno));
    linn_access_log_close(log);
    log->path = path;
    log->fd = fd;
    return LINN_OK;
}

void linn_access_log_close(linn_access_log *log)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
}

static json_t *safe(const char *text)
{
    json_t *v = json_string(text);
    return v ? v : json_string("not UTF-8");
}

void linn_access_log_write(const linn_access_log *log, const linn_access *a)
{
    if (log->fd < 0)
        return;
    struct timespec now;
    struct tm utc;
    char time[64];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t used = strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(time + used, sizeof time - used, ".%03dZ", (int)(now.tv_nsec / 1000000));
    json_t *o = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:i, s:b, s:I, s:I, s:f}", "time", time,
                          "id", a->id, "client", safe(a->client), "user", safe(a->user), "method",
                          safe(a->method), "path", safe(a->path), "status", a->status, "aborted",
                          (int)a->aborted, "bytes_in", (json_int_t)a->bytes_in, "bytes_out",
                          (json_int_t)a->bytes_out, "ms", a->ms);
    if (o && a->finish) {
        json_t *text = json_pack("{s:s, s:i, s:i, s:f, s:f}", "finish", a->finish, "prompt_tokens",
                                 (int)a->prompt_tokens, "tokens", (int)a->tokens, "queued_ms",
                                 a->queued_ms, "first_token_ms", a->first_token_ms);
        json_object_update_new(o, text);
    }
    linn_bytes line = {0};
    linn_bytes_json(&line, o);
    linn_bytes_add(&line, "\n", 1);
    /* A full disk must not stop the server; there is nobody to tell. */
    if (!line.failed && write(log->fd, line.data, line.n) < 0)
        line.failed = true;
    linn_bytes_free(&line);
}
