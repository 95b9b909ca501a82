/* fingerprint.h - what stands for a model's file in system_fingerprint. */
#ifndef LINN_SERVE_FINGERPRINT_H
#define LINN_SERVE_FINGERPRINT_H

#include "linn.h"

uint64_t linn_hash_bytes(const void *data, size_t n); /* FNV-1a */
/* All of a file, at memory speed: FNV-1a by words, in four lanes side by side. */
int linn_hash_file(const char *path, uint64_t *out, linn_error *err);

#endif
