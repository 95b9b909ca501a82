/* products.c - how fast one thread multiplies, table by table and width by width; a
 * tool for those who work on kernels. `linn bench kernels` has the figures that count.
 *
 *   bench-products TABLES TYPES [ROWS [COLUMNS [WIDTHS]]]     lists with commas
 *   bench-products avx2,avx512 Q4_0,Q8_0 2048 2048 1,2,4,8
 *
 * Prints, for each width n, 10^9 multiply-adds a second and 10^9 bytes of weights a
 * second: the best of rounds that alternate between the tables.
 */
#include "kernel_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_WIDTHS = 32, MAX_TABLES = 5 };

static bool listed(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; (p = strstr(p, word)); p += n)
        if ((p == list || p[-1] == ',') && (p[n] == ',' || p[n] == 0))
            return true;
    return false;
}

/* Of this thread alone, so that a busy machine does not count. */
static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double seconds(const linn_kernels *t, const linn_matrix *w, const linn_acts *a, float *y,
                      int repeat)
{
    double start = cpu_seconds();
    for (int i = 0; i < repeat; i++)
        t->product[w->type](w, a, 0, w->n_rows, y, (size_t)w->n_rows);
    return (cpu_seconds() - start) / repeat;
}

static void measure(const char *tables, uint32_t type, int32_t rows, int32_t k, const int *widths,
                    int n_widths)
{
    const linn_kernels *use[MAX_TABLES];
    linn_matrix w[MAX_TABLES];
    int n = 0;
    for (const linn_kernels *const *t = kd_tables(); *t; t++)
        if (listed(tables, (*t)->name)) {
            use[n] = *t;
            w[n] = n ? w[0] : kd_matrix(type, rows, k, KD_RANDOM);
            kd_pack(use[n], &w[n]);
            n++;
        }
    for (int i = 0; i < n_widths; i++) {
        linn_acts a = kd_acts(kd_tables()[0], type, widths[i], k, KD_NORMAL);
        float *y = kd_alloc((size_t)(widths[i] * rows) * sizeof *y);
        double best[MAX_TABLES] = {0};
        for (int round = 0; round < 40; round++)
            for (int j = 0; j < n; j++) {
                double once = seconds(use[j], &w[j], &a, y, 1);
                int repeat = once < 1e-3 ? (int)(1e-3 / once) + 1 : 1;
                double s = seconds(use[j], &w[j], &a, y, repeat);
                best[j] = best[j] == 0 || s < best[j] ? s : best[j];
            }
        for (int j = 0; j < n; j++)
            printf("%-7s %-7s n %3d  %8.1f us  %7.1f GMAC/s  %6.1f GB/s\n", use[j]->name,
                   linn_type_name(type), widths[i], best[j] * 1e6,
                   (double)rows * k * widths[i] / best[j] / 1e9,
                   (double)rows * (double)w[j].row_bytes / best[j] / 1e9);
        kd_free(y);
        kd_acts_free(&a);
    }
    for (int j = 0; j < n; j++)
        kd_unpack(&w[j]);
    if (n)
        kd_free(w[0].data);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "bench-products TABLES TYPES [ROWS [COLUMNS [WIDTHS]]]\n");
        return 2;
    }
    int32_t rows = argc > 3 ? atoi(argv[3]) : 512, k = argc > 4 ? atoi(argv[4]) : 2048;
    int widths[MAX_WIDTHS] = {1, 2, 3, 4, 5, 6, 8, 16, 32}, n = 9;
    if (argc > 5) {
        n = 0;
        for (char *p = strtok(argv[5], ","); p && n < MAX_WIDTHS; p = strtok(NULL, ","))
            widths[n++] = atoi(p);
    }
    for (int i = 0; i < 15; i++)
        if (listed(argv[2], linn_type_name(kd_types[i])))
            measure(argv[1], kd_types[i], rows, k, widths, n);
    return 0;
}
