/* Every allocation of making a tokenizer and of using one may fail: an error, and no leak. */
#include "test.h"
#include "alloc_fail.h"
#include "vocab.h"

typedef struct made {
    uint8_t *image;
    size_t size;
    linn_file *file;
    linn_tokenizer *t;
} made;

static made make(vocab *v)
{
    made m = {0};
    vocab_add(v, "<c>", 3);
    vocab_add(v, "<user>", 4);
    v->chat = "<|im_start|>";
    m.image = vocab_image(v, &m.size);
    assert_non_null(m.image);
    assert_int_equal(linn_file_parse(&m.file, m.image, m.size, "test.gguf", NULL), LINN_OK);
    assert_int_equal(linn_tokenizer_create(&m.t, m.file, NULL), LINN_OK);
    vocab_free(v);
    return m;
}

static void drop(made *m)
{
    linn_tokenizer_free(m->t);
    linn_file_close(m->file);
    free(m->image);
}

static int create(void *arg)
{
    linn_tokenizer *t;
    linn_error err = {0};
    int code = linn_tokenizer_create(&t, ((made *)arg)->file, &err);
    assert_true(code == LINN_OK ? t != NULL : t == NULL && strstr(err.message, "out of memory"));
    linn_tokenizer_free(t);
    return code;
}

static int tokenize(void *arg)
{
    static char text[3000];
    linn_token ids[64];
    size_t n;
    linn_error err = {0};
    if (!text[0])
        for (size_t i = 0; i + 1 < sizeof text; i++)
            text[i] = "the <c>a<user> \xc3\xa9 in 12"[i % 21];
    int code =
        linn_tokenize(((made *)arg)->t, text, 21 * 140, LINN_TOKENIZE_SPECIAL, ids, 64, &n, &err);
    assert_true(code == LINN_OK ? n > 1000 : n == 0 && strstr(err.message, "out of memory"));
    return code;
}

static void pieces(void **state)
{
    (void)state;
    made m = make(vocab_spm("_ a t h e th the _the"));
    assert_true(alloc_fail_each(create, &m) >= 8);
    assert_true(alloc_fail_each(tokenize, &m) >= 8);
    drop(&m);
}

static void words(void **state)
{
    (void)state;
    vocab *v = vocab_bpe("deepseek-llm", "t h,th e,_ the,i n");
    v->n_tokens -= 2; /* the merges add symbols */
    for (size_t i = v->n_tokens; i < v->n_tokens + 2; i++)
        free((char *)v->tokens[i].data);
    made m = make(v);
    assert_true(alloc_fail_each(create, &m) >= 20);
    assert_true(alloc_fail_each(tokenize, &m) >= 8);
    drop(&m);
}

/* Going from tokens to text, and chat templates, take no memory. */
static void nothing(void **state)
{
    (void)state;
    made m = make(vocab_spm("_ a"));
    const linn_chat_message hello = {"user", "Hello"};
    linn_text_stream s = {0};
    char out[256];
    size_t n, before = alloc_fail_count();
    for (linn_token id = -1; id < 300; id++)
        linn_text_next(&s, m.t, id, &n);
    linn_text_finish(&s, &n);
    linn_token_is_end(m.t, 2);
    assert_int_equal(linn_chat_format(m.t, &hello, 1, out, sizeof out, &n, NULL), LINN_OK);
    assert_int_equal(alloc_fail_count(), before);
    drop(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pieces), cmocka_unit_test(words),
                                       cmocka_unit_test(nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
