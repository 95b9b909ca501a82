/* file.h - files from outside (mapped, read-only) and files to be written.
 *
 * An output file is written beside its final name and renamed when complete, so
 * a failure at any byte leaves the old file or none, never half of one.
 */
#ifndef LINN_BASE_FILE_H
#define LINN_BASE_FILE_H

#include "linn.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct linn_mapping {
    const uint8_t *data; /* NULL for an empty file */
    size_t size;         /* bytes */
} linn_mapping;

/* Maps a regular file. Errors name the path. The mapping is private and
 * read-only; unmap with linn_mapping_close, which takes a zeroed struct too. */
int linn_mapping_open(linn_mapping *out, const char *path, linn_error *err);
void linn_mapping_close(linn_mapping *m);
/* The range of a mapping will be read soon (`now` false: it is read from the disk meanwhile), or
 * next
 * (`now`: all its pages come at once, which is cheaper than one by one as they are touched). */
void linn_mapping_expect(const void *data, size_t size, bool now);
/* Gives back the memory of the pages that lie wholly inside the range of a mapping; reading
 * it again reads the file again. */
void linn_mapping_release(const void *data, size_t size);

typedef struct linn_output {
    FILE *stream;    /* write here; errors are found at commit */
    char *path;      /* final name */
    char *temporary; /* name until commit */
} linn_output;

/* A folder, device or pipe of that name is refused. */
int linn_output_open(linn_output *out, const char *path, linn_error *err);
/* Flushes, syncs, renames. On failure the temporary file is gone. */
int linn_output_commit(linn_output *out, linn_error *err);
/* Drops the file if it was not committed; takes a zeroed struct too. */
void linn_output_discard(linn_output *out);

#endif
