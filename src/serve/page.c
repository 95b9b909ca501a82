/* page.c - see page.h. */
#include "serve/page.h"

#include <string.h>

const linn_page_file *linn_page_find(const char *path)
{
    for (const linn_page_file *f = linn_page_files; f->path; f++)
        if (strcmp(f->path, path) == 0)
            return f;
    return NULL;
}
