"use strict";

// Events of a stream: the values of its "data:" lines.
async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) if (part.startsWith("data: {")) yield JSON.parse(part.slice(6));
  }
}

async function ask(prompt, answer, state) {
  const response = await fetch("v1/chat/completions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ messages: [{ role: "user", content: prompt }], stream: true, max_tokens: 200 }),
  });
  if (!response.ok) throw new Error((await response.json()).error.message);
  for await (const event of events(response)) {
    if (event.error) throw new Error(event.error.message);
    answer.textContent += event.choices[0]?.delta.content ?? "";
    const stats = event.linn?.choices[0];
    if (stats) state.textContent = `${stats.tokens} tokens, ${stats.tokens_per_second.toFixed(0)} a second, seed ${event.linn.seed}`;
  }
}

document.getElementById("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = document.getElementById("answer");
  const state = document.getElementById("state");
  answer.textContent = "";
  state.textContent = "Waiting";
  try {
    await ask(document.getElementById("prompt").value, answer, state);
  } catch (error) {
    state.textContent = error.message;
  }
});
