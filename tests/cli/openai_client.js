// The official client against a server: each check by name, "ok NAME" or "not ok NAME: why" a line.
//
//     node openai_client.js NODE_MODULES BASE_URL KEY MODEL
"use strict";

const assert = require("node:assert");
const [modules, baseURL, apiKey, model] = process.argv.slice(2);
const OpenAI = require(`${modules}/openai`);

const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const chat = { model, messages: [{ role: "user", content: "Once upon a time" }], seed: 3, max_tokens: 12 };
const completion = { model, prompt: "Once upon a time", seed: 3, max_tokens: 12 };

async function refused(type, status, code, request) {
  await assert.rejects(request, (error) => {
    assert.ok(error instanceof type, `${error.constructor.name}: ${error.message}`);
    assert.strictEqual(error.status, status);
    assert.strictEqual(error.code, code);
    return true;
  });
}

const checks = {
  async models() {
    const ids = [];
    for await (const m of client.models.list()) ids.push(m.id);
    assert.deepStrictEqual(ids, [model]);
    assert.strictEqual((await client.models.retrieve(model)).id, model);
  },

  async chat() {
    const answer = await client.chat.completions.create(chat);
    assert.strictEqual(answer.object, "chat.completion");
    assert.strictEqual(answer.choices[0].message.role, "assistant");
    assert.strictEqual(answer.choices[0].finish_reason, "length");
    assert.strictEqual(answer.usage.completion_tokens, 12);
    assert.match(answer.system_fingerprint, /^fp_/);
    assert.strictEqual(answer.linn.seed, 3);
  },

  async "chat, streamed"() {
    const whole = await client.chat.completions.create(chat);
    const stream = await client.chat.completions.create({ ...chat, stream: true, stream_options: { include_usage: true } });
    let text = "", usage = null, finish = null;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? "";
      finish = chunk.choices[0]?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
    }
    assert.strictEqual(text, whole.choices[0].message.content);
    assert.strictEqual(finish, "length");
    assert.deepStrictEqual({ ...usage, prompt_tokens_details: 0 }, { ...whole.usage, prompt_tokens_details: 0 });
  },

  async "the stream helper"() {
    const whole = await client.chat.completions.create(chat);
    const runner = client.chat.completions.stream(chat);
    let pieces = "";
    runner.on("content", (piece) => { pieces += piece; });
    assert.strictEqual(await runner.finalContent(), whole.choices[0].message.content);
    assert.strictEqual(pieces, whole.choices[0].message.content);
  },

  async completions() {
    const answer = await client.completions.create({ ...completion, n: 2, logprobs: 2, stop: ["zzzz"] });
    assert.strictEqual(answer.choices.length, 2);
    assert.strictEqual(answer.choices[0].logprobs.tokens.join(""), answer.choices[0].text);
    let text = "";
    for await (const chunk of await client.completions.create({ ...completion, stream: true })) text += chunk.choices[0].text;
    assert.strictEqual(text, answer.choices[0].text);
  },

  async logprobs() {
    const answer = await client.chat.completions.create({ ...chat, logprobs: true, top_logprobs: 3 });
    const content = answer.choices[0].logprobs.content;
    assert.strictEqual(content.length, 12);
    assert.strictEqual(content[0].top_logprobs.length, 3);
    assert.strictEqual(content.map((t) => t.token).join(""), answer.choices[0].message.content);
  },

  async "leaving a stream"() {
    const stream = await client.chat.completions.create({ ...chat, max_tokens: 900, stream: true });
    for await (const chunk of stream) if (chunk.choices[0].delta.content) break;
    assert.ok(stream.controller.signal.aborted);
  },

  async errors() {
    const bad = new OpenAI({ baseURL, apiKey: "wrong", maxRetries: 0 });
    await refused(OpenAI.AuthenticationError, 401, "invalid_api_key", bad.models.list());
    await refused(OpenAI.NotFoundError, 404, "model_not_found", client.chat.completions.create({ ...chat, model: "gpt-4" }));
    await refused(OpenAI.BadRequestError, 400, null, client.chat.completions.create({ ...chat, temperature: 3 }));
    await refused(OpenAI.BadRequestError, 400, "context_length_exceeded",
      client.completions.create({ ...completion, prompt: "word ".repeat(5000) }));
    await refused(OpenAI.BadRequestError, 400, null,
      client.chat.completions.create({ ...chat, response_format: { type: "json_object" } }));
  },

  async "too many requests"() {
    const many = Array.from({ length: 24 }, () => client.completions.create({ ...completion, max_tokens: 400 }));
    const ends = await Promise.allSettled(many);
    const refusals = ends.filter((e) => e.status === "rejected").map((e) => e.reason);
    assert.ok(refusals.length > 0 && refusals.length < 24);
    for (const error of refusals) assert.ok(error instanceof OpenAI.RateLimitError, error.message);
    // The client waits as long as it is told, and comes again.
    const patient = new OpenAI({ baseURL, apiKey, maxRetries: 30 });
    await Promise.all(Array.from({ length: 16 }, () => patient.completions.create(completion)));
  },
};

(async () => {
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      console.log(`ok ${name}`);
    } catch (error) {
      console.log(`not ok ${name}: ${String(error.stack).replaceAll("\n", " | ")}`);
    }
  }
})();
