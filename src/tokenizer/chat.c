/* chat.c - conversations as the common chat templates write them.
 *
 * Files bring their template as a Jinja program. linn does not run it: it recognises the usual
 * ones by words that stand in them and writes what they would, as llama.cpp does. The begin token
 * is left out, since tokenizing adds it.
 */
#include "tokenizer/vocab.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

#define END "<｜end▁of▁sentence｜>" /* of DeepSeek, with full-width bars and low blocks */

typedef struct turn {
    const char *before, *after; /* what stands around the content */
} turn;

typedef enum form {
    FORM_PLAIN,  /* turns, then `answer` */
    FORM_EOS,    /* the same, with the end token of the file after the content */
    FORM_LLAMA2, /* system, user and answer in one [INST] pair */
    FORM_MISTRAL,
    FORM_GEMMA, /* no system turn: it opens the user's */
} form;

struct linn_chat_style {
    const char *name;
    form form;
    turn system, user, assistant;
    const char *answer; /* where the assistant speaks */
    bool trim;          /* contents lose the white space around them */
};

enum {
    CHATML,
    PHI3,
    PHI4,
    LLAMA2,
    LLAMA2_SYS,
    LLAMA2_SYS_BOS,
    LLAMA2_SYS_STRIP,
    LLAMA3,
    MISTRAL_V1,
    MISTRAL_V3,
    MISTRAL_V3_TEKKEN,
    MISTRAL_V7,
    MISTRAL_V7_TEKKEN,
    VICUNA,
    VICUNA_ORCA,
    ZEPHYR,
    ZEPHYR_EOS,
    GEMMA,
    DEEPSEEK,
    DEEPSEEK2,
    DEEPSEEK3,
};

/* In the two forms with [INST], `user` is the pair around a turn of the user, what the system has
 * said before included; `system` stands within it. */
static const linn_chat_style styles[] = {
    [CHATML] = {"chatml",
                FORM_PLAIN,
                {"<|im_start|>system\n", "<|im_end|>\n"},
                {"<|im_start|>user\n", "<|im_end|>\n"},
                {"<|im_start|>assistant\n", "<|im_end|>\n"},
                "<|im_start|>assistant\n",
                false},
    [PHI3] = {"phi3",
              FORM_PLAIN,
              {"<|system|>\n", "<|end|>\n"},
              {"<|user|>\n", "<|end|>\n"},
              {"<|assistant|>\n", "<|end|>\n"},
              "<|assistant|>\n",
              false},
    [PHI4] = {"phi4",
              FORM_PLAIN,
              {"<|im_start|>system<|im_sep|>", "<|im_end|>"},
              {"<|im_start|>user<|im_sep|>", "<|im_end|>"},
              {"<|im_start|>assistant<|im_sep|>", "<|im_end|>"},
              "<|im_start|>assistant<|im_sep|>",
              false},
    [LLAMA2] =
        {"llama2", FORM_LLAMA2, {"", "\n"}, {"[INST] ", " [/INST]"}, {"", "</s>"}, "", false},
    [LLAMA2_SYS] = {"llama2-sys",
                    FORM_LLAMA2,
                    {"<<SYS>>\n", "\n<</SYS>>\n\n"},
                    {"[INST] ", " [/INST]"},
                    {"", "</s>"},
                    "",
                    false},
    [LLAMA2_SYS_BOS] = {"llama2-sys-bos",
                        FORM_LLAMA2,
                        {"<<SYS>>\n", "\n<</SYS>>\n\n"},
                        {"<s>[INST] ", " [/INST]"},
                        {"", "</s>"},
                        "",
                        false},
    [LLAMA2_SYS_STRIP] = {"llama2-sys-strip",
                          FORM_LLAMA2,
                          {"<<SYS>>\n", "\n<</SYS>>\n\n"},
                          {"[INST] ", " [/INST]"},
                          {"", "</s>"},
                          "",
                          true},
    [LLAMA3] = {"llama3",
                FORM_PLAIN,
                {"<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>"},
                {"<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"},
                {"<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>"},
                "<|start_header_id|>assistant<|end_header_id|>\n\n",
                true},
    [MISTRAL_V1] = {"mistral-v1",
                    FORM_MISTRAL,
                    {"", "\n\n"},
                    {" [INST] ", " [/INST]"},
                    {" ", "</s>"},
                    "",
                    false},
    [MISTRAL_V3] =
        {"mistral-v3", FORM_MISTRAL, {"", "\n\n"}, {"[INST] ", "[/INST]"}, {" ", "</s>"}, "", true},
    [MISTRAL_V3_TEKKEN] = {"mistral-v3-tekken",
                           FORM_MISTRAL,
                           {"", "\n\n"},
                           {"[INST]", "[/INST]"},
                           {"", "</s>"},
                           "",
                           false},
    [MISTRAL_V7] = {"mistral-v7",
                    FORM_PLAIN,
                    {"[SYSTEM_PROMPT] ", "[/SYSTEM_PROMPT]"},
                    {"[INST] ", "[/INST]"},
                    {" ", "</s>"},
                    "",
                    false},
    [MISTRAL_V7_TEKKEN] = {"mistral-v7-tekken",
                           FORM_PLAIN,
                           {"[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"},
                           {"[INST]", "[/INST]"},
                           {"", "</s>"},
                           "",
                           false},
    [VICUNA] = {"vicuna",
                FORM_PLAIN,
                {"", "\n\n"},
                {"USER: ", "\n"},
                {"ASSISTANT: ", "</s>\n"},
                "ASSISTANT:",
                false},
    [VICUNA_ORCA] = {"vicuna-orca",
                     FORM_PLAIN,
                     {"SYSTEM: ", "\n"},
                     {"USER: ", "\n"},
                     {"ASSISTANT: ", "</s>\n"},
                     "ASSISTANT:",
                     false},
    [ZEPHYR] = {"zephyr",
                FORM_PLAIN,
                {"<|system|>\n", "<|endoftext|>\n"},
                {"<|user|>\n", "<|endoftext|>\n"},
                {"<|assistant|>\n", "<|endoftext|>\n"},
                "<|assistant|>\n",
                false},
    [ZEPHYR_EOS] = {"zephyr",
                    FORM_EOS,
                    {"<|system|>\n", "\n"},
                    {"<|user|>\n", "\n"},
                    {"<|assistant|>\n", "\n"},
                    "<|assistant|>\n",
                    false},
    [GEMMA] = {"gemma",
               FORM_GEMMA,
               {"", "\n\n"},
               {"<start_of_turn>user\n", "<end_of_turn>\n"},
               {"<start_of_turn>model\n", "<end_of_turn>\n"},
               "<start_of_turn>model\n",
               true},
    [DEEPSEEK] = {"deepseek",
                  FORM_PLAIN,
                  {"", ""},
                  {"### Instruction:\n", "\n"},
                  {"### Response:\n", "\n<|EOT|>\n"},
                  "### Response:\n",
                  false},
    [DEEPSEEK2] = {"deepseek2",
                   FORM_PLAIN,
                   {"", "\n\n"},
                   {"User: ", "\n\n"},
                   {"Assistant: ", END},
                   "Assistant:",
                   false},
    [DEEPSEEK3] = {"deepseek3",
                   FORM_PLAIN,
                   {"", "\n\n"},
                   {"<｜User｜>", ""},
                   {"<｜Assistant｜>", END},
                   "<｜Assistant｜>",
                   false},
};

/* ---- recognising ------------------------------------------------------------------------------
 */

static bool has(const linn_string *s, const char *word)
{
    return memmem(s->data, s->length, word, strlen(word)) != NULL;
}

static int with_inst(const linn_string *s)
{
    if (has(s, "[SYSTEM_PROMPT]"))
        return has(s, "[SYSTEM_PROMPT] ") ? MISTRAL_V7 : MISTRAL_V7_TEKKEN;
    if (has(s, "' [INST] ' + system_message") || has(s, "[AVAILABLE_TOOLS]")) {
        if (has(s, " [INST]"))
            return MISTRAL_V1;
        return has(s, "\"[INST]\"") ? MISTRAL_V3_TEKKEN : MISTRAL_V3;
    }
    if (has(s, "content.strip()"))
        return LLAMA2_SYS_STRIP;
    if (has(s, "bos_token + '[INST]"))
        return LLAMA2_SYS_BOS;
    return has(s, "<<SYS>>") ? LLAMA2_SYS : LLAMA2;
}

/* Index of a style, or -1. The order matters: some words stand in more than one template. */
static int recognise(const linn_string *s)
{
    if (has(s, "<|im_start|>")) {
        if (has(s, "<end_of_utterance>"))
            return -1; /* SmolVLM uses it for something else */
        return has(s, "<|im_sep|>") ? PHI4 : CHATML;
    }
    if (has(s, "[INST]"))
        return with_inst(s);
    if (has(s, "<|assistant|>") && has(s, "<|end|>"))
        return PHI3;
    if (has(s, "'<|user|>\\n' + message['content'] + eos_token"))
        return ZEPHYR_EOS;
    if (has(s, "[gMASK]"))
        return -1;
    if (has(s, "<|user|>") && has(s, "<|endoftext|>"))
        return ZEPHYR;
    if (has(s, "<start_of_turn>"))
        return GEMMA;
    if (has(s, "USER: ") && has(s, "ASSISTANT: "))
        return has(s, "SYSTEM: ") ? VICUNA_ORCA : VICUNA;
    if (has(s, "### Instruction:") && has(s, "<|EOT|>"))
        return DEEPSEEK;
    if (has(s, "<|start_header_id|>") && has(s, "<|end_header_id|>"))
        return LLAMA3;
    if (has(s, "'Assistant: ' + message['content'] + eos_token"))
        return DEEPSEEK2;
    if (has(s, "<｜Assistant｜>") && has(s, "<｜User｜>") && has(s, END))
        return DEEPSEEK3;
    return -1;
}

int linn_chat_read(linn_chat *chat, const linn_file *f, linn_error *err)
{
    linn_string text = {"", 0};
    int code = linn_file_maybe_string(f, "tokenizer.chat_template", &text, err);
    if (code != LINN_OK)
        return code;
    int style = recognise(&text);
    chat->style = style >= 0 ? &styles[style] : NULL;
    snprintf(chat->start, sizeof chat->start, "%.*s",
             (int)(text.length < sizeof chat->start ? text.length : sizeof chat->start), text.data);
    return LINN_OK;
}

const char *linn_chat_template_name(const linn_tokenizer *t)
{
    return t->chat.style ? t->chat.style->name : NULL;
}

/* ---- writing ----------------------------------------------------------------------------------
 */

typedef struct writer {
    char *out;
    size_t capacity, n;
} writer;

static void put(writer *w, const char *text, size_t length)
{
    if (w->n < w->capacity) {
        size_t room = w->capacity - w->n;
        memcpy(w->out + w->n, text, length < room ? length : room);
    }
    w->n += length;
}

static void put_word(writer *w, const char *word)
{
    put(w, word, strlen(word));
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void put_content(writer *w, const char *text, bool trim)
{
    size_t length = strlen(text);
    while (trim && length > 0 && is_blank(*text)) {
        text++;
        length--;
    }
    while (trim && length > 0 && is_blank(text[length - 1]))
        length--;
    put(w, text, length);
}

typedef enum role { SYSTEM, USER, ASSISTANT, NO_ROLE } role;

static role role_of(const linn_chat_message *m)
{
    static const char *const names[] = {"system", "user", "assistant"};
    for (int i = 0; i < 3; i++)
        if (strcmp(m->role, names[i]) == 0)
            return (role)i;
    return NO_ROLE;
}

static void write_turns(writer *w, const linn_chat_style *style, const linn_string *eos,
                        const linn_chat_message *messages, size_t n)
{
    const turn *turns[] = {&style->system, &style->user, &style->assistant};
    for (size_t i = 0; i < n; i++) {
        const turn *around = turns[role_of(&messages[i])];
        put_word(w, around->before);
        put_content(w, messages[i].content, style->trim);
        if (style->form == FORM_EOS)
            put(w, eos->data, eos->length);
        put_word(w, around->after);
    }
}

/* Llama 2 and Mistral: whoever speaks first opens a pair of [INST], the assistant's turn ends
 * it. Llama 2 opens one before all else, and begins its first without the begin token; Mistral v3
 * trims what the assistant said and nothing else. */
static void write_inst(writer *w, const linn_chat_style *style, const linn_chat_message *messages,
                       size_t n)
{
    bool llama = style->form == FORM_LLAMA2, open = false;
    for (size_t i = 0; i < n; i++) {
        role who = role_of(&messages[i]);
        const char *content = messages[i].content;
        if (!open)
            put_word(w, llama && i == 0 ? "[INST] " : style->user.before);
        open = who != ASSISTANT;
        if (who == SYSTEM) {
            put_word(w, style->system.before);
            put_content(w, content, llama && style->trim);
            put_word(w, style->system.after);
        } else if (who == USER) {
            put_content(w, content, llama && style->trim);
            put_word(w, style->user.after);
        } else {
            put_word(w, style->assistant.before);
            put_content(w, content, style->trim);
            put_word(w, style->assistant.after);
        }
    }
}

static void write_gemma(writer *w, const linn_chat_style *style, const linn_chat_message *messages,
                        size_t n)
{
    size_t told = 0; /* system messages before this one are written */
    for (size_t i = 0; i < n; i++) {
        role who = role_of(&messages[i]);
        if (who == SYSTEM)
            continue;
        put_word(w, who == USER ? style->user.before : style->assistant.before);
        size_t before = w->n;
        for (; who == USER && told < i; told++)
            if (role_of(&messages[told]) == SYSTEM)
                put_content(w, messages[told].content, true);
        if (w->n > before)
            put_word(w, style->system.after);
        put_content(w, messages[i].content, true);
        put_word(w, style->user.after);
    }
}

static int check(const linn_tokenizer *t, const linn_chat_message *messages, size_t n,
                 linn_error *err)
{
    if (!t->chat.style && !t->chat.start[0])
        return linn_fail(err, LINN_EUNSUPPORTED,
                         "the model has no chat template (key tokenizer.chat_template)");
    if (!t->chat.style)
        return linn_fail(err, LINN_EUNSUPPORTED,
                         "the model's chat template is not one that linn knows (ChatML, Llama 2 "
                         "and 3, Mistral, Vicuna, Zephyr, Gemma, Phi-3 and 4, DeepSeek); it "
                         "begins \"%s\"",
                         t->chat.start);
    if (n == 0)
        return linn_fail(err, LINN_EINVAL, "a conversation without messages");
    for (size_t i = 0; i < n; i++)
        if (role_of(&messages[i]) == NO_ROLE)
            return linn_fail(err, LINN_EINVAL,
                             "message %zu has the role '%.40s'; it must be system, user or "
                             "assistant",
                             i + 1, messages[i].role);
    return LINN_OK;
}

int linn_chat_format(const linn_tokenizer *t, const linn_chat_message *messages, size_t n,
                     char *out, size_t capacity, size_t *length, linn_error *err)
{
    *length = 0;
    int code = check(t, messages, n, err);
    if (code != LINN_OK)
        return code;
    const linn_chat_style *style = t->chat.style;
    writer w = {out, capacity, 0};
    linn_string eos = {"", 0};
    if (t->eos != LINN_NO_TOKEN)
        eos = t->texts[t->eos];
    if (style->form == FORM_GEMMA)
        write_gemma(&w, style, messages, n);
    else if (style->form == FORM_PLAIN || style->form == FORM_EOS)
        write_turns(&w, style, &eos, messages, n);
    else
        write_inst(&w, style, messages, n);
    put_word(&w, style->answer);
    *length = w.n;
    return LINN_OK;
}
