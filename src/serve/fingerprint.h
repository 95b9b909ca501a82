/* fingerprint.h - what stands for a model's file in system_fingerprint. */
#ifndef LINN_SERVE_FINGERPRINT_H
#define LINN_SERVE_FINGERPRINT_H

#include "linn.h"

int linn_hash_file(const char *path, uint64_t *out, linn_error *err); /* all of it */

#endif
