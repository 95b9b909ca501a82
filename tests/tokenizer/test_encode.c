/* Text to tokens over small vocabularies: order of merges, bytes, blanks, special tokens, what is
 * added around; that a heap merges as trying all pairs does; that long runs take no time. */
#include "test.h"
#include "vocab.h"

#include "tokenizer/merge.h"

#include <pthread.h>

/* ---- SentencePiece ------------------------------------------------------------------------------
 */

static void pieces(void **state)
{
    (void)state;
    /* 259 _ 260 a 261 b 262 c 263 ab 264 bc 265 _a 266 abc */
    vocab *v = vocab_spm("_ a b c ab bc _a abc");
    linn_tokenizer *t = vocab_must_open(v);
    assert_string_equal(ids_of(t, "", 0), "");
    assert_string_equal(ids_of(t, "b", 0), "259 261");
    /* ab comes before bc, _a after both */
    assert_string_equal(ids_of(t, "abc", 0), "259 266");
    assert_string_equal(ids_of(t, "bca", 0), "259 264 260");
    assert_string_equal(ids_of(t, "a", 0), "265");
    assert_string_equal(ids_of(t, "a a", 0), "265 265");
    assert_string_equal(ids_of(t, " a", 0), "259 265");
    assert_string_equal(ids_of(t, "  ", 0), "259 259 259");
    assert_string_equal(ids_of(t,
                               "\xe2\x96\x81"
                               "a",
                               0),
                        "259 265");
    /* bytes: 3 + 0xc3, 3 + 0xa9, 3 + '\n', 3 + 'z' */
    assert_string_equal(ids_of(t, "\xc3\xa9\nz", 0), "259 198 172 13 125");
    linn_tokenizer_free(t);
    /* bc first now, then _a before abc */
    ((float *)v->scores)[264] = 5;
    t = vocab_must_open(v);
    assert_string_equal(ids_of(t, "abcb", 0), "265 264 261");
    linn_tokenizer_free(t);
    ((float *)v->scores)[266] = 9;
    t = vocab_must_open(v);
    assert_string_equal(ids_of(t, "abcb", 0), "259 266 261");
    linn_tokenizer_free(t);
    v->add_space = 0;
    t = vocab_must_open(v);
    assert_string_equal(ids_of(t, "abc", 0), "266");
    assert_string_equal(ids_of(t, " a", 0), "265");
    linn_tokenizer_free(t);
    vocab_free(v);
}

static void ties(void **state)
{
    (void)state;
    vocab *v = vocab_spm("a aa aaa aaaa");
    v->add_space = 0;
    for (size_t i = SPM_FIRST; i < v->n_tokens; i++)
        ((float *)v->scores)[i] = -1;
    linn_tokenizer *t = vocab_must_open(v);
    assert_string_equal(ids_of(t, "aaaaa", 0), "262 259"); /* 2+1+1+1, 3+1+1, 4+1 */
    linn_tokenizer_free(t);
    vocab_free(v);
    v = vocab_spm("a b aa ab"); /* scores of -0 and 0 are equal: from the left */
    v->add_space = 0;
    ((float *)v->scores)[261] = -0.0f;
    ((float *)v->scores)[262] = 0.0f;
    t = vocab_must_open(v);
    assert_string_equal(ids_of(t, "aab", 0), "261 260");
    linn_tokenizer_free(t);
    vocab_free(v);
}

/* No word is cut where a piece goes on, blanks inside pieces included. */
static void pieces_across_words(void **state)
{
    (void)state;
    vocab *v = vocab_spm("_ a b a_ a_b __ ___ ____");
    v->add_space = 0;
    linn_tokenizer *t = vocab_must_open(v);
    assert_string_equal(ids_of(t, "a b", 0), "263");
    assert_string_equal(ids_of(t, "b a b", 0), "261 259 263");
    assert_string_equal(ids_of(t, "      b", 0), "266 264 261"); /* 2+2+2, 4+2 */
    linn_tokenizer_free(t);
    vocab_free(v);
}

/* ---- byte-level BPE -------------------------------------------------------------------------- */

static void bytes(void **state)
{
    (void)state;
    /* 256 th 257 the 258 _the 259 he 260 in */
    vocab *v = vocab_bpe("gpt-2", "t h,th e,_ the,h e,i n");
    linn_tokenizer *t = vocab_must_open(v);
    assert_string_equal(ids_of(t, "the", 0), "257");
    assert_string_equal(ids_of(t, "in the he", 0), "260 258 32 259");
    assert_string_equal(ids_of(t, "tthhee", 0), "116 256 259 101");
    assert_string_equal(ids_of(t, "\xc3\xa9\n", 0), "195 169 10");
    linn_tokenizer_free(t);
    /* a word that is a token is that token, whatever merges say */
    vocab_add(v, "qed", 1);
    t = vocab_must_open(v);
    assert_string_equal(ids_of(t, "qed", 0), "113 101 100");
    linn_tokenizer_free(t);
    v->pre = "llama-bpe";
    t = vocab_must_open(v);
    assert_string_equal(ids_of(t, "qed", 0), "261");
    assert_string_equal(ids_of(t, "qedqed", 0), "113 101 100 113 101 100");
    linn_tokenizer_free(t);
    vocab_free(v);
}

/* Merges that speak of texts that are no tokens, or make some: they merge all the same, and what
 * is no token in the end becomes its bytes. */
static void merges_without_tokens(void **state)
{
    (void)state;
    vocab *v = vocab_bpe("gpt-2", "a b,ab c,x y,xy z");
    v->n_tokens = 258; /* abc and the others are none; 256 ab, 257 abc */
    v->n_types = 258;
    linn_tokenizer *t = vocab_must_open(v);
    assert_string_equal(ids_of(t, "abc", 0), "257");
    assert_string_equal(ids_of(t, "xyz", 0), "120 121 122");
    linn_tokenizer_free(t);
    v->n_tokens = 260;
    vocab_free(v);
    /* abc is a symbol, but as no token it is not taken for the word */
    v = vocab_bpe("llama-bpe", "b c,ab c,a b");
    v->n_tokens = 257;
    v->n_types = 257;
    t = vocab_must_open(v);
    assert_string_equal(ids_of(t, "abc", 0), "97 256");
    linn_tokenizer_free(t);
    v->n_tokens = 259;
    vocab_free(v);
}

/* ---- merging in general ------------------------------------------------------------------------
 */

enum { LETTERS = 4, LENGTH = 40 };

/* order[i][j] of symbols by length 1 to 4 of equal letters and so on: a pair merges if its text
 * hashes to something. */
static bool random_pair(const void *arg, const linn_symbol *symbols, uint32_t left, uint32_t *order,
                        int32_t *id)
{
    const char *text = (const char *)arg + left;
    uint32_t size = symbols[left].length + symbols[left + symbols[left].length].length;
    uint32_t h = 2166136261u;
    for (uint32_t i = 0; i < size; i++)
        h = (h ^ (uint8_t)text[i]) * 16777619u;
    h ^= h >> 15;
    *order = h % 7;
    *id = (int32_t)(h >> 1);
    return size < 9 && h % 5 != 0;
}

/* The definition: again and again the best pair of all, the leftmost of equals. */
static void merge_slowly(linn_symbol *symbols, uint32_t length, const char *text)
{
    for (;;) {
        uint32_t best = UINT32_MAX, where = 0, order;
        int32_t id, best_id = 0;
        for (uint32_t i = 0; i + symbols[i].length < length; i += symbols[i].length)
            if (random_pair(text, symbols, i, &order, &id) && order < best) {
                best = order;
                where = i;
                best_id = id;
            }
        if (best == UINT32_MAX)
            return;
        uint32_t right = where + symbols[where].length;
        symbols[where].length += symbols[right].length;
        symbols[where].id = best_id;
        symbols[right].length = 0;
    }
}

static void heap_is_right(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int round = 0; round < 20000; round++) {
        char text[LENGTH];
        linn_symbol a[LENGTH], b[LENGTH];
        linn_candidate heap[2 * LENGTH];
        uint32_t length = 1 + (uint32_t)round % LENGTH;
        for (uint32_t i = 0; i < length; i++) {
            seed = seed * 1664525 + 1013904223;
            text[i] = (char)('a' + (seed >> 24) % LETTERS);
            a[i] = b[i] = (linn_symbol){1, i ? i - 1 : 0, text[i]};
        }
        linn_merge(a, length, heap, random_pair, text);
        merge_slowly(b, length, text);
        for (uint32_t i = 0; i < length; i += a[i].length) {
            assert_int_equal(a[i].length, b[i].length);
            assert_int_equal(a[i].id, b[i].id);
        }
    }
}

/* ---- special tokens ----------------------------------------------------------------------------
 */

static void special(void **state)
{
    (void)state;
    vocab *v = vocab_spm("_ a b _a _b");
    int32_t end = vocab_add(v, "<|end|>", 3), user = vocab_add(v, "<user>", 4);
    int32_t longer = vocab_add(v, "<user><user>", 4), control = vocab_add(v, "<c>", 3);
    linn_tokenizer *t = vocab_must_open(v);
    assert_int_equal(end, 264);
    assert_int_equal(user, 265);
    assert_int_equal(longer, 266);
    assert_int_equal(control, 267);
    const unsigned on = LINN_TOKENIZE_SPECIAL;
    /* text after a special token starts with a blank of its own, as at the start */
    assert_string_equal(ids_of(t, "a<c>b", on), "262 267 263");
    assert_string_equal(ids_of(t, "<c> b", on), "267 259 263");
    assert_string_equal(ids_of(t, "<c><c>", on), "267 267");
    assert_string_equal(ids_of(t, "<s></s><unk>", on), "1 2 0");
    /* user-defined ones are found without asking, control tokens are not */
    assert_string_equal(ids_of(t, "a<user>b", 0), "262 265 263");
    assert_string_equal(ids_of(t, "<c", on), "259 63 102");
    assert_string_equal(ids_of(t, "<c>", 0), "259 63 102 65");
    /* the longest first, wherever it stands: not the leftmost pair, but from the left */
    assert_string_equal(ids_of(t, "<user><user><user>", 0), "266 265");
    linn_tokenizer_free(t);
    vocab_free(v);
}

/* Tokens that overlap and lie in each other: the longest has the first choice of places. */
static void overlaps(void **state)
{
    (void)state;
    vocab *v = vocab_bpe("gpt-2", "");
    /* 256 to 263; the second abab is one too many */
    static const char *const words[] = {"ab", "abab", "ba", "bb", "babb", "aab", "a", "abab"};
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(vocab_add(v, words[i], 3), 256 + i);
    linn_tokenizer *t = vocab_must_open(v);
    const unsigned on = LINN_TOKENIZE_SPECIAL;
    assert_string_equal(ids_of(t, "ababbb", on), "257 259"); /* of two of length 4, the lower id */
    assert_string_equal(ids_of(t, "aababb", on), "262 257 98"); /* abab before aab */
    assert_string_equal(ids_of(t, "bbaabc", on), "259 261 99"); /* aab before bb and ba */
    assert_string_equal(ids_of(t, "cababa", on), "99 257 262");
    assert_string_equal(ids_of(t, "bab", on), "98 256"); /* ab before ba: the lower id */
    linn_tokenizer_free(t);
    vocab_free(v);
}

/* Phi-3's special tokens take white space after them along; three do not. */
static void strip(void **state)
{
    (void)state;
    vocab *v = vocab_spm("_ a _a");
    int32_t end = vocab_add(v, "<|end|>", 3);
    v->name = "My Phi-3 mini";
    linn_tokenizer *t = vocab_must_open(v);
    assert_int_equal(end, 262);
    assert_string_equal(ids_of(t, "a<|end|> \n\t a", LINN_TOKENIZE_SPECIAL), "261 262 261");
    assert_string_equal(ids_of(t, "<|end|>\n", LINN_TOKENIZE_SPECIAL), "262");
    assert_string_equal(ids_of(t, "<s> a", LINN_TOKENIZE_SPECIAL), "1 259 261");
    assert_string_equal(ids_of(t, "</s> a", LINN_TOKENIZE_SPECIAL), "2 261");
    linn_tokenizer_free(t);
    v->name = "My Phi-2 mini";
    t = vocab_must_open(v);
    assert_string_equal(ids_of(t, "<|end|> a", LINN_TOKENIZE_SPECIAL), "262 259 261");
    linn_tokenizer_free(t);
    vocab_free(v);
}

/* Ordinary text never becomes a control token, even if merges lead there. */
static void no_way_in(void **state)
{
    (void)state;
    vocab *v = vocab_bpe("llama-bpe", "e o,eo s");
    v->n_tokens = 256;
    ((int32_t *)v->types)[256] = 1;
    for (size_t i = 256; i < 258; i++)
        free((char *)v->tokens[i].data);
    vocab_add(v, "eo", 1);
    int32_t control = vocab_add(v, "eos", 3);
    linn_tokenizer *t = vocab_must_open(v);
    assert_int_equal(control, 257);
    assert_string_equal(ids_of(t, "eos", 0), "101 111 115");
    assert_string_equal(ids_of(t, "eos", LINN_TOKENIZE_SPECIAL), "257");
    linn_tokenizer_free(t);
    vocab_free(v);
    v = vocab_spm("e o s eo");
    v->add_space = 0;
    control = vocab_add(v, "eos", 3);
    t = vocab_must_open(v);
    assert_int_equal(control, 263);
    assert_string_equal(ids_of(t, "eos", 0), "262 261");
    assert_string_equal(ids_of(t, "<0x41>", 0), "63 51 123 55 52 65");
    linn_tokenizer_free(t);
    vocab_free(v);
}

/* ---- what is added
 * ------------------------------------------------------------------------------- */

static void added(void **state)
{
    (void)state;
    vocab *v = vocab_spm("_ a _a");
    const unsigned on = LINN_TOKENIZE_BOS;
    linn_tokenizer *t = vocab_must_open(v);
    assert_string_equal(ids_of(t, "a", on), "1 261"); /* the default of this kind */
    assert_string_equal(ids_of(t, "", on), "1");
    assert_string_equal(ids_of(t, "<s>a", on | LINN_TOKENIZE_SPECIAL), "1 1 261");
    linn_tokenizer_free(t);
    v->add_bos = 0;
    v->add_eos = 1;
    t = vocab_must_open(v);
    assert_string_equal(ids_of(t, "a", on), "261 2");
    assert_string_equal(ids_of(t, "a", 0), "261");
    linn_tokenizer_free(t);
    v->add_bos = 1;
    v->bos = 5;
    v->eos = 6;
    t = vocab_must_open(v);
    assert_string_equal(ids_of(t, "a", on), "5 261 6");
    linn_tokenizer_free(t);
    vocab_free(v);
    v = vocab_bpe("gpt-2", "");
    v->bos = v->eos = 7;
    t = vocab_must_open(v);
    assert_string_equal(ids_of(t, "a", on), "97"); /* the default of this kind */
    linn_tokenizer_free(t);
    v->pre = "llama-bpe";
    t = vocab_must_open(v);
    assert_string_equal(ids_of(t, "a", on), "7 97");
    linn_tokenizer_free(t);
    v->bos = VOCAB_ABSENT;
    t = vocab_must_open(v);
    assert_string_equal(ids_of(t, "a", on), "97");
    linn_tokenizer_free(t);
    vocab_free(v);
}

static void capacity(void **state)
{
    (void)state;
    vocab *v = vocab_bpe("gpt-2", "");
    linn_tokenizer *t = vocab_must_open(v);
    linn_token ids[4] = {-1, -1, -1, -1};
    size_t n;
    assert_int_equal(linn_tokenize(t, "abc", 3, 0, ids, 2, &n, NULL), LINN_OK);
    assert_int_equal(n, 3);
    assert_int_equal(ids[1], 'b');
    assert_int_equal(ids[2], -1);
    assert_int_equal(linn_tokenize(t, "abc", 3, 0, NULL, 0, &n, NULL), LINN_OK);
    assert_int_equal(n, 3);
    assert_int_equal(linn_tokenize(t, NULL, 0, 0, NULL, 0, &n, NULL), LINN_OK);
    assert_int_equal(n, 0);
    assert_int_equal(linn_tokenize(t, "a\0b", 3, 0, ids, 4, &n, NULL), LINN_OK);
    assert_int_equal(ids[1], 0);
    linn_error err;
    assert_int_equal(linn_tokenize(t, "abc\xc3(", 5, 0, ids, 4, &n, &err), LINN_EINVAL);
    assert_int_equal(n, 0);
    assert_non_null(strstr(err.message, "not UTF-8 at byte 3"));
    linn_tokenizer_free(t);
    vocab_free(v);
}

/* ---- size and threads ------------------------------------------------------------------------ */

/* Long runs of one letter, blanks and others: each would take minutes if the time grew with the
 * square of the length. */
static void long_runs(void **state)
{
    (void)state;
    enum { N = 300000 };
    static const char *const pre[] = {"default", "llama-bpe",    "qwen2",
                                      "smollm",  "deepseek-llm", "deepseek-coder"};
    static const char *const unit[] = {
        "a", " ", "\n", "7", "!", "ab", " \n", "\xe3\x80\x80", "\xe4\xb8\x80", "<u>"};
    char *text = malloc(N + 8);
    assert_non_null(text);
    for (size_t i = 0; i < 7; i++) {
        vocab *v = i < 6 ? vocab_bpe(pre[i], "a a,aa aa,_ _,__ __,a b,ab ab")
                         : vocab_spm("a _ aa __ aaaa ____ _a ab b aba");
        vocab_add(v, "<u>", 4);
        linn_tokenizer *t = vocab_must_open(v);
        for (size_t j = 0; j < sizeof unit / sizeof unit[0]; j++) {
            size_t size = strlen(unit[j]), n = 0, length = 0;
            for (; length + size <= N; length += size)
                memcpy(text + length, unit[j], size);
            text[length++] = '1'; /* runs of blanks end inside their pieces */
            text[length++] = 'x';
            linn_error err;
            if (linn_tokenize(t, text, length, 0, NULL, 0, &n, &err) != LINN_OK)
                fail_msg("%s", err.message);
            assert_true(n > N / 16);
        }
        linn_tokenizer_free(t);
        vocab_free(v);
    }
    free(text);
}

/* Words that come again are remembered; more of them than there is room for, of one length, so
 * that they must be told apart. */
static void many_words(void **state)
{
    (void)state;
    enum { N = 40000 };
    char *text = malloc(8 * N);
    linn_token *ids = malloc(8 * N * sizeof *ids);
    assert_true(text && ids);
    size_t length = 0, n, size;
    for (unsigned i = 0; i < N; i++)
        length += (size_t)sprintf(text + length, " %05u", i * 7919 % 20000);
    for (int kind = 0; kind < 2; kind++) {
        vocab *v = kind ? vocab_spm("_ 1 2 3 _1 12 _12") : vocab_bpe("gpt-2", "_ 1,1 2,3 4");
        v->add_space = 0;
        linn_tokenizer *t = vocab_must_open(v);
        assert_int_equal(linn_tokenize(t, text, length, 0, ids, 8 * N, &n, NULL), LINN_OK);
        char *back = text_of(t, ids, n, false, &size);
        assert_int_equal(size, length);
        assert_memory_equal(back, text, length);
        free(back);
        linn_tokenizer_free(t);
        vocab_free(v);
    }
    free(text);
    free(ids);
}

typedef struct share {
    const linn_tokenizer *t;
    const char *text;
    size_t n;
    linn_token ids[4096];
} share;

static void *tokenize_often(void *arg)
{
    share *s = arg;
    for (int i = 0; i < 50; i++)
        if (linn_tokenize(s->t, s->text, strlen(s->text), LINN_TOKENIZE_SPECIAL, s->ids, 4096,
                          &s->n, NULL) != LINN_OK)
            s->n = 0;
    return NULL;
}

static void threads(void **state)
{
    (void)state;
    enum { N = 4 };
    static share shares[N];
    char text[2048] = "";
    for (int i = 0; i < 40; i++)
        strcat(text, "the end<s> of the 12345 things; ");
    vocab *v = vocab_bpe("llama-bpe", "t h,th e,_ the,i n,n g,in g,_ t");
    vocab_add(v, "<s>", 3);
    linn_tokenizer *t = vocab_must_open(v);
    pthread_t thread[N];
    for (int i = 0; i < N; i++) {
        shares[i] = (share){.t = t, .text = text};
        assert_int_equal(pthread_create(&thread[i], NULL, tokenize_often, &shares[i]), 0);
    }
    for (int i = 0; i < N; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < N; i++) {
        assert_true(shares[i].n > 100);
        assert_int_equal(shares[i].n, shares[0].n);
        assert_memory_equal(shares[i].ids, shares[0].ids, shares[0].n * sizeof(linn_token));
    }
    linn_tokenizer_free(t);
    vocab_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces),
        cmocka_unit_test(ties),
        cmocka_unit_test(pieces_across_words),
        cmocka_unit_test(bytes),
        cmocka_unit_test(merges_without_tokens),
        cmocka_unit_test(heap_is_right),
        cmocka_unit_test(special),
        cmocka_unit_test(overlaps),
        cmocka_unit_test(strip),
        cmocka_unit_test(no_way_in),
        cmocka_unit_test(added),
        cmocka_unit_test(capacity),
        cmocka_unit_test(long_runs),
        cmocka_unit_test(many_words),
        cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
