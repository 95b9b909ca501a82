/* What a file may say of its tokens, line by line as src/tokenizer/vocab.h has it: refused in one
 * line that names file and key, or put right. */
#include "test.h"
#include "vocab.h"

#include <math.h>

/* The file is refused with a code, and with words that the message must have. */
static void refused(const vocab *v, int code, const char *a, const char *b)
{
    linn_tokenizer *t;
    linn_error err = {0};
    assert_int_equal(vocab_open(v, &t, &err), code);
    assert_null(t);
    if (!strstr(err.message, "test.gguf") || !strstr(err.message, a) || !strstr(err.message, b))
        fail_msg("'%s' does not name the file, '%s' and '%s'", err.message, a, b);
    assert_null(strchr(err.message, '\n'));
}

static void unsupported(void **state)
{
    (void)state;
    vocab *v = vocab_bpe("gpt-2", "a b");
    v->model = "t5";
    refused(v, LINN_EUNSUPPORTED, "'t5'", "llama (SentencePiece BPE) and gpt2");
    v->model = "gpt2";
    v->pre = "tekken";
    refused(v, LINN_EUNSUPPORTED, "'tekken'",
            "linn has default, gpt-2, llama-bpe, qwen2, smollm, deepseek-llm, deepseek-coder and "
            "starcoder");
    v->pre = "gpt-2\nx";
    refused(v, LINN_EUNSUPPORTED, "'gpt-2?x'", "tokenizer.ggml.pre");
    v->pre = "";
    refused(v, LINN_EUNSUPPORTED, "''", "tokenizer.ggml.pre");
    v->model = NULL;
    refused(v, LINN_EFORMAT, "tokenizer.ggml.model", "");
    vocab_free(v);
    static const char *const good[] = {NULL,           "default",  "llama3",           "llama-v3",
                                       "falcon3",      "qwen2",    "deepseek-r1-qwen", "smollm",
                                       "deepseek-llm", "starcoder"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        v = vocab_bpe(good[i], "a b");
        linn_tokenizer_free(vocab_must_open(v));
        vocab_free(v);
    }
}

static void arrays(void **state)
{
    (void)state;
    vocab *v = vocab_spm("_ a");
    vocab w = *v;
    w.n_scores--;
    refused(&w, LINN_EFORMAT, "tokenizer.ggml.scores", "260 entries for 261 tokens");
    w.n_scores = 0;
    refused(&w, LINN_EFORMAT, "tokenizer.ggml.scores", "");
    w.scores = NULL;
    refused(&w, LINN_EFORMAT, "tokenizer.ggml.scores", "");
    w = *v;
    w.n_types = 3;
    refused(&w, LINN_EFORMAT, "tokenizer.ggml.token_type", "3 entries for 261 tokens");
    w = *v;
    w.n_tokens = 0;
    refused(&w, LINN_EFORMAT, "tokenizer.ggml.tokens", "");
    w.tokens = NULL;
    refused(&w, LINN_EFORMAT, "tokenizer.ggml.tokens", "");
    w = *v;
    w.n_tokens = 260; /* more scores and types than tokens do no harm */
    linn_tokenizer *t = vocab_must_open(&w);
    assert_int_equal(linn_tokenizer_size(t), 260);
    linn_tokenizer_free(t);
    static const float odd[] = {NAN, -NAN};
    for (size_t i = 0; i < 2; i++) {
        ((float *)v->scores)[260] = odd[i];
        refused(v, LINN_EFORMAT, "tokenizer.ggml.scores[260]", "not a number");
    }
    ((float *)v->scores)[260] = -INFINITY;
    ((float *)v->scores)[259] = INFINITY;
    linn_tokenizer_free(vocab_must_open(v));
    vocab_free(v);
    v = vocab_bpe("gpt-2", "a b");
    w = *v;
    w.merges = NULL;
    refused(&w, LINN_EFORMAT, "tokenizer.ggml.merges", "");
    w = *v;
    w.n_merges = 0; /* none at all are enough */
    w.types = NULL;
    linn_tokenizer_free(vocab_must_open(&w));
    vocab_free(v);
}

static void tokens(void **state)
{
    (void)state;
    vocab *v = vocab_spm("_ a b ab");
    char long_text[1002];
    memset(long_text, 'x', 1001);
    long_text[1001] = '\0';
    int32_t ab = vocab_add(v, "ab", 1), empty = vocab_add(v, "", 1);
    int32_t no_special = vocab_add(v, "", 3), broken = vocab_add(v, "b\xff", 1);
    int32_t strange = vocab_add(v, "ba", 99), longest = vocab_add(v, long_text + 1, 1);
    size_t n;
    linn_tokenizer *t = vocab_must_open(v);
    assert_int_equal(ab, 263);
    assert_string_equal(ids_of(t, "ab", 0), "259 262"); /* of two, the lower id */
    assert_string_equal(ids_of(t, "ba", 0), "259 267"); /* a type that is none: ordinary */
    assert_int_equal(strange, 267);
    linn_token_bytes(t, empty, true, &n);
    assert_int_equal(n, 0);
    linn_token_bytes(t, no_special, true, &n);
    assert_int_equal(n, 0);
    assert_memory_equal(linn_token_bytes(t, broken, false, &n), "b\xff", 2);
    assert_int_equal(n, 2);
    linn_token_bytes(t, longest, false, &n);
    assert_int_equal(n, 1000);
    linn_tokenizer_free(t);
    vocab_add(v, long_text, 1);
    refused(v, LINN_EUNSUPPORTED, "tokenizer.ggml.tokens[269]", "1001 bytes");
    vocab_free(v);
    static const char *const bad[] = {"<0x0>", "<0x0G>", "<0x00", "<0x000>", "a", "", "<0x 1>"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        v = vocab_spm("_ a");
        vocab_add(v, bad[i], 6);
        refused(v, LINN_EFORMAT, "tokenizer.ggml.tokens[261]", "<0x0A>");
        vocab_free(v);
    }
}

/* Tokens for some bytes only: the unknown token stands for the others, or nothing can. */
static void missing_bytes(void **state)
{
    (void)state;
    vocab *v = vocab_spm("_ a");
    const linn_string few[] = {{"<unk>", 5}, {"<s>", 3}, {"</s>", 4}, {"a", 1}, {"<0x62>", 6}};
    v->n_types = v->n_scores = 5;
    vocab w = *v;
    w.tokens = few;
    w.n_tokens = 5;
    static const int32_t types[] = {2, 3, 3, 1, 6};
    w.types = types;
    w.add_space = 0;
    linn_tokenizer *t = vocab_must_open(&w);
    assert_string_equal(ids_of(t, "abc ", 0), "3 4 0 0");
    linn_tokenizer_free(t);
    w.unknown = -1;
    t = vocab_must_open(&w);
    linn_token id;
    size_t n;
    linn_error err = {0};
    assert_string_equal(ids_of(t, "ab", 0), "3 4");
    assert_int_equal(linn_tokenize(t, "abc", 3, 0, &id, 1, &n, &err), LINN_EUNSUPPORTED);
    assert_non_null(strstr(err.message, "byte 0x63"));
    linn_tokenizer_free(t);
    vocab_free(v);
    v = vocab_bpe("gpt-2", "a b,b c");
    w = *v;
    w.tokens += 'a'; /* a b c, then others up to the merges */
    w.types = NULL;
    w.n_tokens -= 'a';
    t = vocab_must_open(&w);
    assert_string_equal(ids_of(t, "abc", 0), "159 2");
    assert_int_equal(linn_tokenize(t, "A", 1, 0, &id, 1, &n, &err), LINN_EUNSUPPORTED);
    linn_tokenizer_free(t);
    w.unknown = 25;
    t = vocab_must_open(&w);
    assert_string_equal(ids_of(t, "aA", 0), "0 25");
    linn_tokenizer_free(t);
    vocab_free(v);
}

static void merges(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "a", " ", "  ", "ab", "a ", " b", "abc"};
    vocab *v = vocab_bpe("gpt-2", "a b");
    vocab w = *v;
    linn_string list[3] = {v->merges[0], v->merges[0]};
    w.merges = list;
    w.n_merges = 2;
    linn_tokenizer_free(vocab_must_open(&w)); /* twice the same */
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        list[1] = (linn_string){bad[i], strlen(bad[i])};
        refused(&w, LINN_EFORMAT, "tokenizer.ggml.merges[1]", "two parts");
    }
    /* of other characters than the alphabet's, or of more than one blank: never come up */
    static const char *const useless[] = {"\xe2\x82\xac b", "a b c", "a\xff b", "  b",
                                          "\xc2\xad b"};
    for (size_t i = 0; i < sizeof useless / sizeof useless[0]; i++) {
        list[1] = (linn_string){useless[i], strlen(useless[i])};
        linn_tokenizer *t = vocab_must_open(&w);
        assert_string_equal(ids_of(t, "ab", 0), "256");
        linn_tokenizer_free(t);
    }
    char text[5000];
    memset(text, 'x', sizeof text);
    text[500] = ' ';
    list[1] = (linn_string){text, 1001};
    linn_tokenizer_free(vocab_must_open(&w));
    list[1].length = 1002;
    refused(&w, LINN_EUNSUPPORTED, "tokenizer.ggml.merges[1]", "1000 bytes");
    list[1].length = 5000;
    refused(&w, LINN_EUNSUPPORTED, "tokenizer.ggml.merges[1]", "1000 bytes");
    vocab_free(v);
}

static void ids(void **state)
{
    (void)state;
    vocab *v = vocab_spm("_ a");
    vocab w = *v;
    w.bos = 261;
    refused(&w, LINN_EFORMAT, "tokenizer.ggml.bos_token_id is 261", "261 tokens");
    w = *v;
    w.eos = 0xfffffffe;
    refused(&w, LINN_EFORMAT, "tokenizer.ggml.eos_token_id", "");
    w = *v;
    w.unknown = 1 << 20;
    refused(&w, LINN_EFORMAT, "tokenizer.ggml.unknown_token_id", "");
    w = *v;
    w.eot = 300;
    refused(&w, LINN_EFORMAT, "tokenizer.ggml.eot_token_id", "");
    w = *v;
    w.bos = -1; /* 2^32 - 1: none */
    linn_tokenizer *t = vocab_must_open(&w);
    assert_string_equal(ids_of(t, "a", LINN_TOKENIZE_BOS), "259 260");
    linn_tokenizer_free(t);
    w.add_bos = 1;
    refused(&w, LINN_EFORMAT, "tokenizer.ggml.add_bos_token", "no such token");
    w = *v;
    w.eos = -1;
    w.add_eos = 1;
    refused(&w, LINN_EFORMAT, "tokenizer.ggml.add_eos_token", "no such token");
    w = *v;
    w.n_tokens = 1; /* the usual begin and end are out of range here: none */
    w.n_types = 1;
    t = vocab_must_open(&w);
    assert_string_equal(ids_of(t, "a", LINN_TOKENIZE_BOS), "0 0");
    linn_tokenizer_free(t);
    vocab_free(v);
}

static bool ends(const vocab *v, linn_token id)
{
    linn_tokenizer *t = vocab_must_open(v);
    bool answer = linn_token_is_end(t, id);
    linn_tokenizer_free(t);
    return answer;
}

static void end_tokens(void **state)
{
    (void)state;
    vocab *v = vocab_spm("_ a");
    vocab_add(v, "<|im_end|>", 1);
    vocab_add(v, "<|eot_id|>", 3);
    vocab_add(v, "</eot>", 3);
    assert_true(ends(v, 2));
    assert_true(ends(v, 261));
    assert_true(ends(v, 262));
    assert_false(ends(v, 263));
    assert_true(ends(v, 1)); /* where a text begins, the one before is over */
    assert_false(ends(v, 260));
    assert_false(ends(v, -1));
    assert_false(ends(v, 264));
    assert_false(ends(v, INT32_MAX));
    v->eot = 263;
    v->eos = 260;
    assert_true(ends(v, 263));
    assert_true(ends(v, 260));
    assert_true(ends(v, 2)); /* </s> by its name */
    /* what has such a name is a control token, whatever its type says */
    linn_tokenizer *t = vocab_must_open(v);
    size_t n;
    linn_token_bytes(t, 261, false, &n);
    assert_int_equal(n, 0);
    assert_memory_equal(linn_token_bytes(t, 261, true, &n), "<|im_end|>", 10);
    assert_int_equal(n, 10);
    linn_tokenizer_free(t);
    vocab_free(v);
}

/* Without types: bytes by their form, begin, end and unknown by their ids. */
static void no_types(void **state)
{
    (void)state;
    vocab *v = vocab_spm("_ a");
    vocab w = *v;
    w.types = NULL;
    linn_tokenizer *t = vocab_must_open(&w);
    size_t n;
    assert_string_equal(ids_of(t, "a\n<s>", LINN_TOKENIZE_SPECIAL), "259 260 13 1");
    assert_memory_equal(linn_token_bytes(t, 13, false, &n), "\n", 1);
    assert_int_equal(n, 1);
    linn_token_bytes(t, 1, false, &n);
    assert_int_equal(n, 0);
    linn_tokenizer_free(t);
    vocab_free(v);
}

static void matches(void **state)
{
    (void)state;
    vocab *v = vocab_spm("_ a b");
    linn_tokenizer *a = vocab_must_open(v);
    vocab_add(v, "[PAD]", 5);
    linn_tokenizer *padded = vocab_must_open(v);
    vocab_add(v, "c", 1);
    linn_tokenizer *more = vocab_must_open(v);
    vocab_free(v);
    v = vocab_spm("_ a c");
    linn_tokenizer *other = vocab_must_open(v);
    ((int32_t *)v->types)[261] = 4;
    linn_tokenizer *role = vocab_must_open(v);
    vocab_free(v);
    assert_true(linn_tokenizer_matches(a, a));
    assert_true(linn_tokenizer_matches(a, padded));
    assert_true(linn_tokenizer_matches(padded, a));
    assert_false(linn_tokenizer_matches(a, more));
    assert_false(linn_tokenizer_matches(more, padded));
    assert_false(linn_tokenizer_matches(a, other));
    assert_false(linn_tokenizer_matches(role, other));
    linn_tokenizer_free(a);
    linn_tokenizer_free(padded);
    linn_tokenizer_free(more);
    linn_tokenizer_free(other);
    linn_tokenizer_free(role);
}

static void files(void **state)
{
    (void)state;
    linn_tokenizer *t = (linn_tokenizer *)state;
    linn_error err;
    assert_int_equal(linn_tokenizer_open(&t, "/nonexistent/a.gguf", &err), LINN_EIO);
    assert_null(t);
    assert_non_null(strstr(err.message, "/nonexistent/a.gguf"));
    linn_tokenizer_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unsupported),   cmocka_unit_test(arrays),   cmocka_unit_test(tokens),
        cmocka_unit_test(missing_bytes), cmocka_unit_test(merges),   cmocka_unit_test(ids),
        cmocka_unit_test(end_tokens),    cmocka_unit_test(no_types), cmocka_unit_test(matches),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
