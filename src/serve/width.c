/* width.c - see width.h. */
#include "serve/width.h"

/* One draft token more, for whom it is likeliest to be accepted; NULL: nobody may have more. */
static linn_contender *give_one(linn_contender *c, int32_t n)
{
    linn_contender *best = NULL;
    for (int32_t i = 0; i < n; i++)
        if (c[i].chosen < c[i].most && (!best || c[i].value > best->value))
            best = &c[i];
    if (best)
        best->chosen++;
    return best;
}

static void begin(linn_contender *c, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        c[i].chosen = 0;
        c[i].value = c[i].acceptance;
    }
}

void linn_widths_choose(const linn_widths *w, double draft_ns, linn_contender *c, int32_t n)
{
    double gain = n, once = 0, best = n > 0 ? gain / linn_widths_ns(w, n) : 0;
    int32_t longest = 0, best_extra = 0;
    begin(c, n);
    for (int32_t extra = 1;; extra++) {
        linn_contender *to = give_one(c, n);
        if (!to)
            break;
        gain += to->value;
        to->value *= to->acceptance;
        once += to->chosen == 1 ? to->catch_up_ns : 0;
        longest = to->chosen > longest ? to->chosen : longest;
        double rate = gain / (linn_widths_ns(w, n + extra) + longest * draft_ns + once);
        if (rate > best) {
            best = rate;
            best_extra = extra;
        }
    }
    begin(c, n);
    for (int32_t extra = 0; extra < best_extra; extra++) {
        linn_contender *to = give_one(c, n);
        to->value *= to->acceptance;
    }
}
