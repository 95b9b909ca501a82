/* file.c - see file.h. */
#include "base/file.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int linn_mapping_open(linn_mapping *out, const char *path, linn_error *err)
{
    *out = (linn_mapping){0};
    /* O_NONBLOCK: opening a FIFO must not wait for a writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return linn_fail(err, LINN_EIO, "%s: cannot open: %s", path, strerror(errno));
    int rc = LINN_OK;
    struct stat st;
    if (fstat(fd, &st) != 0) {
        rc = linn_fail(err, LINN_EIO, "%s: cannot stat: %s", path, strerror(errno));
    } else if (S_ISDIR(st.st_mode)) {
        rc = linn_fail(err, LINN_EIO, "%s: is a directory, expected a file", path);
    } else if (!S_ISREG(st.st_mode)) {
        rc = linn_fail(err, LINN_EIO, "%s: not a regular file", path);
    } else if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            rc = linn_fail(err, errno == ENOMEM ? LINN_ENOMEM : LINN_EIO, "%s: cannot map: %s",
                           path, strerror(errno));
        else
            *out = (linn_mapping){.data = p, .size = (size_t)st.st_size};
    }
    close(fd);
    return rc;
}

void linn_mapping_close(linn_mapping *m)
{
    if (m->data)
        munmap((void *)(uintptr_t)m->data, m->size);
    *m = (linn_mapping){0};
}

void linn_mapping_expect(const void *data, size_t size, bool now)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = (uintptr_t)data & ~(page - 1), end = (uintptr_t)data + size;
#ifdef MADV_POPULATE_READ
    if (now && madvise((void *)begin, end - begin, MADV_POPULATE_READ) == 0)
        return; /* else a kernel before 5.14, or a disk that fails: touching shows which */
#endif
    if (!now && size > 0)
        (void)madvise((void *)begin, end - begin, MADV_WILLNEED);
}

void linn_mapping_release(const void *data, size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = ((uintptr_t)data + page - 1) & ~(page - 1);
    uintptr_t end = ((uintptr_t)data + size) & ~(page - 1);
    if (begin < end)
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

int linn_output_open(linn_output *out, const char *path, linn_error *err)
{
    *out = (linn_output){0};
    static const char suffix[] = ".XXXXXX";
    size_t n = strlen(path);
    struct stat st;
    /* The rename at the end would fail on a folder, and replace a device. */
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return linn_fail(err, LINN_EIO, "%s: cannot create: is %s, expected a file or nothing",
                         path, S_ISDIR(st.st_mode) ? "a directory" : "a device or the like");
    out->path = malloc(n + 1);
    out->temporary = malloc(n + sizeof suffix);
    if (!out->path || !out->temporary) {
        linn_output_discard(out);
        return linn_fail(err, LINN_ENOMEM, "%s: out of memory", path);
    }
    memcpy(out->path, path, n + 1);
    memcpy(out->temporary, path, n);
    memcpy(out->temporary + n, suffix, sizeof suffix);
    int fd = mkstemp(out->temporary);
    if (fd < 0) {
        int e = errno;
        free(out->temporary);
        out->temporary = NULL;
        linn_output_discard(out);
        return linn_fail(err, LINN_EIO, "%s: cannot create: %s", path, strerror(e));
    }
    /* mkstemp makes 0600; a new file should obey the umask like any other. */
    mode_t mask = umask(0);
    umask(mask);
    (void)fchmod(fd, 0666 & ~mask);
    out->stream = fdopen(fd, "wb");
    if (!out->stream) {
        close(fd);
        linn_output_discard(out);
        return linn_fail(err, LINN_ENOMEM, "%s: out of memory", path);
    }
    return LINN_OK;
}

int linn_output_commit(linn_output *out, linn_error *err)
{
    int failed = ferror(out->stream) || fflush(out->stream) != 0 || fsync(fileno(out->stream)) != 0;
    int e = errno;
    if (fclose(out->stream) != 0 && !failed) {
        failed = 1;
        e = errno;
    }
    out->stream = NULL;
    if (!failed && rename(out->temporary, out->path) != 0) {
        failed = 1;
        e = errno;
    }
    int rc = LINN_OK;
    if (failed) {
        rc = linn_fail(err, LINN_EIO, "%s: cannot write: %s", out->path, strerror(e));
    } else {
        free(out->temporary);
        out->temporary = NULL;
    }
    linn_output_discard(out);
    return rc;
}

void linn_output_discard(linn_output *out)
{
    if (out->stream)
        fclose(out->stream);
    if (out->temporary)
        unlink(out->temporary);
    free(out->temporary);
    free(out->path);
    *out = (linn_output){0};
}
