/* Chat templates: each is recognised by what is typical of it, and a conversation comes out as the
 * template, run by a Jinja interpreter, would write it, the begin token left out. The templates
 * here are cut down to the words that matter. */
#include "test.h"
#include "vocab.h"

/* The second user's words and the assistant's have white space around, which some trim. */
static const linn_chat_message talk[] = {
    {"system", "Be brief."}, {"user", "Hello"},    {"assistant", "Hi there"},
    {"user", " Who? "},      {"assistant", " I "}, {"user", "Bye"},
};
enum { N_TALK = sizeof talk / sizeof talk[0] };

#define DS_USER "<｜User｜>"
#define DS_ASSISTANT "<｜Assistant｜>"
#define DS_END "<｜end▁of▁sentence｜>"

static const struct {
    const char *name, *template, *text;
} cases[] = {
    {"chatml",
     "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] "
     "+ '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}"
     "{{ '<|im_start|>assistant\\n' }}{% endif %}",
     "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"
     "<|im_start|>assistant\nHi there<|im_end|>\n<|im_start|>user\n Who? <|im_end|>\n"
     "<|im_start|>assistant\n I <|im_end|>\n<|im_start|>user\nBye<|im_end|>\n"
     "<|im_start|>assistant\n"},
    /* Qwen 2 and 3: ChatML, with much about tools */
    {"chatml",
     "{%- if tools %}{{- '<|im_start|>system\\n' }}# Tools <tools></tools>{%- endif %}"
     "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' }}"
     "<tool_call></tool_call>[INST]",
     "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"
     "<|im_start|>assistant\nHi there<|im_end|>\n<|im_start|>user\n Who? <|im_end|>\n"
     "<|im_start|>assistant\n I <|im_end|>\n<|im_start|>user\nBye<|im_end|>\n"
     "<|im_start|>assistant\n"},
    {"phi3",
     "{% for message in messages %}{% if message['role'] == 'user' %}{{'<|user|>\\n' + "
     "message['content'] + '<|end|>\\n<|assistant|>\\n'}}{% endif %}{% endfor %}",
     "<|system|>\nBe brief.<|end|>\n<|user|>\nHello<|end|>\n<|assistant|>\nHi there<|end|>\n"
     "<|user|>\n Who? <|end|>\n<|assistant|>\n I <|end|>\n<|user|>\nBye<|end|>\n<|assistant|>\n"},
    {"phi4", "{{ '<|im_start|>user<|im_sep|>' + message['content'] + '<|im_end|>' }}",
     "<|im_start|>system<|im_sep|>Be brief.<|im_end|><|im_start|>user<|im_sep|>Hello<|im_end|>"
     "<|im_start|>assistant<|im_sep|>Hi there<|im_end|><|im_start|>user<|im_sep|> Who? <|im_end|>"
     "<|im_start|>assistant<|im_sep|> I <|im_end|><|im_start|>user<|im_sep|>Bye<|im_end|>"
     "<|im_start|>assistant<|im_sep|>"},
    {"llama2",
     "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' + "
     "message['content'] + ' [/INST]' }}{% else %}{{ message['content'] + eos_token}}{% endif %}",
     "[INST] Be brief.\nHello [/INST]Hi there</s>[INST]  Who?  [/INST] I </s>[INST] Bye [/INST]"},
    {"llama2-sys", "{{- '[INST] <<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' -}}",
     "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHello [/INST]Hi there</s>[INST]  Who?  [/INST] I </s>"
     "[INST] Bye [/INST]"},
    {"llama2-sys-bos",
     "{{- '<<SYS>>\\n' + system + '\\n<</SYS>>' }}{{- bos_token + '[INST] ' + content + ' [/INST]' "
     "-}}",
     "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHello [/INST]Hi there</s><s>[INST]  Who?  [/INST] I "
     "</s><s>[INST] Bye [/INST]"},
    {"llama2-sys-strip",
     "{{ bos_token + '[INST] ' + '<<SYS>>\\n' + content.strip() + '\\n<</SYS>>' + ' [/INST]' }}",
     "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHello [/INST]Hi there</s>[INST] Who? [/INST]I</s>"
     "[INST] Bye [/INST]"},
    {"llama3",
     "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ "
     "message['content'] | trim + '<|eot_id|>' %}",
     "<|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
     "<|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>"
     "<|start_header_id|>assistant<|end_header_id|>\n\nHi there<|eot_id|>"
     "<|start_header_id|>user<|end_header_id|>\n\nWho?<|eot_id|>"
     "<|start_header_id|>assistant<|end_header_id|>\n\nI<|eot_id|>"
     "<|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|>"
     "<|start_header_id|>assistant<|end_header_id|>\n\n"},
    {"mistral-v1",
     "{{- ' [INST] ' + system_message + '\\n\\n' + message['content'] + ' [/INST]' }}",
     " [INST] Be brief.\n\nHello [/INST] Hi there</s> [INST]  Who?  [/INST]  I </s> [INST] Bye "
     "[/INST]"},
    {"mistral-v3",
     "{{- '[AVAILABLE_TOOLS] [' }}{{- '[INST] ' + message['content'] + '[/INST]' }}"
     "{{- ' ' + message['content']|trim + eos_token}}",
     "[INST] Be brief.\n\nHello[/INST] Hi there</s>[INST]  Who? [/INST] I</s>[INST] Bye[/INST]"},
    {"mistral-v3-tekken",
     "{{- \"[AVAILABLE_TOOLS][\" }}{{- \"[INST]\" + message[\"content\"] + \"[/INST]\" }}",
     "[INST]Be brief.\n\nHello[/INST]Hi there</s>[INST] Who? [/INST] I </s>[INST]Bye[/INST]"},
    {"mistral-v7", "{{- \"[SYSTEM_PROMPT] \" + m + \"[/SYSTEM_PROMPT]\" }}{{- \"[INST] \" + m }}",
     "[SYSTEM_PROMPT] Be brief.[/SYSTEM_PROMPT][INST] Hello[/INST] Hi there</s>[INST]  Who? "
     "[/INST]  I </s>[INST] Bye[/INST]"},
    {"mistral-v7-tekken", "{{- '[SYSTEM_PROMPT]' + m + '[/SYSTEM_PROMPT]' }}{{- '[INST]' + m }}",
     "[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT][INST]Hello[/INST]Hi there</s>[INST] Who? [/INST] I "
     "</s>[INST]Bye[/INST]"},
    {"vicuna",
     "{{ 'USER: ' + message['content'] + '\\n' }}{{ 'ASSISTANT: ' + message['content'] }}",
     "Be brief.\n\nUSER: Hello\nASSISTANT: Hi there</s>\nUSER:  Who? \nASSISTANT:  I </s>\n"
     "USER: Bye\nASSISTANT:"},
    {"vicuna-orca", "{{ 'SYSTEM: ' + m }}{{ 'USER: ' + m + '\\n' }}{{ 'ASSISTANT: ' + m }}",
     "SYSTEM: Be brief.\nUSER: Hello\nASSISTANT: Hi there</s>\nUSER:  Who? \nASSISTANT:  I </s>\n"
     "USER: Bye\nASSISTANT:"},
    {"zephyr",
     "{{'<|user|>\\n' + message['content'] + '<|endoftext|>' + '\\n'}}{{ '<|assistant|>\\n' }}",
     "<|system|>\nBe brief.<|endoftext|>\n<|user|>\nHello<|endoftext|>\n<|assistant|>\nHi there"
     "<|endoftext|>\n<|user|>\n Who? <|endoftext|>\n<|assistant|>\n I <|endoftext|>\n<|user|>\nBye"
     "<|endoftext|>\n<|assistant|>\n"},
    /* Zephyr 7B and TinyLlama: by the end token of the file */
    {"zephyr",
     "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\\n' + "
     "message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n"
     "{{ '<|assistant|>\\n'  + message['content'] + eos_token }}\n{% endif %}\n{% endfor %}",
     "<|system|>\nBe brief.</s>\n<|user|>\nHello</s>\n<|assistant|>\nHi there</s>\n<|user|>\n Who? "
     "</s>\n<|assistant|>\n I </s>\n<|user|>\nBye</s>\n<|assistant|>\n"},
    {"gemma",
     "{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}",
     "<start_of_turn>user\nBe brief.\n\nHello<end_of_turn>\n<start_of_turn>model\nHi there"
     "<end_of_turn>\n<start_of_turn>user\nWho?<end_of_turn>\n<start_of_turn>model\nI<end_of_turn>\n"
     "<start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n"},
    {"deepseek", "{{'### Instruction:\\n' + m}}{{'### Response:\\n' + m + '\\n<|EOT|>\\n'}}",
     "Be brief.### Instruction:\nHello\n### Response:\nHi there\n<|EOT|>\n### Instruction:\n Who? "
     "\n"
     "### Response:\n I \n<|EOT|>\n### Instruction:\nBye\n### Response:\n"},
    {"deepseek2",
     "{{ 'User: ' + message['content'] + '\\n\\n' }}{{ 'Assistant: ' + message['content'] + "
     "eos_token }}",
     "Be brief.\n\nUser: Hello\n\nAssistant: Hi there" DS_END
     "User:  Who? \n\nAssistant:  I " DS_END "User: Bye\n\nAssistant:"},
    {"deepseek3", "{{'" DS_USER "' + m}}{{'" DS_ASSISTANT "' + m + '" DS_END "'}}",
     "Be brief.\n\n" DS_USER "Hello" DS_ASSISTANT "Hi there" DS_END DS_USER " Who? " DS_ASSISTANT
     " I " DS_END DS_USER "Bye" DS_ASSISTANT},
};

static linn_tokenizer *with(const char *template)
{
    vocab *v = vocab_spm("_");
    v->chat = template;
    linn_tokenizer *t = vocab_must_open(v);
    vocab_free(v);
    return t;
}

static void known(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        linn_tokenizer *t = with(cases[i].template);
        linn_error err = {0};
        char out[2048];
        size_t n;
        assert_non_null(linn_chat_template_name(t));
        assert_string_equal(linn_chat_template_name(t), cases[i].name);
        if (linn_chat_format(t, talk, N_TALK, out, sizeof out, &n, &err) != LINN_OK)
            fail_msg("%s: %s", cases[i].name, err.message);
        assert_true(n < sizeof out);
        out[n] = '\0';
        assert_string_equal(out, cases[i].text);
        linn_tokenizer_free(t);
    }
}

/* As snprintf, without the terminator: never more than there is room for, always the length. */
static void capacity(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        linn_tokenizer *t = with(cases[i].template);
        size_t length = strlen(cases[i].text);
        for (size_t room = 0; room <= length + 1; room += 1 + room / 8) {
            char *out = malloc(room + 1);
            size_t n;
            assert_non_null(out);
            memset(out, '#', room + 1);
            assert_int_equal(linn_chat_format(t, talk, N_TALK, out, room, &n, NULL), LINN_OK);
            assert_int_equal(n, length);
            assert_memory_equal(out, cases[i].text, room < length ? room : length);
            assert_int_equal(out[room < length ? room : length], '#');
            free(out);
        }
        linn_tokenizer_free(t);
    }
}

static void format(const char *template, const linn_chat_message *m, size_t n, const char *want)
{
    linn_tokenizer *t = with(template);
    char out[1024];
    size_t length;
    assert_int_equal(linn_chat_format(t, m, n, out, sizeof out, &length, NULL), LINN_OK);
    assert_int_equal(length, strlen(want));
    assert_memory_equal(out, want, length);
    linn_tokenizer_free(t);
}

/* Conversations of other shapes, where templates have rules of their own. */
static void shapes(void **state)
{
    (void)state;
    const char *gemma = "<start_of_turn>", *llama = "[INST] <<SYS>>",
               *mistral = "[AVAILABLE_TOOLS] [INST]";
    const linn_chat_message two[] = {{"system", " A "}, {"system", "B"}, {"user", ""}};
    format(gemma, two, 3, "<start_of_turn>user\nAB\n\n<end_of_turn>\n<start_of_turn>model\n");
    format(gemma, two, 1, "<start_of_turn>model\n");
    const linn_chat_message late[] = {{"user", "U"}, {"system", " "}, {"assistant", "A"}};
    format(gemma, late, 3,
           "<start_of_turn>user\nU<end_of_turn>\n<start_of_turn>model\nA<end_of_turn>\n"
           "<start_of_turn>model\n");
    format(llama, late, 3, "[INST] U [/INST]<<SYS>>\n \n<</SYS>>\n\nA</s>");
    const linn_chat_message first[] = {{"assistant", "A"}, {"user", "U"}};
    format(llama, first, 2, "[INST] A</s>[INST] U [/INST]");
    format(mistral, first, 2, " [INST]  A</s> [INST] U [/INST]");
    format("<|im_start|>", first + 1, 1, "<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n");
}

static void refused(void **state)
{
    (void)state;
    /* of models that linn does not know, each near to one that it does */
    static const char *const others[] = {
        "",
        "{{ messages }}",
        "<|im_start|>User:<end_of_utterance>",
        "{{'<|user|>\\n' + message['content'] + '\\n'}}<|assistant|>",
        "[gMASK]<sop><|user|>\\n<|assistant|><|endoftext|>",
        "GPT4 Correct User: <|end_of_turn|>",
        "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>",
        "### Instruction:\\n### Response:",
        "<|header_start|>user<|header_end|>",
    };
    const linn_chat_message wrong[] = {{"user", "U"}, {"tool", "T"}};
    linn_error err;
    size_t n;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        linn_tokenizer *t = with(others[i]);
        assert_null(linn_chat_template_name(t));
        assert_int_equal(linn_chat_format(t, talk, N_TALK, NULL, 0, &n, &err), LINN_EUNSUPPORTED);
        assert_non_null(strstr(err.message, i == 0 ? "no chat template" : "begins"));
        assert_int_equal(n, 0);
        linn_tokenizer_free(t);
    }
    linn_tokenizer *t = with(NULL);
    assert_int_equal(linn_chat_format(t, talk, N_TALK, NULL, 0, &n, &err), LINN_EUNSUPPORTED);
    linn_tokenizer_free(t);
    t = with("<|im_start|>");
    assert_int_equal(linn_chat_format(t, wrong, 2, NULL, 0, &n, &err), LINN_EINVAL);
    assert_non_null(strstr(err.message, "message 2 has the role 'tool'"));
    assert_int_equal(linn_chat_format(t, wrong, 0, NULL, 0, &n, &err), LINN_EINVAL);
    linn_tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(known), cmocka_unit_test(capacity),
                                       cmocka_unit_test(shapes), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
