/* roofline.h - the least time that a forward pass can take on this machine.
 *
 * A pass of n tokens reads every weight once and multiplies each by n activations. So it takes at
 * least the larger of
 *
 *     memory       bytes of weights (and of the KV cache) / bytes a second from memory
 *     arithmetic   over the types of weights: multiply-adds / what the kernels reach in the cache
 *
 * Both rates are measured in the round that is judged by them, since a machine's memory is
 * not the same from one second to the next. (Williams, Waterman and Patterson, CACM 2009.)
 */
#ifndef LINN_CLI_ROOFLINE_H
#define LINN_CLI_ROOFLINE_H

#include "linn_tools.h"

enum { LINN_CLI_ROOF_TYPES = 24 };

typedef struct linn_cli_roof {
    double bytes;                     /* that a pass reads */
    double macs[LINN_CLI_ROOF_TYPES]; /* a token, of linn_product_type(i) */
    double bandwidth;                 /* bytes a second, as measured last */
} linn_cli_roof;

/* Counts the weights in the file that `model` came from. */
int linn_cli_roof_survey(linn_cli_roof *r, const linn_model *model, const char *path,
                         linn_error *err);
/* Measures r->bandwidth, from as much memory as the model takes (to 256 MiB). */
int linn_cli_roof_bandwidth(linn_cli_roof *r, linn_engine *e, linn_error *err);
/* Measures the kernels: *seconds for a pass of n tokens that reads `more` bytes besides. */
int linn_cli_roof_seconds(const linn_cli_roof *r, linn_engine *e, int32_t n, double more,
                          double *seconds, linn_error *err);

#endif
