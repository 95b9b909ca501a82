/* profile.h - what --cascade auto has learned of a set of models, in a file.
 *
 *     header    magic "linnprof", version, size, key, checksum of all that follows
 *     figures   struct linn_profile, as it lies in memory
 *
 * A profile is for the machine that made it, and a cache: one of another version or byte order,
 * of other models or settings, or with a damaged byte is refused whole, and replaced by the
 * next. The key is a hash of all that the figures depend on: models, threads, kernels,
 * lenience (linn_profile_key). It is part of the file's name as well.
 */
#ifndef LINN_CASCADE_PROFILE_H
#define LINN_CASCADE_PROFILE_H

#include "cascade/calibration.h"
#include "cascade/widths.h"

enum { LINN_PROFILE_VERSION = 1 };
#define LINN_PROFILE_MAGIC "linnprof"

typedef struct linn_profile_header {
    char magic[8];
    uint32_t version, size; /* size: of the whole file */
    uint64_t key, checksum;
} linn_profile_header;

typedef struct linn_profile_level {
    linn_widths widths;
    double read_ns, spent_ns, made; /* as in auto.h */
} linn_profile_level;

typedef struct linn_profile {
    int32_t n_models, n_sources;
    linn_profile_level levels[LINN_MAX_MODELS];
    linn_tallies tallies[LINN_HEATS];
} linn_profile;

uint64_t linn_profile_checksum(const linn_profile *p, uint64_t key);
/* LINN_EFORMAT with the reason when it is no profile for that key. */
int linn_profile_parse(linn_profile *out, const void *data, size_t size, uint64_t key,
                       const char *name, linn_error *err);
int linn_profile_read(linn_profile *out, const char *path, uint64_t key, linn_error *err);
/* Writes a temporary file and renames it. */
int linn_profile_write(const linn_profile *p, const char *path, uint64_t key, linn_error *err);

/* Of a target with its drafters and settings. */
uint64_t linn_profile_key(const linn_model *target, const linn_model *const *drafters,
                          size_t n_drafters, const linn_cascade_settings *s);

#endif
