/* n-gram tables against counting by hand: what is in a table, what the drafter guesses; tables of
 * other tokenizers, damaged tables, sizes, memory that runs out. */
#include "test.h"
#include "alloc_fail.h"
#include "draft/ngram.h"
#include "kernels/math.h"
#include "kernels/noise.h"
#include "../tokenizer/vocab.h"

#include <sys/stat.h>

enum { VOCAB = 7, LENGTH = 1500, BIG_VOCAB = 400, BIG_LENGTH = 40000 };
static const char path[] = "/tmp/linn-test-draft.ngram";

static uint64_t random_state;
static uint32_t draw(uint32_t n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % n);
}

/* Each token depends on the two before it, with exceptions; a few -1 part the text. */
static void make_text(linn_token *text, int n, uint32_t n_vocab)
{
    for (int i = 0; i < n; i++) {
        uint32_t x = i > 1 ? (uint32_t)(3 * text[i - 1] + 5 * text[i - 2]) : 0;
        text[i] = (linn_token)(draw(3) ? x % n_vocab : draw(n_vocab));
        if (draw(100) == 0)
            text[i] = -1;
    }
}

static linn_ngram_settings everything(void)
{
    linn_ngram_settings s = linn_ngram_settings_default();
    s.max_bytes = 1 << 30;
    return s;
}

static linn_ngram *build_and_open(const linn_token *text, size_t n, linn_ngram_settings s)
{
    linn_ngram *g = NULL;
    linn_error err = {0};
    if (linn_ngram_build(path, NULL, text, n, &s, &err) != LINN_OK ||
        linn_ngram_open(&g, path, NULL, &err) != LINN_OK)
        fail_msg("%s", err.message);
    return g;
}

/* ---- counting by hand -------------------------------------------------------------------------
 */

typedef struct counts {
    uint32_t of[VOCAB];
    uint32_t total;
    linn_token order[VOCAB]; /* most frequent first, ties: lowest token */
} counts;

/* Whether the n tokens before place i are these (newest first). */
static bool follows(const linn_token *text, int i, const linn_token *newest_first, int n)
{
    if (text[i] < 0 || i < n)
        return false;
    for (int k = 0; k < n; k++)
        if (text[i - 1 - k] != newest_first[k])
            return false;
    return true;
}

static counts count(const linn_token *text, const linn_token *newest_first, int n)
{
    counts c = {0};
    for (int i = 0; i < LENGTH; i++)
        if (follows(text, i, newest_first, n)) {
            c.of[text[i]]++;
            c.total++;
        }
    for (int v = 0; v < VOCAB; v++) {
        int at = v;
        for (; at > 0 && c.of[c.order[at - 1]] < c.of[v]; at--)
            c.order[at] = c.order[at - 1];
        c.order[at] = v;
    }
    return c;
}

/* Whether the table should hold successor i of a context, going by the formula of the builder. */
static bool wanted(const counts *c, const counts *shorter, uint32_t min_count, int i)
{
    uint32_t n = c->of[c->order[i]];
    if (n < min_count)
        return false;
    double share = 0, favourite = 0;
    if (shorter && shorter->of[shorter->order[0]] >= min_count) {
        uint32_t m = shorter->of[c->order[i]];
        share = m >= min_count ? (double)m / shorter->total : 0;
        favourite = c->of[shorter->order[0]];
    }
    return n - 0.75 - c->total * share > 0 || (i == 0 && n - 0.75 - favourite > 0);
}

static void check_context(const linn_ngram *g, const linn_token *text, const linn_token *context,
                          int n, uint32_t min_count)
{
    counts c = count(text, context, n), shorter = count(text, context, n - 1);
    double total = 0;
    const uint32_t *word = linn_ngram_find(g, context, n, &total);
    uint32_t first = 0;
    for (int i = 0; i < VOCAB; i++) {
        if (!wanted(&c, n > 1 ? &shorter : NULL, min_count, i))
            continue;
        assert_non_null(word);
        assert_int_equal(linn_ngram_token(*word), c.order[i]);
        assert_int_equal(linn_ngram_code(linn_ngram_count(*word)),
                         linn_ngram_code(c.of[c.order[i]]));
        first = first ? first : c.of[c.order[i]];
        word = *word & LINN_NGRAM_LAST ? NULL : word + 1;
    }
    assert_null(word);
    if (first) {
        double root = 255 * __builtin_sqrt((double)first / c.total);
        uint64_t rounded = linn_ngram_count(linn_ngram_code(first) << LINN_NGRAM_TOKEN_BITS);
        double stored = 255 * __builtin_sqrt((double)rounded / total);
        assert_true(stored - root < 0.501 && root - stored < 0.501);
    }
}

static void contents(void **unused)
{
    (void)unused;
    static linn_token text[LENGTH];
    for (int round = 0; round < 6; round++) {
        linn_ngram_settings s = everything();
        s.order = 2 + round % 4;
        s.min_count = 1 + round % 3;
        make_text(text, LENGTH, VOCAB);
        linn_ngram *g = build_and_open(text, LENGTH, s);
        uint64_t n_text = 0, seen = 0;
        for (int i = 0; i < LENGTH; i++)
            n_text += text[i] >= 0;
        for (int n = 1; n <= LINN_NGRAM_CONTEXT; n++)
            for (int k = 0; k < 300; k++) {
                linn_token context[LINN_NGRAM_CONTEXT];
                int i = (int)draw(LENGTH - 5) + 5;
                bool parted = false;
                for (int back = 0; back < n; back++) {
                    context[back] = text[i - 1 - back];
                    parted |= context[back] < 0;
                }
                if (parted)
                    continue;
                if (n < s.order)
                    check_context(g, text, context, n, (uint32_t)s.min_count);
                else
                    assert_null(linn_ngram_find(g, context, n, &(double){0}));
            }
        linn_ngram_info info = linn_ngram_describe(g);
        assert_true(info.n_text == n_text && info.n_tokens == VOCAB && info.order == s.order);
        for (int n = 0; n < 4; n++)
            seen += info.n_contexts[n];
        assert_true(info.n_contexts[0] == VOCAB && info.n_successors > seen);
        linn_ngram_free(g);
    }
    unlink(path);
}

static void count_codes(void **unused)
{
    (void)unused;
    uint32_t before = 0;
    for (uint64_t n = 0; n < (uint64_t)1 << 38; n = n < 5000 ? n + 1 : n + n / 61) {
        uint32_t code = linn_ngram_code(n);
        uint64_t back = linn_ngram_count(code << LINN_NGRAM_TOKEN_BITS | LINN_NGRAM_LAST | 77);
        assert_true(code < 1u << LINN_NGRAM_CODE_BITS && code >= before);
        if (n <= (uint64_t)127 << 30)
            assert_true(back <= n && (n < 128 ? back == n : (double)(n - back) < (double)n / 64));
        before = code;
    }
}

/* ---- the drafter --------------------------------------------------------------------------------
 */

/* What it should guess, from ngram.h's formula written out for every token. */
static linn_token guess(const linn_ngram *g, const linn_token *newest_first, int known,
                        linn_choice choice, int position, double *confidence)
{
    double q[VOCAB] = {0};
    bool any = false, listed[VOCAB] = {false};
    for (int n = 1; n <= known; n++) {
        double total, here[VOCAB] = {0}, sum = 0, before = 0;
        bool in[VOCAB] = {false};
        const uint32_t *word = linn_ngram_find(g, newest_first, n, &total);
        if (!word)
            continue;
        for (;; word++) {
            linn_token v = linn_ngram_token(*word);
            here[v] = ((double)linn_ngram_count(*word) - 0.75) / total;
            sum += here[v];
            before += q[v];
            in[v] = listed[v] = any = true;
            if (*word & LINN_NGRAM_LAST)
                break;
        }
        for (int v = 0; v < VOCAB; v++)
            q[v] = in[v] ? here[v] : sum < 1 && before < 1 ? q[v] * (1 - sum) / (1 - before) : 0;
    }
    linn_token best = -1;
    double most = 0;
    for (int v = 0; v < VOCAB; v++) {
        double score = q[v];
        if (choice.temperature > 0 && q[v] > 0)
            score = linn_log64(q[v]) / (double)choice.temperature +
                    (double)linn_gumbel(choice.seed, position, v);
        if (listed[v] && q[v] > 0 && (best < 0 || score > most)) {
            best = v;
            most = score;
        }
    }
    *confidence = any ? q[best] : 0;
    return best;
}

static void guesses(void **unused)
{
    (void)unused;
    static linn_token text[LENGTH];
    enum { AHEAD = 5 };
    for (int round = 0; round < 8; round++) {
        linn_ngram_settings s = everything();
        s.min_count = 1 + round % 2;
        s.order = 2 + round % 4;
        make_text(text, LENGTH, VOCAB);
        linn_ngram *g = build_and_open(text, LENGTH, s);
        linn_drafter *d;
        assert_int_equal(linn_ngram_drafter_create(&d, g, LENGTH + 1, NULL), LINN_OK);
        linn_choice choice = {(float[]){0, 0.3f, 1, 2.5f}[round / 2], draw(1000)};
        d->restart(d, choice);
        linn_proposal p[AHEAD];
        assert_int_equal(d->propose(d, AHEAD, p), 0);
        for (int i = 0; i < LENGTH; i++) {
            d->push(d, text[i] < 0 ? VOCAB : text[i]); /* after a token it never saw: no guess */
            int n = d->propose(d, AHEAD, p);
            linn_token newest_first[LINN_NGRAM_CONTEXT];
            for (int k = 0; k < LINN_NGRAM_CONTEXT && k <= i; k++)
                newest_first[k] = text[i - k] < 0 ? VOCAB : text[i - k];
            double confidence;
            int known = i < LINN_NGRAM_CONTEXT ? i + 1 : LINN_NGRAM_CONTEXT;
            linn_token want = guess(g, newest_first, known, choice, i + 1, &confidence);
            assert_true((n > 0) == (want >= 0));
            if (n == 0)
                continue;
            assert_int_equal(p[0].token, want);
            assert_int_equal(p[0].source, LINN_SOURCE_NGRAM);
            assert_true(p[0].confidence - confidence < 1e-6 && confidence - p[0].confidence < 1e-6);
            /* the rest as if each guess had been pushed */
            for (int k = 1; k < n && i + k < LENGTH; k++) {
                linn_proposal next = {.token = -1};
                d->push(d, p[k - 1].token);
                assert_int_equal(d->propose(d, 1, &next), 1);
                assert_int_equal(next.token, p[k].token);
                assert_true(next.confidence >= p[k].confidence &&
                            next.confidence <= p[k].confidence);
            }
            d->roll_back(d, i + 1);
            d->commit(d, i + 1);
        }
        d->free(d);
        linn_ngram_free(g);
    }
    unlink(path);
}

/* ---- sizes
 * ----------------------------------------------------------------------------------------- */

static linn_token *make_big_text(void)
{
    linn_token *text = malloc(BIG_LENGTH * sizeof *text);
    assert_non_null(text);
    make_text(text, BIG_LENGTH, BIG_VOCAB);
    return text;
}

/* How many tokens of a text the table guesses. */
static int right(const linn_ngram *g, const linn_token *text)
{
    linn_drafter *d;
    int n = 0;
    assert_int_equal(linn_ngram_drafter_create(&d, g, BIG_LENGTH, NULL), LINN_OK);
    d->restart(d, (linn_choice){0});
    for (int i = 0; i < BIG_LENGTH; i++) {
        linn_proposal p = {.token = -2};
        d->propose(d, 1, &p);
        n += p.token == text[i];
        d->push(d, text[i] < 0 ? BIG_VOCAB : text[i]);
    }
    d->free(d);
    return n;
}

static bool report(void *user, double share)
{
    double *last = user;
    assert_true(share > *last && share <= 1);
    *last = share;
    return true;
}

static bool until_half(void *user, double share)
{
    (void)user;
    return share < 0.5;
}

static void sizes(void **unused)
{
    (void)unused;
    linn_token *text = make_big_text(), *other = make_big_text();
    int before = 0;
    for (uint64_t size = 4096; size <= 65536; size *= 4) {
        linn_ngram_settings s = everything();
        double done = 0;
        s.max_bytes = size;
        s.user = &done;
        s.on_progress = report;
        linn_ngram *g = build_and_open(text, BIG_LENGTH, s);
        struct stat st;
        stat(path, &st);
        printf("%lu %ld\n", size, (long)st.st_size);
        assert_true((uint64_t)st.st_size <= size && (uint64_t)st.st_size > size * 8 / 10);
        assert_true(done >= 1);
        int now = right(g, other);
        assert_true(now > before);
        before = now;
        linn_ngram_free(g);
    }
    unlink(path);
    linn_ngram_settings s = everything();
    s.on_progress = until_half;
    assert_int_equal(linn_ngram_build(path, NULL, text, BIG_LENGTH, &s, NULL), LINN_ECANCELLED);
    assert_int_not_equal(access(path, F_OK), 0);
    free(text);
    free(other);
}

static void empty(void **unused)
{
    (void)unused;
    static const linn_token nothing[] = {-1, 3, -1, 4, -1};
    for (size_t n = 0; n <= 5; n++) {
        linn_ngram *g = build_and_open(nothing, n, everything());
        linn_drafter *d;
        linn_proposal p;
        assert_int_equal(linn_ngram_drafter_create(&d, g, 4, NULL), LINN_OK);
        d->restart(d, (linn_choice){0});
        d->push(d, 3);
        assert_int_equal(d->propose(d, 1, &p), 0);
        assert_int_equal(linn_ngram_describe(g).n_successors, 0);
        d->free(d);
        linn_ngram_free(g);
    }
    unlink(path);
}

/* ---- files
 * -------------------------------------------------------------------------------------------- */

static uint8_t *read_file(size_t *size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    uint8_t *data = malloc(*size + 8);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *size, f), *size);
    fclose(f);
    return data;
}

static void refused(const uint8_t *data, size_t size)
{
    linn_ngram *g;
    linn_error err = {0};
    int rc = linn_ngram_parse(&g, data, size, "some.ngram", &err);
    assert_true(rc == LINN_EFORMAT || rc == LINN_EUNSUPPORTED);
    assert_true(g == NULL && err.code == rc && strstr(err.message, "some.ngram"));
}

/* Reads all lists, and looks things up. */
static void use(const linn_ngram *g)
{
    linn_ngram_info info = linn_ngram_describe(g);
    uint64_t n_contexts = 0;
    for (int i = 0; i < LINN_NGRAM_CONTEXT; i++)
        n_contexts += info.n_contexts[i];
    for (uint64_t i = 0; i < n_contexts; i++) {
        uint32_t what = g->contexts[i].what;
        for (uint32_t n = 0; !(what & LINN_NGRAM_LAST); n++) {
            uint32_t word = g->words[g->contexts[i].what + n];
            assert_true(n < LINN_NGRAM_SUCCESSORS && linn_ngram_token(word) < info.n_tokens);
            what = word;
        }
    }
    linn_drafter *d;
    linn_proposal p[8];
    assert_int_equal(linn_ngram_drafter_create(&d, g, 64, NULL), LINN_OK);
    for (int i = 0; i < 2; i++) {
        d->restart(d, (linn_choice){(float)i, 5});
        for (int k = 0; k < 20; k++) {
            d->propose(d, 8, p);
            d->push(d, (linn_token)draw(VOCAB));
        }
    }
    d->free(d);
}

/* One context with a list of n. */
static void long_lists(void **unused)
{
    (void)unused;
    for (uint32_t n = LINN_NGRAM_SUCCESSORS - 1; n <= LINN_NGRAM_SUCCESSORS + 1; n++) {
        struct {
            linn_ngram_header header;
            uint32_t buckets[2];
            linn_ngram_entry entry;
            uint32_t words[LINN_NGRAM_SUCCESSORS + 2];
        } m = {.header = {.magic = "linngram",
                          .version = LINN_NGRAM_VERSION,
                          .n_tokens = n,
                          .n_words = n,
                          .n_contexts = {1}},
               .buckets = {0, 1}};
        linn_token context = 1;
        m.entry.key = ((uint32_t)linn_ngram_hash(&context, 1) << 8) | 16;
        for (uint32_t i = 0; i < n; i++)
            m.words[i] = i | linn_ngram_code(1) << LINN_NGRAM_TOKEN_BITS |
                         (i + 1 == n ? LINN_NGRAM_LAST : 0);
        size_t size = offsetof(typeof(m), words) + n * sizeof *m.words;
        m.header.checksum = linn_ngram_checksum(&m, size);
        if (n > LINN_NGRAM_SUCCESSORS) {
            refused((const uint8_t *)&m, size);
            continue;
        }
        linn_ngram *g;
        assert_int_equal(linn_ngram_parse(&g, &m, size, "", NULL), LINN_OK);
        use(g);
        linn_ngram_free(g);
    }
}

static void damaged(void **unused)
{
    (void)unused;
    static linn_token text[LENGTH];
    make_text(text, LENGTH, VOCAB);
    linn_ngram_settings s = everything();
    s.min_count = 4;
    linn_ngram_free(build_and_open(text, LENGTH, s));
    size_t size;
    uint8_t *data = read_file(&size);
    linn_ngram *g;
    assert_int_equal(linn_ngram_parse(&g, data, size, "", NULL), LINN_OK);
    linn_ngram_free(g);
    for (size_t i = 0; i < size; i++) {
        data[i] ^= (uint8_t)(1 << i % 8);
        refused(data, size);
        data[i] ^= (uint8_t)(1 << i % 8);
        refused(data, i);
    }
    memset(data + size, 0, 8);
    refused(data, size + 4);
    /* damage that the checksum does not show */
    uint8_t *copy = malloc(size);
    linn_ngram_header *h = (linn_ngram_header *)copy;
    int opened = 0;
    for (int i = 0; i < 20000; i++) {
        memcpy(copy, data, size);
        for (uint32_t k = draw(3) + 1; k > 0; k--)
            copy[draw(3) ? draw((uint32_t)size) : draw(sizeof *h)] = (uint8_t)draw(256);
        memcpy(h->magic, LINN_NGRAM_MAGIC, 8);
        h->version = LINN_NGRAM_VERSION;
        h->checksum = linn_ngram_checksum(copy, size);
        if (linn_ngram_parse(&g, copy, size, "", NULL) == LINN_OK) {
            use(g);
            opened++;
            linn_ngram_free(g);
        }
    }
    assert_true(opened > 100 && opened < 19000);
    free(copy);
    free(data);
    unlink(path);
}

static void other_versions_and_files(void **unused)
{
    (void)unused;
    static linn_token text[LENGTH];
    make_text(text, LENGTH, VOCAB);
    linn_ngram *g = build_and_open(text, LENGTH, everything());
    linn_ngram_free(g);
    size_t size;
    linn_error err;
    uint8_t *data = read_file(&size);
    ((linn_ngram_header *)data)->version = 2;
    assert_int_equal(linn_ngram_parse(&g, data, size, "x", &err), LINN_EUNSUPPORTED);
    assert_non_null(strstr(err.message, "version 2"));
    assert_int_equal(linn_ngram_parse(&g, "GGUF....", 8, "x", &err), LINN_EFORMAT);
    assert_non_null(strstr(err.message, "not an n-gram table"));
    free(data);
    assert_int_equal(linn_ngram_open(&g, "/nonexistent/a.ngram", NULL, &err), LINN_EIO);
    assert_int_equal(linn_ngram_open(&g, "/tmp", NULL, &err), LINN_EIO);
    assert_int_equal(linn_ngram_open(&g, "/dev/null", NULL, &err), LINN_EIO);
    linn_ngram_settings s = everything();
    assert_int_equal(linn_ngram_build("/nonexistent/a", NULL, text, LENGTH, &s, &err), LINN_EIO);
    linn_ngram_free(NULL);
    unlink(path);
}

static void other_tokenizers(void **unused)
{
    (void)unused;
    vocab *v = vocab_bpe("gpt-2", "t h,th e");
    linn_tokenizer *own = vocab_must_open(v), *padded, *other, *small;
    vocab_free(v);
    v = vocab_bpe("gpt-2", "t h,th e,th i"); /* one more at the end */
    padded = vocab_must_open(v);
    vocab_free(v);
    v = vocab_bpe("gpt-2", "t h,th i");
    other = vocab_must_open(v);
    vocab_free(v);
    v = vocab_bpe("gpt-2", "t h");
    small = vocab_must_open(v);
    vocab_free(v);
    linn_token text[40];
    for (int i = 0; i < 40; i++)
        text[i] = i % 2 ? BPE_FIRST : BPE_FIRST + 1;
    linn_ngram_settings s = everything();
    linn_error err;
    linn_ngram *g;
    assert_int_equal(linn_ngram_build(path, own, text, 40, &s, &err), LINN_OK);
    assert_int_equal(linn_ngram_open(&g, path, own, &err), LINN_OK);
    linn_ngram_free(g);
    assert_int_equal(linn_ngram_open(&g, path, padded, &err), LINN_OK);
    linn_ngram_free(g);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(linn_ngram_open(&g, path, i ? other : small, &err), LINN_EINVAL);
        assert_null(g);
        assert_non_null(strstr(err.message, "another tokenizer"));
    }
    text[3] = BPE_FIRST + 2;
    assert_int_equal(linn_ngram_build(path, own, text, 40, &s, &err), LINN_EINVAL);
    /* a table of no tokenizer fits none */
    linn_ngram_free(build_and_open(text, 40, s));
    assert_int_equal(linn_ngram_open(&g, path, padded, &err), LINN_EINVAL);
    linn_tokenizer_free(own);
    linn_tokenizer_free(padded);
    linn_tokenizer_free(other);
    linn_tokenizer_free(small);
    unlink(path);
}

static void settings(void **unused)
{
    (void)unused;
    const linn_token text[] = {1, 2, 1, 2};
    linn_error err;
    linn_ngram_settings s = linn_ngram_settings_default();
    for (int i = 0; i < 6; i++) {
        linn_ngram_settings bad = s;
        bad.order = i == 0 ? 1 : i == 1 ? 6 : s.order;
        bad.min_count = i == 2 ? 0 : i == 3 ? -1 : s.min_count;
        bad.max_bytes = i == 4 ? 0 : i == 5 ? 1000 : s.max_bytes;
        assert_int_equal(linn_ngram_build(path, NULL, text, 4, &bad, &err), LINN_EINVAL);
    }
    assert_int_equal(linn_ngram_build(path, NULL, (const linn_token[]){1 << 20}, 1, &s, &err),
                     LINN_EINVAL);
    assert_int_equal(linn_ngram_build(path, NULL, (const linn_token[]){-2}, 1, &s, &err),
                     LINN_EINVAL);
    assert_int_not_equal(access(path, F_OK), 0);
    linn_drafter *d;
    assert_int_equal(linn_ngram_drafter_create(&d, NULL, 0, &err), LINN_EINVAL);
}

/* ---- memory
 * -------------------------------------------------------------------------------------------- */

static int build(void *text)
{
    linn_ngram_settings s = everything();
    return linn_ngram_build(path, NULL, text, LENGTH, &s, NULL);
}

static int open_table(void *unused)
{
    (void)unused;
    linn_ngram *g;
    int rc = linn_ngram_open(&g, path, NULL, NULL);
    linn_ngram_free(g);
    return rc;
}

static int make_drafter(void *table)
{
    linn_drafter *d;
    int rc = linn_ngram_drafter_create(&d, table, 10, NULL);
    if (rc == LINN_OK)
        d->free(d);
    return rc;
}

static void no_memory(void **unused)
{
    (void)unused;
    static linn_token text[LENGTH];
    make_text(text, LENGTH, VOCAB);
    assert_true(alloc_fail_each(build, text) > 6);
    assert_int_equal(alloc_fail_each(open_table, NULL), 2);
    linn_ngram *g;
    assert_int_equal(linn_ngram_open(&g, path, NULL, NULL), LINN_OK);
    assert_int_equal(alloc_fail_each(make_drafter, g), 2);
    size_t before = alloc_fail_count();
    use(g);
    assert_int_equal(alloc_fail_count(), before + 2); /* for the drafter itself */
    linn_ngram_free(g);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contents),
        cmocka_unit_test(count_codes),
        cmocka_unit_test(guesses),
        cmocka_unit_test(sizes),
        cmocka_unit_test(empty),
        cmocka_unit_test(long_lists),
        cmocka_unit_test(damaged),
        cmocka_unit_test(other_versions_and_files),
        cmocka_unit_test(other_tokenizers),
        cmocka_unit_test(settings),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
