// api.js - the server's API as this page uses it: which model there is, and texts as they come.
// Every failure is an Error whose message can be shown as it is.

export class ServerError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

// What a response that is no success says, in words.
async function refusal(response) {
  const text = await response.text();
  let message = "";
  try {
    message = JSON.parse(text).error.message;
  } catch {
    message = `The server answered ${response.status} ${response.statusText}.`;
  }
  const wait = response.headers.get("Retry-After");
  if (wait) message += ` (try again in ${wait} s)`;
  return new ServerError(message, response.status);
}

async function ask(path, key, options) {
  const headers = options.body ? { "Content-Type": "application/json" } : {};
  if (key) headers.Authorization = `Bearer ${key}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError("The server cannot be reached. Is linn serve still running?", 0);
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

// The one model of the server, as /v1/models has it.
export async function getModel(key) {
  return (await (await ask("v1/models", key, {})).json()).data[0];
}

// The values of the "data:" lines of an event stream, up to [DONE].
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      part = { done: true };
    }
    if (part.done) throw new ServerError("The connection ended before the text did.", 0);
    const lines = (rest + part.value).split("\n\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line === "data: [DONE]") return;
      if (line.startsWith("data: ")) yield JSON.parse(line.slice(6));
    }
  }
}

// Yields {token: {id, level, text}} for each token and {end: {finish, seed, stats}} at the end;
// stats is a choice of the answer's `linn` (docs/serving.md).
export async function* generate(body, key, signal) {
  const path = body.messages ? "v1/chat/completions" : "v1/completions";
  const response = await ask(path, key, { method: "POST", body: JSON.stringify({ ...body, stream: true }), signal });
  for await (const event of events(response)) {
    if (event.error) throw new ServerError(event.error.message, 0);
    for (const token of event.choices[0]?.linn?.tokens ?? []) yield { token };
    if (event.linn) {
      const stats = event.linn.choices[0];
      yield { end: { finish: stats.finish, seed: event.linn.seed, stats } };
    }
  }
}
