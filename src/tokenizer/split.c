/* split.c - see split.h.
 *
 * Notes on the patterns. White space is what Unicode calls White_Space, spelled out, since \s of
 * PCRE2 has one more (U+180E) and \s of other engines one less (U+0085). Trailing blanks of a
 * piece are found from the left by a look behind, so that a long run of blanks inside a line is
 * not tried from each of its places. The ranges of the deepseek patterns leave out the white space
 * that lies in them (U+3000 and others), which llama.cpp does not find there either.
 */
#include "tokenizer/split.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define SPACE "\\t-\\r\\x{85}\\p{Z}" /* to stand in a class */

#define GPT2_WORDS                                                                    \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^" SPACE "\\p{L}\\p{N}]+|[" SPACE \
    "]+(?![^" SPACE "])|[" SPACE "]+"

/* The same thing with numbers of up to `digits` digits. */
#define LLAMA3_WORDS(digits)                                                                 \
    "'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" digits \
    "| ?[^" SPACE "\\p{L}\\p{N}]+[\\r\\n]*|[" SPACE "]*[\\r\\n]+|[" SPACE "]+(?![^" SPACE    \
    "])|[" SPACE "]+"

#define CJK                                                                        \
    "[\\x{800}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}" \
    "\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{9fa5}\\x{ac00}-\\x{d7ff}]+"

/* Letters with case, as they were when DeepSeek LLM was trained. */
#define DEEPSEEK_LETTERS                                                                     \
    "A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}\\x{1c4}-"  \
    "\\x{293}\\x{295}-\\x{2af}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}\\x{37f}"    \
    "\\x{386}\\x{388}-\\x{38a}\\x{38c}\\x{38e}-\\x{3a1}\\x{3a3}-\\x{3f5}\\x{3f7}-\\x{481}"   \
    "\\x{48a}-\\x{52f}\\x{531}-\\x{556}\\x{10a0}-\\x{10c5}\\x{13a0}-\\x{13f5}\\x{13f8}-"     \
    "\\x{13fd}\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}\\x{1d00}-\\x{1d2b}\\x{1d6b}-\\x{1d77}"  \
    "\\x{1d79}-\\x{1d9a}\\x{1e00}-\\x{1f15}\\x{1f18}-\\x{1f1d}\\x{1f20}-\\x{1f45}\\x{1f48}-" \
    "\\x{1f4d}\\x{1f50}-\\x{1f57}\\x{1f59}\\x{1f5b}\\x{1f5d}\\x{1f5f}-\\x{1f7d}\\x{1f80}-"   \
    "\\x{1fb4}\\x{1fb6}-\\x{1fbc}\\x{1fbe}\\x{1fc2}-\\x{1fc4}\\x{1fc6}-\\x{1fcc}\\x{1fd0}-"  \
    "\\x{1fd3}\\x{1fd6}-\\x{1fdb}\\x{1fe0}-\\x{1fec}\\x{1ff2}-\\x{1ff4}\\x{1ff6}-\\x{1ffc}"  \
    "\\x{2102}\\x{2107}\\x{210a}-\\x{2113}\\x{2115}\\x{2119}-\\x{211d}\\x{2124}\\x{2126}"    \
    "\\x{2128}\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}\\x{2139}\\x{213c}-\\x{213f}\\x{2145}-"  \
    "\\x{2149}\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}\\x{2ceb}-"   \
    "\\x{2cee}\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}\\x{a722}-\\x{a76f}"   \
    "\\x{a771}-\\x{a787}\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}\\x{fb00}-\\x{fb06}\\x{fb13}-" \
    "\\x{fb17}\\x{ff21}-\\x{ff3a}\\x{ff41}-\\x{ff5a}\\x{10400}-\\x{1044f}\\x{104b0}-"        \
    "\\x{104d3}\\x{104d8}-\\x{104fb}\\x{10c80}-\\x{10cb2}\\x{10cc0}-\\x{10cf2}\\x{118a0}-"   \
    "\\x{118df}\\x{1e900}-\\x{1e943}"

enum { MAX_PATTERNS = 6 };

typedef struct pre_tokenizer {
    const char *name;
    const char *patterns[MAX_PATTERNS + 1]; /* ends with NULL */
    linn_splitter_rules rules;
} pre_tokenizer;

static const pre_tokenizer known[] = {
    {"default",
     {"[\\p{P}$+<=>^~|]+", GPT2_WORDS, "\\p{N}+", "[0-9][0-9][0-9]", NULL},
     {false, false}},
    {"gpt-2", {GPT2_WORDS, NULL}, {false, false}},
    {"llama-bpe", {LLAMA3_WORDS("{1,3}"), NULL}, {true, true}},
    {"qwen2", {LLAMA3_WORDS(""), NULL}, {false, false}},
    {"smollm", {"\\p{N}", GPT2_WORDS, NULL}, {false, false}},
    {"deepseek-llm",
     {"[\\r\\n]", "[" SPACE "]?[" DEEPSEEK_LETTERS "]+",
      "[" SPACE "]?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}"
      "\\x{3001}\\x{3002}]+",
      "(?<![" SPACE "])[" SPACE "]++\\z", CJK, "\\p{N}+", NULL},
     {false, false}},
    {"deepseek-coder",
     {"[\\r\\n]", "[" SPACE "]?\\p{L}+", "[" SPACE "]?\\p{P}+", CJK, "\\p{N}", NULL},
     {false, false}},
    {"starcoder", {"\\p{N}", GPT2_WORDS, NULL}, {false, false}},
};

/* Other names for the same rules. */
static const struct {
    const char *name, *same;
} aliases[] = {
    {"llama3", "llama-bpe"},
    {"llama-v3", "llama-bpe"},
    {"falcon3", "llama-bpe"},
    {"deepseek-r1-qwen", "qwen2"},
};

enum { N_KNOWN = sizeof known / sizeof known[0], N_ALIASES = sizeof aliases / sizeof aliases[0] };

struct linn_splitter {
    pcre2_general_context *memory;
    pcre2_match_context *limits;
    pcre2_code *codes[MAX_PATTERNS + 1]; /* ends with NULL */
};

/* ---- making ----------------------------------------------------------------------------- */

static bool same_name(const char *name, const char *text, size_t length)
{
    return strlen(name) == length && memcmp(name, text, length) == 0;
}

static const pre_tokenizer *find(const char *name, size_t length)
{
    for (size_t i = 0; i < N_ALIASES; i++)
        if (same_name(aliases[i].name, name, length))
            return find(aliases[i].same, strlen(aliases[i].same));
    for (size_t i = 0; i < N_KNOWN; i++)
        if (same_name(known[i].name, name, length))
            return &known[i];
    return NULL;
}

static int refuse(const char *name, size_t length, const char *where, linn_error *err)
{
    char list[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < N_KNOWN; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s",
                                 i == 0            ? ""
                                 : i + 1 < N_KNOWN ? ", "
                                                   : " and ",
                                 known[i].name);
    return linn_fail(err, LINN_EUNSUPPORTED,
                     "%s: the pre-tokenizer '%.*s' (tokenizer.ggml.pre) is not supported; linn has "
                     "%s",
                     where, (int)(length < 60 ? length : 60), name, list);
}

/* PCRE2's memory comes through here. While compiling, a failure to get some is noted in *failed,
 * since just-in-time compilation may also fail for other reasons, which do no harm. */
static void *take(size_t size, void *failed)
{
    void *p = malloc(size);
    if (!p && failed)
        *(bool *)failed = true;
    return p;
}

static void give_back(void *p, void *failed)
{
    (void)failed;
    free(p);
}

static bool compile(const char *const *patterns, pcre2_code **codes)
{
    bool failed = false;
    pcre2_general_context *memory = pcre2_general_context_create(take, give_back, &failed);
    pcre2_compile_context *context = memory ? pcre2_compile_context_create(memory) : NULL;
    for (size_t i = 0; context && !failed && patterns[i]; i++) {
        int error;
        PCRE2_SIZE at;
        codes[i] = pcre2_compile((PCRE2_SPTR)patterns[i], PCRE2_ZERO_TERMINATED,
                                 PCRE2_UTF | PCRE2_UCP, &error, &at, context);
        /* Without compiled code (not built in, or forbidden) the interpreter gives the same. */
        if (codes[i])
            pcre2_jit_compile(codes[i], PCRE2_JIT_COMPLETE);
        else
            failed = true;
    }
    bool good = context && !failed;
    pcre2_compile_context_free(context);
    pcre2_general_context_free(memory);
    return good;
}

int linn_splitter_create(linn_splitter **out, const char *name, size_t length, const char *where,
                         linn_splitter_rules *rules, linn_error *err)
{
    *out = NULL;
    const pre_tokenizer *p = find(name, length);
    if (!p)
        return refuse(name, length, where, err);
    *rules = p->rules;
    linn_splitter *s = linn_alloc(1, sizeof *s);
    if (!s)
        goto fail;
    s->memory = pcre2_general_context_create(take, give_back, NULL);
    s->limits = s->memory ? pcre2_match_context_create(s->memory) : NULL;
    if (!s->limits)
        goto fail;
    /* The patterns take time in proportion to the text; the default limit is for those that
     * might not, and would stop at long runs of blanks. */
    pcre2_set_match_limit(s->limits, UINT32_MAX);
    if (!compile(p->patterns, s->codes))
        goto fail;
    *out = s;
    return LINN_OK;
fail:
    linn_splitter_free(s);
    return linn_fail(err, LINN_ENOMEM, "%s: out of memory for the pre-tokenizer", where);
}

void linn_splitter_free(linn_splitter *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < MAX_PATTERNS; i++)
        pcre2_code_free(s->codes[i]);
    pcre2_match_context_free(s->limits);
    pcre2_general_context_free(s->memory);
    free(s);
}

/* ---- running ---------------------------------------------------------------------------- */

void *linn_splitter_match_data(const linn_splitter *s)
{
    return pcre2_match_data_create(1, s->memory);
}

void linn_splitter_match_data_free(void *match_data)
{
    pcre2_match_data_free(match_data);
}

typedef struct run {
    const linn_splitter *s;
    pcre2_match_data *match_data;
    linn_word_fn word;
    void *arg;
    linn_error *err;
} run;

/* Cuts a piece by the patterns from `codes` on. */
static int cut(const run *r, pcre2_code *const *codes, const char *text, size_t length)
{
    if (!*codes)
        return r->word(r->arg, text, length);
    size_t at = 0;
    while (at < length) {
        size_t begin = length, end = length;
        int n = pcre2_match(*codes, (PCRE2_SPTR)text, length, at, PCRE2_NO_UTF_CHECK, r->match_data,
                            r->s->limits);
        if (n < 0 && n != PCRE2_ERROR_NOMATCH)
            return linn_fail(r->err, n == PCRE2_ERROR_NOMEMORY ? LINN_ENOMEM : LINN_EUNSUPPORTED,
                             "cutting text into words failed (PCRE2 error %d)", n);
        if (n > 0) {
            begin = pcre2_get_ovector_pointer(r->match_data)[0];
            end = pcre2_get_ovector_pointer(r->match_data)[1];
        }
        int code = begin > at ? cut(r, codes + 1, text + at, begin - at) : LINN_OK;
        if (code == LINN_OK && end > begin)
            code = cut(r, codes + 1, text + begin, end - begin);
        if (code != LINN_OK)
            return code;
        at = end;
    }
    return LINN_OK;
}

int linn_splitter_run(const linn_splitter *s, void *match_data, const char *text, size_t length,
                      linn_word_fn word, void *arg, linn_error *err)
{
    run r = {s, match_data, word, arg, err};
    return cut(&r, s->codes, text, length);
}
