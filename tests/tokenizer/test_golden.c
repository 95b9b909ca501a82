/* Every recorded vector agrees: texts to ids, and back to the bytes of the text. The conformance
 * data bring vocabularies of their own. data/words.jsonl has texts of ours as llama.cpp of August
 * 2026 encodes them with each pre-tokenizer. */
#include "test.h"
#include "vocab.h"

#include "base/file.h"

#include <jansson.h>

/* ---- what vectors say ---------------------------------------------------------------------- */

static void differ(const char *name, size_t line, const linn_token *got, size_t n_got,
                   const linn_token *want, size_t n_want)
{
    size_t i = 0;
    while (i < n_got && i < n_want && got[i] == want[i])
        i++;
    fail_msg("%s, text %zu: %zu tokens instead of %zu; the first to differ is %zu: %d, not %d",
             name, line, n_got, n_want, i, i < n_got ? got[i] : -1, i < n_want ? want[i] : -1);
}

static void check_ids(const linn_tokenizer *t, const char *name, size_t line, const char *text,
                      size_t length, unsigned flags, const linn_token *want, size_t n_want)
{
    static linn_token got[65536];
    size_t n;
    linn_error err = {0};
    if (linn_tokenize(t, text, length, flags, got, 65536, &n, &err) != LINN_OK)
        fail_msg("%s, text %zu: %s", name, line, err.message);
    if (n != n_want || memcmp(got, want, n * sizeof *got) != 0)
        differ(name, line, got, n, want, n_want);
}

/* Decoding gives the bytes back. The blank in front, which SentencePiece adds, is taken away; its
 * mark for blanks, U+2581, is lost if it stood in the text. */
static void check_text(const linn_tokenizer *t, const char *name, size_t line,
                       const linn_token *ids, size_t n, const char *text, size_t length)
{
    size_t size, want_size = 0;
    char *back = text_of(t, ids, n, false, &size), *want = malloc(length + 1);
    bool pieces = strstr(name, "spm") || strstr(name, "phi-3");
    assert_non_null(want);
    for (size_t i = 0; i < length; i++) {
        bool mark = pieces && length - i >= 3 && memcmp(text + i, "\xe2\x96\x81", 3) == 0;
        want[want_size++] = mark ? ' ' : text[i];
        i += mark ? 2 : 0;
    }
    if (size != want_size || memcmp(back, want, size) != 0)
        fail_msg("%s, text %zu: does not come back", name, line);
    free(back);
    free(want);
}

static linn_tokenizer *open_shared(const char *name)
{
    linn_tokenizer *t = NULL;
    linn_error err = {0};
    const char *path = shared_path(name);
    if (!path || linn_tokenizer_open(&t, path, &err) != LINN_OK)
        fail_msg("%s: %s", name, err.message);
    return t;
}

/* ---- .inp and .out --------------------------------------------------------------------------- */

static size_t read_line_of_ids(FILE *f, linn_token *ids, size_t capacity)
{
    size_t n = 0;
    for (int c; (c = getc(f)) != EOF && c != '\n';) {
        if (c == ' ')
            continue;
        ungetc(c, f);
        assert_true(n < capacity);
        assert_int_equal(fscanf(f, "%d", &ids[n++]), 1);
    }
    return n;
}

static void check_pairs(const char *vocabulary)
{
    static const char separator[] = "\n__ggml_vocab_test__\n";
    static linn_token want[4096];
    char name[256];
    snprintf(name, sizeof name, "golden/dev/tokenizers/%s", vocabulary);
    linn_tokenizer *t = open_shared(name);
    linn_mapping texts;
    snprintf(name, sizeof name, "golden/dev/tokenizers/%s.inp", vocabulary);
    assert_int_equal(linn_mapping_open(&texts, shared_path(name), NULL), LINN_OK);
    snprintf(name, sizeof name, "golden/dev/tokenizers/%s.out", vocabulary);
    FILE *ids = fopen(shared_path(name), "r");
    assert_non_null(ids);
    const char *at = (const char *)texts.data, *end = at + texts.size;
    size_t line = 0;
    while (at < end) {
        const char *stop = memmem(at, (size_t)(end - at), separator, sizeof separator - 1);
        assert_non_null(stop);
        size_t n = read_line_of_ids(ids, want, 4096), length = (size_t)(stop - at);
        check_ids(t, vocabulary, ++line, at, length, 0, want, n);
        check_text(t, vocabulary, line, want, n, at, length);
        at = stop + sizeof separator - 1;
    }
    assert_int_equal(line, 46);
    fclose(ids);
    linn_mapping_close(&texts);
    linn_tokenizer_free(t);
}

static void pairs(void **state)
{
    (void)state;
    if (!shared_path("golden/dev/tokenizers/ggml-vocab-gpt-2.gguf"))
        skip();
    check_pairs("ggml-vocab-gpt-2.gguf");
    check_pairs("ggml-vocab-llama-spm.gguf");
    check_pairs("ggml-vocab-phi-3.gguf");
}

/* ---- .jsonl ------------------------------------------------------------------------------------
 */

static size_t ids_from(const json_t *list, linn_token *out, size_t capacity)
{
    size_t n = json_array_size(list);
    assert_true(json_is_array(list) && n <= capacity);
    for (size_t i = 0; i < n; i++)
        out[i] = (linn_token)json_integer_value(json_array_get(list, i));
    return n;
}

/* Calls check for each line of a file; returns how many there are. */
static size_t each_line(const char *path,
                        void (*check)(const json_t *row, const char *name, size_t line, void *arg),
                        void *arg)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    char *text = NULL;
    size_t capacity = 0, line = 0;
    while (getline(&text, &capacity, f) > 0) {
        json_error_t error;
        json_t *row = json_loads(text, JSON_ALLOW_NUL, &error);
        if (!row)
            fail_msg("%s: %s", path, error.text);
        check(row, path, ++line, arg);
        json_decref(row);
    }
    free(text);
    fclose(f);
    return line;
}

static void check_row(const json_t *row, const char *name, size_t line, void *tokenizer)
{
    static linn_token want[4096];
    const json_t *text = json_object_get(row, "text");
    const char *bytes = json_string_value(text);
    size_t length = json_string_length(text);
    size_t n = ids_from(json_object_get(row, "ids"), want, 4096);
    bool add = json_is_true(json_object_get(row, "add_special"));
    bool special = json_is_true(json_object_get(row, "parse_special"));
    unsigned flags = (add ? LINN_TOKENIZE_BOS : 0u) | (special ? LINN_TOKENIZE_SPECIAL : 0u);
    check_ids(tokenizer, name, line, bytes, length, flags, want, n);
    if (!json_object_get(row, "parse_special"))
        check_text(tokenizer, name, line, want, n, bytes, length);
}

static void check_file(const char *vectors, const char *vocabulary, size_t rows)
{
    char name[256];
    linn_tokenizer *t = open_shared(vocabulary);
    snprintf(name, sizeof name, "golden/dev/tokenizers/%s", vectors);
    assert_non_null(shared_path(name));
    char *path = strdup(shared_path(name));
    assert_int_equal(each_line(path, check_row, t), rows);
    free(path);
    linn_tokenizer_free(t);
}

static void stress(void **state)
{
    (void)state;
    if (!shared_path("golden/dev/tokenizers/stress-gpt-2.jsonl"))
        skip();
    check_file("stress-gpt-2.jsonl", "golden/dev/tokenizers/ggml-vocab-gpt-2.gguf", 250);
    check_file("stress-llama-spm.jsonl", "golden/dev/tokenizers/ggml-vocab-llama-spm.gguf", 250);
    check_file("stress-spm512.jsonl", "golden/dev/stories260K.gguf", 250);
    check_file("stress-bpe640-qwen2.jsonl", "golden/dev/models/qwen2.gguf", 250);
}

static void special(void **state)
{
    (void)state;
    if (!shared_path("golden/dev/tokenizers/special-gpt-2.jsonl"))
        skip();
    check_file("special-gpt-2.jsonl", "golden/dev/tokenizers/ggml-vocab-gpt-2.gguf", 20);
    check_file("special-llama-spm.jsonl", "golden/dev/tokenizers/ggml-vocab-llama-spm.gguf", 32);
    check_file("special-phi-3.jsonl", "golden/dev/tokenizers/ggml-vocab-phi-3.gguf", 20);
}

/* ---- pre-tokenizers -------------------------------------------------------------------------- */

static const char *const pre_names[] = {"default", "gpt-2",        "llama-bpe",      "qwen2",
                                        "smollm",  "deepseek-llm", "deepseek-coder", "starcoder"};
enum { N_PRE = sizeof pre_names / sizeof pre_names[0] };

/* data/merges.txt: pairs counted over texts like those of the vectors without cutting them into
 * words, so that merges run across words and every cut shows in the ids. */
static linn_string *read_merges(size_t *n)
{
    FILE *f = fopen(LINN_DATA "/merges.txt", "r");
    assert_non_null(f);
    linn_string *list = calloc(4096, sizeof *list);
    assert_non_null(list);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    for (*n = 0; (length = getline(&line, &capacity, f)) > 0; line = NULL, ++*n) {
        assert_true(*n < 4096 && line[length - 1] == '\n');
        list[*n] = (linn_string){line, (size_t)length - 1};
    }
    free(line);
    fclose(f);
    return list;
}

/* The vocabulary that these merges make: bytes, then each new text in turn. */
static linn_tokenizer *with_merges(const char *pre, const linn_string *merges, size_t n)
{
    vocab *bytes = vocab_bpe(pre, "");
    vocab v = *bytes;
    linn_string *tokens = calloc(256 + n, sizeof *tokens);
    assert_non_null(tokens);
    memcpy(tokens, bytes->tokens, 256 * sizeof *tokens);
    v.n_tokens = 256;
    for (size_t i = 0; i < n; i++) {
        const char *blank = memchr(merges[i].data, ' ', merges[i].length);
        size_t left = (size_t)(blank - merges[i].data), length = merges[i].length - 1;
        char *text = malloc(length);
        assert_non_null(text);
        memcpy(text, merges[i].data, left);
        memcpy(text + left, blank + 1, length - left);
        bool known = false;
        for (size_t j = 0; j < v.n_tokens; j++)
            known |= tokens[j].length == length && memcmp(tokens[j].data, text, length) == 0;
        if (known)
            free(text);
        else
            tokens[v.n_tokens++] = (linn_string){text, length};
    }
    v.tokens = tokens;
    v.types = NULL;
    v.merges = merges;
    v.n_merges = n;
    linn_tokenizer *t = vocab_must_open(&v);
    for (size_t i = 256; i < v.n_tokens; i++)
        free((char *)tokens[i].data);
    free(tokens);
    vocab_free(bytes);
    return t;
}

static void check_words(const json_t *row, const char *name, size_t line, void *tokenizers)
{
    static linn_token want[4096];
    linn_tokenizer **t = tokenizers;
    const json_t *text = json_object_get(row, "text");
    const char *bytes = json_string_value(text), *names;
    size_t length = json_string_length(text);
    json_t *ids;
    int checked = 0;
    /* "ids": {"names of pre-tokenizers that agree": [ids], ...} */
    json_object_foreach(json_object_get(row, "ids"), names, ids)
    {
        size_t n = ids_from(ids, want, 4096);
        for (size_t i = 0; i < N_PRE; i++) {
            char padded[256], word[64];
            snprintf(padded, sizeof padded, " %s ", names);
            snprintf(word, sizeof word, " %s ", pre_names[i]);
            if (!strstr(padded, word))
                continue;
            check_ids(t[i], pre_names[i], line, bytes, length, 0, want, n);
            check_text(t[i], name, line, want, n, bytes, length);
            checked++;
        }
    }
    assert_int_equal(checked, N_PRE);
}

static void pre_tokenizers(void **state)
{
    (void)state;
    linn_tokenizer *t[N_PRE];
    size_t n;
    linn_string *merges = read_merges(&n);
    for (size_t i = 0; i < N_PRE; i++)
        t[i] = with_merges(pre_names[i], merges, n);
    assert_int_equal(each_line(LINN_DATA "/words.jsonl", check_words, t), 300);
    for (size_t i = 0; i < N_PRE; i++)
        linn_tokenizer_free(t[i]);
    for (size_t i = 0; i < n; i++)
        free((char *)merges[i].data);
    free(merges);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pairs), cmocka_unit_test(stress),
                                       cmocka_unit_test(special), cmocka_unit_test(pre_tokenizers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
