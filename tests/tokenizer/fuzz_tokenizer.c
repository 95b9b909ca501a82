/* fuzz_tokenizer.c - any vocabulary and any text: reading a vocabulary never leaves the file,
 * what comes out are ids of tokens, and these give the text back.
 *
 * The first byte says what the others are:
 *   'g'  a GGUF file, whose vocabulary is read and tried on a text of ours
 *   'i'  ids of a SentencePiece vocabulary of ours, two bytes each: their text is UTF-8
 *   's' 'b'  a vocabulary (SentencePiece or byte-level) and a text, in the form that
 *        read_vocab below takes; bytes that are not there count as 0
 */
#include "test.h"
#include "vocab.h"

#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int good)
{
    if (!good)
        abort();
}

/* ---- properties ---------------------------------------------------------------------------------
 */

/* Through a stream: only whole characters come. */
static void decode(const linn_tokenizer *t, const linn_token *ids, size_t n, bool special)
{
    linn_text_stream s = {.special = special};
    size_t length;
    for (size_t i = 0; i <= n; i++) {
        const char *text =
            i < n ? linn_text_next(&s, t, ids[i], &length) : linn_text_finish(&s, &length);
        must(length <= sizeof s.text && linn_utf8_check(text, length) == length);
    }
}

/* The bytes of the tokens, one after the other, are the text; `mark`: but for U+2581, which comes
 * back as a blank. */
static void compare(const linn_tokenizer *t, const linn_token *ids, size_t n, const char *text,
                    size_t length, bool mark)
{
    size_t at = 0, size;
    for (size_t i = 0; i < n; i++) {
        const char *bytes = linn_token_bytes(t, ids[i], true, &size);
        for (size_t j = 0; j < size; j++) {
            must(at < length);
            if (mark && bytes[j] == ' ' && length - at >= 3 &&
                memcmp(text + at, "\xe2\x96\x81", 3) == 0)
                at += 3;
            else
                must(bytes[j] == text[at++]);
        }
    }
    must(at == length);
}

static void encode(const linn_tokenizer *t, const char *text, size_t length, unsigned flags,
                   bool exact, bool mark)
{
    size_t n, again;
    int code = linn_tokenize(t, text, length, flags, NULL, 0, &n, NULL);
    if (linn_utf8_check(text, length) < length) {
        must(code == LINN_EINVAL && n == 0);
        return;
    }
    must(code == LINN_OK || code == LINN_EUNSUPPORTED);
    if (code != LINN_OK)
        return;
    linn_token *ids = malloc((n + 1) * sizeof *ids);
    must(ids != NULL);
    ids[n] = -77;
    must(linn_tokenize(t, text, length, flags, ids, n, &again, NULL) == LINN_OK && again == n);
    must(ids[n] == -77);
    for (size_t i = 0; i < n; i++)
        must(ids[i] >= 0 && ids[i] < linn_tokenizer_size(t));
    decode(t, ids, n, true);
    decode(t, ids, n, false);
    if (exact && !(flags & LINN_TOKENIZE_BOS))
        compare(t, ids, n, text, length, mark);
    free(ids);
}

/* ---- inputs
 * --------------------------------------------------------------------------------------- */

typedef struct input {
    const uint8_t *data;
    size_t size;
} input;

static uint8_t take(input *in)
{
    if (in->size == 0)
        return 0;
    in->size--;
    return *in->data++;
}

static linn_string take_text(input *in, size_t length)
{
    linn_string s = {(const char *)in->data, length < in->size ? length : in->size};
    in->data += s.length;
    in->size -= s.length;
    return s;
}

enum { MAX_TOKENS = 64, MAX_MERGES = 64 };

/* flags: 1 no unknown token, 2 no blank in front, 4 add begin, 8 add end, 16 Phi-3, 32 no types,
 * 64 flags for the text: begin, 128: special. Pre-tokenizer (BPE). Number of tokens; of each:
 * length, type, score, bytes. BPE: number of merges, of each: length, bytes. The rest: text. */
static void read_vocab(input *in, bool spm)
{
    static const char *const pre[] = {"default", "gpt-2",        "llama-bpe",      "qwen2",
                                      "smollm",  "deepseek-llm", "deepseek-coder", "starcoder"};
    linn_string tokens[MAX_TOKENS], merges[MAX_MERGES];
    int32_t types[MAX_TOKENS];
    float scores[MAX_TOKENS];
    vocab v = vocab_none();
    uint8_t flags = take(in);
    v.model = spm ? "llama" : "gpt2";
    v.pre = pre[take(in) % 8];
    v.n_tokens = v.n_types = v.n_scores = take(in) % MAX_TOKENS;
    for (size_t i = 0; i < v.n_tokens; i++) {
        size_t length = take(in);
        types[i] = take(in) % 8;
        scores[i] = (float)(int8_t)take(in);
        tokens[i] = take_text(in, length);
    }
    v.n_merges = spm ? 0 : take(in) % MAX_MERGES;
    for (size_t i = 0; i < v.n_merges; i++)
        merges[i] = take_text(in, take(in));
    v.tokens = tokens;
    v.types = flags & 32 ? NULL : types;
    v.scores = scores;
    v.merges = merges;
    v.unknown = flags & 1 ? -1 : VOCAB_ABSENT;
    v.add_space = flags & 2 ? 0 : VOCAB_ABSENT;
    v.add_bos = flags & 4 ? 1 : VOCAB_ABSENT;
    v.add_eos = flags & 8 ? 1 : VOCAB_ABSENT;
    v.name = flags & 16 ? "phi-3" : NULL;
    linn_tokenizer *t;
    linn_error err = {0};
    int code = vocab_open(&v, &t, &err);
    must((code == LINN_OK) == (t != NULL) && (code == LINN_OK || err.message[0]));
    if (!t)
        return;
    /* without an unknown token, bytes are in the ids or the text is refused */
    bool no_unknown = spm ? flags & 1 : true;
    bool exact = no_unknown && !(flags & 16) && (!spm || flags & 2);
    encode(t, (const char *)in->data, in->size, flags >> 6, exact, spm);
    must(linn_tokenizer_matches(t, t));
    linn_tokenizer_free(t);
}

static void read_file(const input *in)
{
    linn_file *f;
    linn_tokenizer *t;
    if (linn_file_parse(&f, in->data, in->size, "fuzz", NULL) != LINN_OK)
        return;
    if (linn_tokenizer_create(&t, f, NULL) == LINN_OK) {
        const char *text = "A text, the 12th: \xc3\xa9\n  <s>x</s>";
        encode(t, text, strlen(text), LINN_TOKENIZE_SPECIAL | LINN_TOKENIZE_BOS, false, false);
        const linn_chat_message m[] = {{"system", "S"}, {"user", "U"}};
        char out[64];
        size_t n;
        int code = linn_chat_format(t, m, 2, out, sizeof out, &n, NULL);
        must((code == LINN_OK) == (linn_chat_template_name(t) != NULL));
        linn_tokenizer_free(t);
    }
    linn_file_close(f);
}

static void read_ids(input *in)
{
    static linn_tokenizer *t;
    static linn_token ids[4096];
    if (!t) {
        vocab *v = vocab_spm("_ a b _a __");
        vocab_add(v, "\xe2\x82", 4);
        vocab_add(v, "\x82\xac\xf0", 4);
        must(vocab_open(v, &t, NULL) == LINN_OK);
        vocab_free(v);
    }
    size_t n = 0;
    while (in->size > 0 && n < 4096) {
        int32_t high = take(in);
        ids[n++] = (high << 8 | take(in)) % 300 - 1;
    }
    decode(t, ids, n, true);
    decode(t, ids, n, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input in = {data, size};
    switch (take(&in)) {
    case 'g':
        read_file(&in);
        break;
    case 'i':
        read_ids(&in);
        break;
    case 's':
        read_vocab(&in, true);
        break;
    case 'b':
        read_vocab(&in, false);
        break;
    }
    return 0;
}
