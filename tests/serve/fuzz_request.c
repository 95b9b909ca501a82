/* fuzz_request.c - bodies of requests, both kinds: they are read or refused with a line. */
#include "serve/request.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const linn_api_request *r)
{
    assert(r->n >= 1 && r->n <= LINN_API_CHOICES && r->n_stop <= LINN_API_STOPS);
    assert(r->chat ? r->n_messages > 0 : r->n_prompts > 0);
    for (size_t i = 0; i < r->n_messages; i++)
        assert(r->messages[i].role && r->messages[i].content);
    for (size_t i = 0; i < r->n_prompts; i++)
        assert(r->prompts[i].text || r->prompts[i].n_tokens > 0);
    for (size_t i = 0; i < r->n_stop; i++)
        assert(r->stop[i][0]);
    assert(r->sampling.temperature >= 0 && r->sampling.top_p > 0 && r->sampling.top_p <= 1);
    assert(r->top_logprobs >= -1 && r->top_logprobs <= 20 && r->max_tokens >= -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int chat = 0; chat < 2; chat++) {
        linn_api_request r;
        linn_api_error err;
        if (linn_api_request_parse(&r, chat == 1, (const char *)data, size, &err) == 0)
            check(&r);
        else
            assert(err.status >= 400 && err.type && err.message[0]);
        linn_api_request_free(&r);
    }
    return 0;
}
