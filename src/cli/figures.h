/* figures.h - what a plan is made from: acceptance rates and costs, stated on the command line or
 * in a JSON file.
 *
 *     {"about": "...",
 *      "levels": [{"name": "big", "cost": {"1": 40.2, "8": 41.5}},
 *                 {"name": "small", "cost": 3.1},
 *                 {"name": "Max-Gram", "statistical": true, "hit": 0.6}],
 *      "acceptance": [[0.8, 0.5], [0.55]]}
 *
 * The target comes first, the largest drafter next. Row r of `acceptance` says how often level r
 * accepts tokens of the levels after it. A cost is that of a pass, one number or one for each
 * number of rows, in any unit.
 */
#ifndef LINN_CLI_FIGURES_H
#define LINN_CLI_FIGURES_H

#include "linn_tools.h"

#include "cli.h"

typedef struct linn_figures {
    linn_plan plan;
    char names[LINN_MAX_LEVELS][32];
} linn_figures;

/* alpha: as rows of `acceptance`; cost: one row, of the drafters in passes of the target. The last
 * level is Max-Gram if so said, and costs nothing unless stated. LINN_PARSED (options.h) or an exit
 * status. */
int linn_cli_figures_stated(const linn_command *self, const char *alpha, const char *cost,
                            bool maxgram, linn_figures *out);
int linn_cli_figures_read(const linn_command *self, const char *path, linn_figures *out);

#endif
