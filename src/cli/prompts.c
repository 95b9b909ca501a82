/* prompts.c - files of prompts (prompts.h). */
#include "prompts.h"

#include "options.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMED_LINES = 5 }; /* broken lines that get a line of their own on stderr */

typedef struct reader {
    const linn_command *self;
    const char *path, *name; /* as it was given; for people */
    linn_cli_prompts *out;
    size_t room;
} reader;

static void complain(reader *r, size_t line, const char *what)
{
    if (++r->out->n_broken <= NAMED_LINES)
        linn_cli_note(r->self, "%s: line %zu: %s; skipped", r->name, line, what);
}

/* "prompts" for "../prompts.jsonl" */
static char *name_of_file(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    return strndup(name, dot && dot > name ? (size_t)(dot - name) : strlen(name));
}

/* The text of a line, or NULL and what is wrong with it. */
static const char *text_of(const json_t *object, bool *question, const char **wrong)
{
    static const char *const fields[] = {"prompt", "question", "turns"};
    const json_t *value = NULL;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0] && !value; i++) {
        value = json_object_get(object, fields[i]);
        *question = i == 1;
    }
    if (json_is_array(value))
        value = json_array_get(value, 0);
    const char *text = json_string_value(value);
    if (!value)
        *wrong = "no 'prompt', 'question' or 'turns' in it";
    else if (!text)
        *wrong = "its prompt is no text";
    else if (!*text)
        *wrong = "its prompt is empty";
    return text && *text ? text : NULL;
}

/* "Question: TEXT\nAnswer:", for free(). */
static char *ask(const char *text)
{
    static const char form[] = "Question: %s\nAnswer:";
    size_t room = strlen(text) + sizeof form;
    char *out = malloc(room);
    if (out)
        snprintf(out, room, form, text);
    return out;
}

static bool add(reader *r, const char *text, bool question, const char *kind, size_t line)
{
    linn_cli_prompts *p = r->out;
    if (p->n == r->room) {
        size_t room = r->room ? 2 * r->room : 64;
        linn_cli_prompt *items = realloc(p->items, room * sizeof *items);
        if (!items)
            return false;
        p->items = items;
        r->room = room;
    }
    linn_cli_prompt *added = &p->items[p->n];
    *added = (linn_cli_prompt){question ? ask(text) : strdup(text),
                               kind ? strdup(kind) : name_of_file(r->path), line};
    p->n++;
    return added->text && added->kind;
}

/* False: no memory. */
static bool read_line(reader *r, const char *line, size_t length, size_t number)
{
    json_error_t where;
    if (strspn(line, " \t\r\n") >= length)
        return true;
    json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, &where);
    const char *wrong = NULL, *text = NULL;
    bool good = true, question = false;
    if (!object)
        wrong = where.text;
    else if (!json_is_object(object))
        wrong = "not a JSON object";
    else
        text = text_of(object, &question, &wrong);
    if (text) {
        const char *kind = json_string_value(json_object_get(object, "kind"));
        if (!kind)
            kind = json_string_value(json_object_get(object, "category"));
        good = add(r, text, question, kind, number);
    } else {
        complain(r, number, wrong);
    }
    json_decref(object);
    return good;
}

static int read_stream(reader *r, FILE *f)
{
    char *line = NULL;
    size_t room = 0, number = 0;
    ssize_t n;
    bool good = true;
    errno = 0;
    while (good && (n = getline(&line, &room, f)) >= 0)
        good = read_line(r, line, (size_t)n, ++number);
    int error = good && ferror(f) ? errno : 0;
    free(line);
    if (!good || error == ENOMEM)
        return linn_cli_fail(r->self, "%s: no memory for the prompts", r->name);
    if (error)
        return linn_cli_fail(r->self, "%s: %s", r->name, strerror(error));
    if (r->out->n_broken > NAMED_LINES)
        linn_cli_note(r->self, "%s: %zu lines hold no prompt", r->name, r->out->n_broken);
    if (r->out->n == 0)
        return linn_cli_fail(r->self,
                             "%s: no prompts: needs JSON objects, one a line, with 'prompt', "
                             "'question' or 'turns'",
                             r->name);
    return LINN_PARSED;
}

int linn_cli_read_prompts(const linn_command *self, const char *path, linn_cli_prompts *out)
{
    *out = (linn_cli_prompts){0};
    bool standard = strcmp(path, "-") == 0;
    reader r = {.self = self, .path = path, .name = standard ? "standard input" : path, .out = out};
    if (standard)
        return read_stream(&r, stdin);
    FILE *f = fopen(path, "rb");
    if (!f)
        return linn_cli_fail(self, "cannot open %s: %s", path, strerror(errno));
    int status = read_stream(&r, f);
    fclose(f);
    return status;
}

void linn_cli_free_prompts(linn_cli_prompts *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->items[i].text);
        free(p->items[i].kind);
    }
    free(p->items);
    *p = (linn_cli_prompts){0};
}
