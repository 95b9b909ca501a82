/* page.h - the files of web/, in the program (tools/embed.py writes the table). */
#ifndef LINN_SERVE_PAGE_H
#define LINN_SERVE_PAGE_H

#include <stddef.h>

typedef struct linn_page_file {
    const char *path; /* "/", "/chat.js" */
    const char *type; /* "text/html; charset=utf-8" */
    const char *tag;  /* of its content: changes with it */
    const unsigned char *data;
    size_t size;
} linn_page_file;

extern const linn_page_file linn_page_files[]; /* ends with path NULL */

const linn_page_file *linn_page_find(const char *path); /* NULL: there is none */

#endif
