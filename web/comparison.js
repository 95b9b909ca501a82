// comparison.js - a text with the cascade beside the same text without it: times, and whether
// the tokens are equal.
import { duration, perSecond, whole } from "./meter.js";
import { make } from "./turn.js";

// The first place where two lists differ, or -1.
export function firstDifference(a, b) {
  const n = Math.min(a.length, b.length);
  for (let i = 0; i < n; i++) if (a[i] !== b[i]) return i;
  return a.length === b.length ? -1 : n;
}

function speeds(fast, plain) {
  const ratio = plain.writingMs / fast.writingMs;
  if (fast.accepted?.[1] === 0) return "The server drafted nothing: it does so only where that pays.";
  if (!Number.isFinite(ratio) || ratio === 0) return "";
  return ratio >= 1 ? `${ratio.toFixed(2)} times as fast with the cascade.` : `${(1 / ratio).toFixed(2)} times as fast without it.`;
}

function row(name) {
  const bar = make("span", { class: "time" }), cell = make("td", { class: "bar", "aria-hidden": "true" }, bar);
  const time = make("td", {}, "–"), rate = make("td", {}, "–");
  return { bar, time, rate, element: make("tr", {}, make("th", { scope: "row" }, name), cell, time, rate) };
}

export class Comparison {
  constructor(meter) {
    this.fast = { ...row("With the cascade"), meter };
    this.plain = row("Plain");
    this.verdict = make("p", { class: "verdict", role: "status" }, "Running without the cascade …");
    const head = make("tr", {}, make("td", {}), make("td", { class: "bar", "aria-hidden": "true" }),
      make("th", { scope: "col" }, "time"), make("th", { scope: "col" }, "tokens per second"));
    const table = make("table", {}, make("caption", {}, "The same prompt, settings and seed"),
      make("thead", {}, head), make("tbody", {}, this.fast.element, this.plain.element));
    this.element = make("section", { class: "comparison", "aria-label": "Comparison with plain decoding" },
      table, this.verdict);
  }

  // Shows times so far; `meter` is the plain text's.
  show(meter) {
    this.plain.meter = meter;
    const most = Math.max(this.fast.meter.writingMs, meter.writingMs, 1);
    for (const side of [this.fast, this.plain]) {
      side.bar.style.width = `${(100 * side.meter.writingMs) / most}%`;
      side.time.textContent = duration(side.meter.writingMs);
      side.rate.textContent = perSecond(side.meter.rate);
    }
  }

  // `ids` and `text`: [with the cascade, plain].
  end(meter, ids, text) {
    this.show(meter);
    const at = firstDifference(...ids), same = at < 0 && text[0] === text[1];
    this.verdict.classList.add(same ? "same" : "different");
    const sign = make("span", { class: "sign", "aria-hidden": "true" }, same ? "✓" : "≠");
    const n = ids[1].length;
    const words = same ? `Same text: all ${whole(n)} tokens are equal.`
      : `Not the same text: it differs from token ${at < 0 ? n : at + 1} on.`;
    this.verdict.replaceChildren(sign, make("strong", {}, words), ` ${speeds(this.fast.meter, meter)}`);
  }

  // It did not come to an end.
  fail(message) {
    this.verdict.classList.add("different");
    this.verdict.textContent = message;
  }
}
