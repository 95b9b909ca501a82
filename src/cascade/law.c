/* law.c - probability laws of draft tokens (law.h). Sums run in double, in the order of ids. */
#include "cascade/law.h"

#include "base/fpenv.h"

#include <string.h>

double linn_law_of(const linn_law *law, linn_token token)
{
    int32_t low = 0, high = law->n;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (law->ids[middle] < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low < law->n && law->ids[low] == token ? (double)law->p[low] : 0;
}

void linn_law_one(linn_law *out, linn_token token)
{
    out->n = 1;
    out->ids[0] = token;
    out->p[0] = 1;
}

void linn_law_copy(linn_law *out, const linn_law *law)
{
    out->n = law->n;
    memcpy(out->ids, law->ids, (size_t)law->n * sizeof *law->ids);
    memcpy(out->p, law->p, (size_t)law->n * sizeof *law->p);
}

static double pass(double p, double q, double lenience)
{
    return p > q / lenience ? 1 : p / q;
}

double linn_law_pass(const linn_law *p, const linn_law *q, double lenience, linn_token token)
{
    linn_fpenv saved = linn_fpenv_enter();
    double a = pass(linn_law_of(p, token), linn_law_of(q, token), lenience);
    linn_fpenv_leave(saved);
    return a;
}

static void append(linn_law *law, linn_token token, double p)
{
    if ((float)p > 0) {
        law->ids[law->n] = token;
        law->p[law->n++] = (float)p;
    }
}

void linn_law_rest(const linn_law *p, const linn_law *q, linn_law *out)
{
    linn_fpenv saved = linn_fpenv_enter();
    double sum = 0;
    out->n = 0;
    for (int32_t i = 0, j = 0; i < p->n; i++) {
        while (j < q->n && q->ids[j] < p->ids[i])
            j++;
        double less = j < q->n && q->ids[j] == p->ids[i] ? (double)q->p[j] : 0;
        double rest = (double)p->p[i] - less;
        if (rest > 0) {
            append(out, p->ids[i], rest);
            sum += rest;
        }
    }
    if (out->n == 0)
        linn_law_copy(out, p);
    else
        for (int32_t i = 0; i < out->n; i++)
            out->p[i] = (float)((double)out->p[i] / sum);
    linn_fpenv_leave(saved);
}

void linn_law_effective(const linn_law *p, linn_law *q, double lenience, const linn_law *rest,
                        linn_law *scratch)
{
    linn_fpenv saved = linn_fpenv_enter();
    double passed = 0; /* sum(q a) */
    for (int32_t i = 0, j = 0; j < q->n; j++) {
        while (i < p->n && p->ids[i] < q->ids[j])
            i++;
        double mine = i < p->n && p->ids[i] == q->ids[j] ? (double)p->p[i] : 0;
        double a = pass(mine, (double)q->p[j], lenience);
        q->p[j] = (float)((double)q->p[j] * a);
        passed += (double)q->p[j];
    }
    double failed = passed < 1 ? 1 - passed : 0;
    scratch->n = 0;
    for (int32_t i = 0, j = 0; i < rest->n || j < q->n;) {
        bool r = i < rest->n && (j >= q->n || rest->ids[i] <= q->ids[j]);
        bool d = j < q->n && (i >= rest->n || q->ids[j] <= rest->ids[i]);
        linn_token token = r ? rest->ids[i] : q->ids[j];
        double sum = (r ? failed * (double)rest->p[i] : 0) + (d ? (double)q->p[j] : 0);
        append(scratch, token, sum);
        i += r;
        j += d;
    }
    linn_law_copy(q, scratch);
    linn_fpenv_leave(saved);
}

linn_token linn_law_draw(const linn_law *law, double u)
{
    linn_fpenv saved = linn_fpenv_enter();
    double all = 0, sum = 0;
    for (int32_t i = 0; i < law->n; i++)
        all += (double)law->p[i];
    int32_t at = 0;
    for (; at < law->n - 1; at++) {
        sum += (double)law->p[at];
        if (sum > u * all)
            break;
    }
    linn_fpenv_leave(saved);
    return law->ids[at];
}
