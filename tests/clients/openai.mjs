// openai.mjs - OpenAI's own JavaScript client against linn serve.
import assert from "node:assert/strict";
import { load, run, serve } from "./harness.mjs";

const { OpenAI } = load("openai");
const server = await serve("rill", "--api-key", "secret", "--slots", "1", "--queue", "1");
const options = { baseURL: `http://127.0.0.1:${server.port}/v1`, apiKey: "secret", maxRetries: 0 };
const client = new OpenAI(options);
const chat = { model: "rill", messages: [{ role: "user", content: "Once upon a time" }], seed: 5, max_tokens: 24 };
const completion = { model: "rill", prompt: "Once upon a time", seed: 5, max_tokens: 24 };

async function all(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

// The error that a promise ends with.
async function refused(promise, type, code, param) {
  const error = await promise.then(() => assert.fail("was not refused"), (reason) => reason);
  assert.ok(error instanceof type, String(error));
  assert.deepEqual([error.code, error.param], [code, param]);
  assert.match(error.message, /[a-z]{3,} /);
}

const good = await run({
  async models() {
    const list = await all(await client.models.list());
    assert.deepEqual(list.map((model) => [model.id, model.object]), [["rill", "model"]]);
    assert.equal((await client.models.retrieve("rill")).id, "rill");
  },

  async chat_whole_and_streamed() {
    const whole = await client.chat.completions.create(chat);
    const text = whole.choices[0].message.content;
    assert.ok(text.length > 10);
    assert.deepEqual([whole.usage.completion_tokens, whole.choices[0].finish_reason], [24, "length"]);
    const events = await all(await client.chat.completions.create(
      { ...chat, stream: true, stream_options: { include_usage: true } }));
    assert.equal(events.map((e) => e.choices[0]?.delta.content ?? "").join(""), text);
    assert.equal(events.at(-1).usage.total_tokens, whole.usage.total_tokens);
    assert.equal(events[0].system_fingerprint, whole.system_fingerprint);
  },

  async chat_by_the_stream_helper() {
    const runner = client.chat.completions.stream(chat);
    let text = "";
    runner.on("content", (part) => { text += part; });
    const last = await runner.finalChatCompletion();
    assert.equal(last.choices[0].message.content, text);
    assert.equal(text, (await client.chat.completions.create(chat)).choices[0].message.content);
  },

  async completions() {
    const whole = await client.completions.create(completion);
    const events = await all(await client.completions.create({ ...completion, stream: true }));
    assert.equal(events.map((e) => e.choices[0].text).join(""), whole.choices[0].text);
    const two = await client.completions.create({ ...completion, n: 2, logprobs: 2 });
    assert.equal(two.choices.length, 2);
    assert.equal(two.choices[0].text, whole.choices[0].text);
    assert.equal(two.choices[0].logprobs.tokens.length, 24);
  },

  async logprobs_of_chat() {
    const answer = await client.chat.completions.create({ ...chat, logprobs: true, top_logprobs: 3 });
    const { content } = answer.choices[0].logprobs;
    assert.equal(content.length, 24);
    assert.equal(content[0].top_logprobs.length, 3);
    assert.equal(Buffer.from(content.flatMap((entry) => entry.bytes)).toString(), answer.choices[0].message.content);
  },

  async errors_have_their_classes() {
    const wrong = new OpenAI({ ...options, apiKey: "guess" });
    await refused(wrong.models.list(), OpenAI.AuthenticationError, "invalid_api_key", null);
    await refused(client.chat.completions.create({ ...chat, model: "gpt-4" }), OpenAI.NotFoundError,
      "model_not_found", "model");
    await refused(client.chat.completions.create({ ...chat, temperature: 9 }), OpenAI.BadRequestError,
      null, "temperature");
    await refused(client.completions.create({ ...completion, prompt: "word ".repeat(3000) }), OpenAI.BadRequestError,
      "context_length_exceeded", "prompt");
    await refused(client.chat.completions.create({ ...chat, response_format: { type: "json_object" } }),
      OpenAI.BadRequestError, null, "response_format");
  },

  async those_past_the_queue_are_told_when_to_come_again() {
    const many = () => Array.from({ length: 24 }, () => client.completions.create({ ...completion, max_tokens: 400 }));
    const refusals = (await Promise.allSettled(many())).filter((end) => end.status === "rejected");
    assert.ok(refusals.every((end) => end.reason instanceof OpenAI.RateLimitError));
    assert.ok(refusals.every((end) => end.reason.headers.get("retry-after")));
    assert.ok(refusals.length < 24);
  },

  async a_client_that_leaves_frees_its_slot() {
    const stream = await client.completions.create({ ...completion, max_tokens: 900, stream: true,
      logit_bias: { 8191: -100 } });
    await stream[Symbol.asyncIterator]().next();
    await stream.controller.abort();
    // Soon; until then the client's own retries wait.
    const patient = new OpenAI({ ...options, maxRetries: 20 });
    assert.ok((await patient.completions.create(completion)).choices[0].text);
  },
});
await server.stop();
process.exit(good ? 0 : 1);
