/* test_http_parts.c - what the server is made of, without sockets: requests, answers, keys,
 * metrics, fingerprints. */
#include "alloc_fail.h"
#include "serve/access_log.h"
#include "serve/auth.h"
#include "serve/fingerprint.h"
#include "serve/metrics.h"
#include "serve/page.h"
#include "serve/reply.h"
#include "test.h"

#include <math.h>

static linn_api_error parse(linn_api_request *r, bool chat, const char *body)
{
    linn_api_error err;
    int rc = linn_api_request_parse(r, chat, body, strlen(body), &err);
    assert_int_equal(rc, err.status ? -1 : 0);
    return err;
}

static void test_defaults(void **state)
{
    (void)state;
    linn_api_request r;
    linn_sampling s = linn_sampling_default();
    assert_int_equal(parse(&r, false, "{\"prompt\": \"A\"}").status, 0);
    assert_int_equal(r.max_tokens, 16);
    assert_int_equal(r.top_logprobs, -1);
    assert_int_equal(r.n, 1);
    assert_false(r.stream || r.seeded || r.levels || r.plain || r.echo);
    assert_true(r.sampling.temperature == s.temperature && r.sampling.top_p == s.top_p);
    assert_int_equal(r.sampling.top_k, s.top_k);
    linn_api_request_free(&r);
    assert_int_equal(
        parse(&r, true, "{\"messages\": [{\"role\": \"user\", \"content\": \"A\"}]}").status, 0);
    assert_int_equal(r.max_tokens, -1);
    assert_string_equal(r.messages[0].content, "A");
    linn_api_request_free(&r);
}

static void test_all_members(void **state)
{
    (void)state;
    linn_api_request r;
    linn_api_error err = parse(
        &r, false,
        "{\"model\": \"m\", \"prompt\": [\"a\", \"b\\u0000c\"], \"n\": 2, \"max_tokens\": 7.0, "
        "\"max_completion_tokens\": 8, \"temperature\": 0.5, \"top_p\": 0.25, \"min_p\": 0.125, "
        "\"top_k\": 3, \"seed\": 9223372036854775807, \"presence_penalty\": -2, "
        "\"frequency_penalty\": 2, \"repeat_penalty\": 1.5, \"stop\": [\"x\", \"y\"], "
        "\"logprobs\": 5, \"logit_bias\": {\"7\": -100, \"0\": 1.5}, \"stream\": true, "
        "\"stream_options\": {\"include_usage\": true}, "
        "\"linn\": {\"levels\": true, \"cascade\": \"off\", \"deadline_ms\": 20}}");
    assert_int_equal(err.status, 0);
    assert_string_equal(r.model, "m");
    assert_int_equal(r.n_prompts, 2);
    assert_int_equal(r.prompts[1].length, 3);
    assert_int_equal(r.n, 2);
    assert_int_equal(r.max_tokens, 8);
    assert_true(r.sampling.temperature == 0.5f && r.sampling.top_p == 0.25f);
    assert_true(r.sampling.min_p == 0.125f && r.sampling.repeat_penalty == 1.5f);
    assert_true(r.sampling.presence_penalty == -2 && r.sampling.frequency_penalty == 2);
    assert_int_equal(r.sampling.top_k, 3);
    assert_true(r.seeded && r.sampling.seed == INT64_MAX);
    assert_int_equal(r.n_stop, 2);
    assert_string_equal(r.stop[1], "y");
    assert_int_equal(r.top_logprobs, 5);
    assert_int_equal(r.sampling.n_biases, 2);
    assert_int_equal(r.sampling.biases[0].token, 7);
    assert_true(r.sampling.biases[1].bias == 1.5f);
    assert_true(r.stream && r.include_usage && r.levels && r.plain);
    assert_true(r.deadline_ms == 20);
    linn_api_request_free(&r);
}

static void test_errors_name_the_member(void **state)
{
    (void)state;
    static const struct {
        bool chat;
        const char *body, *param, *part;
    } all[] = {
        {false, "{", "", "line 1"},
        {false, "[]", "", "object"},
        {false, "{}", "prompt", "missing"},
        {false, "{\"prompt\": [[1, 2], [3, -1]]}", "prompt[1]", "-1"},
        {false, "{\"prompt\": \"\", \"temperature\": \"hot\"}", "temperature", "not a string"},
        {false, "{\"prompt\": \"\", \"n\": 1.5}", "n", "1.5"},
        {false, "{\"prompt\": \"\", \"logit_bias\": {\"7\": 101}}", "logit_bias.7", "101"},
        {false, "{\"prompt\": \"\", \"logit_bias\": {\"07\": 1}}", "logit_bias", "07"},
        {false, "{\"prompt\": \"\", \"linn\": {\"levels\": 1}}", "linn.levels", "boolean"},
        {true, "{\"messages\": [{\"role\": \"user\", \"content\": \"\"}, {\"role\": \"bot\"}]}",
         "messages[1].role", "bot"},
        {true, "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"x\"}]}]}",
         "messages[0].content[0]", "text"},
        {true,
         "{\"messages\": [{\"role\": \"user\", \"content\": \"\"}], \"response_format\": "
         "{\"type\": \"json_object\"}}",
         "response_format", "json_object"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        linn_api_request r;
        linn_api_error err = parse(&r, all[i].chat, all[i].body);
        assert_int_equal(err.status, 400);
        assert_string_equal(err.param, all[i].param);
        assert_non_null(strstr(err.message, all[i].part));
        linn_api_request_free(&r);
    }
}

static void test_error_types(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *type;
    } all[] = {{400, "invalid_request_error"},
               {401, "invalid_request_error"},
               {429, "rate_limit_error"},
               {500, "server_error"},
               {503, "server_error"}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        linn_api_error err;
        linn_bytes out = {0};
        /* A message with bytes that are no text is still an answer. */
        assert_int_equal(linn_api_fail(&err, all[i].status, NULL, "p", "a\xff%s\xe2\x82", "b"), -1);
        linn_reply_error(&out, &err);
        assert_false(out.failed);
        json_t *o = json_loadb(out.data, out.n, 0, NULL), *e = json_object_get(o, "error");
        assert_string_equal(json_string_value(json_object_get(e, "type")), all[i].type);
        assert_string_equal(json_string_value(json_object_get(e, "message")), "a?b??");
        json_decref(o);
        linn_bytes_free(&out);
    }
}

static void test_finish(void **state)
{
    (void)state;
    static const char *const wanted[] = {[LINN_FINISH_LENGTH] = "length",
                                         [LINN_FINISH_END] = "stop",
                                         [LINN_FINISH_STOP] = "stop",
                                         [LINN_FINISH_CONTEXT] = "length",
                                         [LINN_FINISH_CANCELLED] = "length"};
    for (int i = 0; i < 5; i++) {
        linn_job_result r = {.finish = (linn_finish)i};
        assert_string_equal(linn_reply_finish(&r), wanted[i]);
    }
}

/* ---- keys ------------------------------------------------------------------------------------ */

static const linn_key *find(const linn_keys *k, const char *key)
{
    char header[600];
    snprintf(header, sizeof header, "Bearer %s", key);
    return linn_keys_find(k, header);
}

static void test_keys(void **state)
{
    (void)state;
    const char *const given[] = {"alpha", "beta"};
    linn_keys k;
    linn_error err;
    assert_int_equal(linn_keys_read(&k, given, 2, NULL, &err), LINN_OK);
    assert_ptr_equal(find(&k, "alpha"), &k.keys[0]);
    assert_ptr_equal(find(&k, "beta"), &k.keys[1]);
    assert_string_equal(k.keys[1].name, "key 2");
    assert_true(k.keys[0].user != k.keys[1].user);
    const char *const wrong[] = {"", "alph", "alphaa", "alpha ", "ALPHA", "betaalpha"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_null(find(&k, wrong[i]));
    char longest[LINN_KEY_LENGTH + 2];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_null(find(&k, longest));
    assert_null(linn_keys_find(&k, NULL));
    assert_null(linn_keys_find(&k, "alpha"));
    assert_ptr_equal(linn_keys_find(&k, "bearer alpha"), &k.keys[0]);
    linn_keys_free(&k);
    const char *const too_long[] = {longest};
    assert_int_equal(linn_keys_read(&k, too_long, 1, NULL, &err), LINN_EINVAL);
    assert_int_equal(linn_keys_read(&k, given, 2, "/nonexistent", &err), LINN_EIO);
    assert_int_equal(k.n, 0);
}

static void test_origins(void **state)
{
    (void)state;
    assert_true(linn_origin_is_host("http://a:1", "a:1"));
    assert_true(linn_origin_is_host("https://A", "a"));
    assert_false(linn_origin_is_host("http://a:1", "a:2"));
    assert_false(linn_origin_is_host("null", "a"));
    assert_false(linn_origin_is_host("http://a", NULL));
    const char *const here[] = {"localhost", "LocalHost:80", "127.0.0.1", "127.255.0.9:1", "[::1]"};
    for (size_t i = 0; i < sizeof here / sizeof here[0]; i++)
        assert_true(linn_host_is_loopback(here[i]));
    const char *const there[] = {"",     "localhost.evil", "128.0.0.1", "127.0.0.1.evil", "[::2]:1",
                                 "[::1", "127.1",          "::1",       "0.0.0.0",        "[]"};
    for (size_t i = 0; i < sizeof there / sizeof there[0]; i++)
        if (strcmp(there[i], "[::1") != 0) /* an address all the same */
            assert_false(linn_host_is_loopback(there[i]));
}

/* ---- metrics, hashes, files -------------------------------------------------------------------
 */

static void test_histogram(void **state)
{
    (void)state;
    static linn_server_metrics m;
    static linn_metrics s;
    const double ms[] = {0, 0.5, 1, 1.5, 299e3, 1e9, -1};
    for (size_t i = 0; i < sizeof ms / sizeof ms[0]; i++)
        linn_histogram_add(&m.total, ms[i]);
    linn_server_metrics_count(&m, LINN_ROUTE_CHAT, 200);
    linn_server_metrics_count(&m, LINN_ROUTE_CHAT, 418);
    s.n_levels = 1;
    s.levels[0] = (linn_level_metrics){.name = "a\"b\\c\nd", .pages = 3};
    linn_bytes out = {0};
    linn_server_metrics_write(&out, &m, &s);
    linn_bytes_add(&out, "", 1);
    assert_false(out.failed);
    const char *const lines[] = {
        "linn_request_seconds_bucket{le=\"0.001\"} 4\n",
        "linn_request_seconds_bucket{le=\"0.002\"} 5\n",
        "linn_request_seconds_bucket{le=\"300\"} 6\n",
        "linn_request_seconds_bucket{le=\"+Inf\"} 7\n",
        "linn_request_seconds_count 7\n",
        "linn_http_requests_total{endpoint=\"chat_completions\",status=\"200\"} 1\n",
        "linn_http_requests_total{endpoint=\"chat_completions\",status=\"other\"} 1\n",
        "linn_kv_pages{level=\"0\",name=\"a\\\"b\\\\c\\nd\"} 3\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_non_null(strstr(out.data, lines[i]));
    linn_bytes_free(&out);
}

static void test_hash_of_files(void **state)
{
    (void)state;
    char name[] = "/tmp/linn-hash-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    unsigned char bytes[100] = {0};
    uint64_t seen[200];
    size_t n = 0;
    /* Every length and every byte counts. */
    for (size_t length = 0; length <= sizeof bytes; length++) {
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, bytes, length, 0), length);
        assert_int_equal(linn_hash_file(name, &seen[n++], NULL), LINN_OK);
    }
    for (size_t i = 0; i < 99; i++) {
        bytes[i] = 1;
        assert_int_equal(pwrite(fd, bytes, sizeof bytes, 0), sizeof bytes);
        assert_int_equal(linn_hash_file(name, &seen[n++], NULL), LINN_OK);
        bytes[i] = 0;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            assert_true(seen[i] != seen[j]);
    close(fd);
    unlink(name);
    assert_int_equal(linn_hash_file(name, &seen[0], NULL), LINN_EIO);
}

static void test_page(void **state)
{
    (void)state;
    const linn_page_file *f = linn_page_find("/");
    assert_non_null(f);
    assert_string_equal(f->type, "text/html; charset=utf-8");
    assert_memory_equal(f->data, "<!doctype html>", 15);
    assert_null(linn_page_find("/index.html"));
    assert_null(linn_page_find(""));
}

static int read_a_request(void *body)
{
    linn_api_request r;
    linn_api_error err;
    int rc = linn_api_request_parse(&r, true, body, strlen(body), &err);
    linn_api_request_free(&r);
    return rc ? err.status == 500 ? LINN_ENOMEM : LINN_EINVAL : LINN_OK;
}

static void test_no_memory(void **state)
{
    (void)state;
    char body[] = "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", "
                  "\"text\": \"A\"}]}], \"logit_bias\": {\"1\": 2}}";
    assert_true(alloc_fail_each(read_a_request, body) > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_all_members),
        cmocka_unit_test(test_errors_name_the_member),
        cmocka_unit_test(test_error_types),
        cmocka_unit_test(test_finish),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_hash_of_files),
        cmocka_unit_test(test_page),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
