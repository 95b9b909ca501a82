/* Tokens to text: whole characters only, at every cut; what is no UTF-8 replaced as Unicode
 * recommends; the blank that SentencePiece adds. */
#include "test.h"
#include "vocab.h"

/* The text of SentencePiece's byte tokens for some bytes. */
static char *through_bytes(const linn_tokenizer *t, const char *bytes, size_t n, size_t *length)
{
    linn_token ids[64];
    assert_true(n <= 64);
    for (size_t i = 0; i < n; i++)
        ids[i] = 3 + (uint8_t)bytes[i];
    return text_of(t, ids, n, false, length);
}

static void cuts(void **state)
{
    (void)state;
    vocab *v = vocab_spm("_");
    linn_tokenizer *t = vocab_must_open(v);
    linn_text_stream s = {0};
    size_t n;
    /* U+1F642 a byte at a time, then a letter */
    for (int i = 0; i < 4; i++) {
        const char *text = linn_text_next(&s, t, 3 + (uint8_t) "\xf0\x9f\x99\x82"[i], &n);
        assert_int_equal(n, i < 3 ? 0 : 4);
        if (i == 3)
            assert_memory_equal(text, "\xf0\x9f\x99\x82", 4);
    }
    linn_text_next(&s, t, 3 + 'a', &n);
    assert_int_equal(n, 1);
    linn_text_finish(&s, &n);
    assert_int_equal(n, 0);
    linn_tokenizer_free(t);
    vocab_free(v);
}

/* Each longest part of a character that the bytes could have begun is one U+FFFD (Unicode 15,
 * table 3-8 and the text before it). */
static void replaced(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *text; /* R for U+FFFD */
    } cases[] = {
        {"\xff", "R"},
        {"a\x80z", "aRz"},
        {"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", "RRRRRRRRA"},
        {"\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", "RRRRRRRRA"},
        {"\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", "RRRRRARRB"},
        {"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", "RRRRA"},
        {"\xf0\x9f\x99", "R"},
        {"\xf0\x9f\x99\xf0\x9f\x99\x82", "R\xf0\x9f\x99\x82"},
        {"\xe2\x82", "R"},
        {"\xc3(", "R("},
        {"\xc3\xc3\xa9", "R\xc3\xa9"},
    };
    vocab *v = vocab_spm("_");
    linn_tokenizer *t = vocab_must_open(v);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char want[256];
        size_t n = 0, length;
        for (const char *c = cases[i].text; *c; c++) {
            memcpy(want + n, *c == 'R' ? "\xef\xbf\xbd" : c, *c == 'R' ? 3 : 1);
            n += *c == 'R' ? 3 : 1;
        }
        char *text = through_bytes(t, cases[i].bytes, strlen(cases[i].bytes), &length);
        assert_int_equal(length, n);
        assert_memory_equal(text, want, n);
        free(text);
    }
    linn_tokenizer_free(t);
    vocab_free(v);
}

/* However a text is cut into tokens, the stream gives the same. */
static void any_cut(void **state)
{
    (void)state;
    static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x99\x82\xff\xe2\x82z\xf0\x9f";
    size_t size = sizeof text - 1, want_size;
    vocab *v = vocab_spm("_");
    int32_t first = (int32_t)v->n_tokens;
    /* every piece of the text is a token: [i, j) is the one of this number */
    int32_t number[32][32];
    for (size_t i = 0; i < size; i++)
        for (size_t j = i + 1; j <= size && j <= i + 5; j++) {
            char piece[8] = {0};
            memcpy(piece, text + i, j - i);
            number[i][j - i] = vocab_add(v, piece, 4);
        }
    assert_int_equal(number[0][1], first);
    linn_tokenizer *t = vocab_must_open(v);
    char *want = through_bytes(t, text, size, &want_size);
    uint32_t seed = 7;
    for (int round = 0; round < 2000; round++) {
        linn_token ids[32];
        size_t n = 0, length;
        for (size_t at = 0; at < size;) {
            seed = seed * 1664525 + 1013904223;
            size_t step = 1 + (seed >> 24) % 5;
            step = step < size - at ? step : size - at;
            ids[n++] = number[at][step];
            at += step;
        }
        char *got = text_of(t, ids, n, false, &length);
        assert_int_equal(length, want_size);
        assert_memory_equal(got, want, length);
        free(got);
    }
    free(want);
    linn_tokenizer_free(t);
    vocab_free(v);
}

/* The longest token there can be, behind the start of a character, and one that is no UTF-8. */
static void long_tokens(void **state)
{
    (void)state;
    char text[1001], broken[1001];
    memset(text, 'x', 1000);
    memset(broken, 0xff, 1000);
    text[1000] = broken[1000] = '\0';
    vocab *v = vocab_spm("_");
    int32_t plain = vocab_add(v, text, 1), bad = vocab_add(v, broken, 4);
    linn_tokenizer *t = vocab_must_open(v);
    linn_text_stream s = {0};
    size_t n;
    for (int i = 0; i < 3; i++)
        linn_text_next(&s, t, 3 + (uint8_t) "\xf0\x9f\x99"[i], &n);
    const char *got = linn_text_next(&s, t, plain, &n);
    assert_int_equal(n, 1003);
    assert_memory_equal(got, "\xef\xbf\xbdxxx", 6);
    linn_text_next(&s, t, bad, &n);
    assert_true(n <= sizeof s.text && n % 3 == 0 && n > 900);
    linn_text_finish(&s, &n);
    assert_int_equal(n, 0);
    linn_tokenizer_free(t);
    vocab_free(v);
}

static void expect(const linn_tokenizer *t, const linn_token *ids, size_t n, bool special,
                   const char *want)
{
    size_t length;
    char *text = text_of(t, ids, n, special, &length);
    assert_string_equal(text, want);
    free(text);
}

static void blanks(void **state)
{
    (void)state;
    vocab *v = vocab_spm("_ a _a __"); /* 259 to 262 */
    int32_t user = vocab_add(v, " u", 4);
    linn_tokenizer *t = vocab_must_open(v);
    const linn_token words[] = {261, 261, 260}, begun[] = {1, 261, 2, 261};
    expect(t, words, 3, false, "a aa");
    expect(t, (const linn_token[]){262, 260}, 2, false, " a");
    expect(t, (const linn_token[]){259, 259}, 2, false, " ");
    expect(t, (const linn_token[]){3 + ' ', 260}, 2, false, "a");
    expect(t, (const linn_token[]){user, 261}, 2, false, " u a");
    expect(t, begun, 4, false, "a a");
    expect(t, begun, 4, true, "<s>a</s> a");
    expect(t, (const linn_token[]){-1, 9999, INT32_MIN, 0, 261}, 5, false, "a");
    linn_tokenizer_free(t);
    v->add_space = 0;
    t = vocab_must_open(v);
    expect(t, words, 3, false, " a aa");
    linn_tokenizer_free(t);
    vocab_free(v);
    v = vocab_bpe("gpt-2", "_ a");
    t = vocab_must_open(v);
    expect(t, (const linn_token[]){256, 256, 'b'}, 3, false, " a ab");
    linn_tokenizer_free(t);
    vocab_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts),        cmocka_unit_test(replaced), cmocka_unit_test(any_cut),
        cmocka_unit_test(long_tokens), cmocka_unit_test(blanks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
