// turn.js - one prompt and its answer on the page. Text is only ever put in as text nodes.
import { duration, perSecond, whole } from "./meter.js";

// make("p", {class: "x"}, child...): an element; strings become text nodes.
export function make(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const ENDS = {
  length: "It has as many tokens as were allowed.",
  context: "The model's context is full.",
  deadline: "The server's time for an answer was over.",
  cancelled: "The server ended it.",
  stopped: "Stopped.",
};

export class Turn {
  // `names`: of the levels. `before`: nodes of text that this turn goes on from.
  constructor(mode, prompt, names, before = [prompt]) {
    this.mode = mode;
    this.prompt = prompt;
    this.before = before;
    this.names = names;
    this.ids = [];
    this.text = "";
    this.waiting = []; // tokens that are not on the page before flush()
    this.asked = make(mode === "chat" ? "p" : "span", { class: "asked" }, ...before);
    this.answer = make("span", { class: "answer" });
    this.facts = make("p", { class: "facts" });
    this.body = make("p", { class: "text" }, this.answer);
    this.element = make("article", { class: `turn ${mode}-turn`, "aria-busy": "true" });
    if (mode === "chat")
      this.element.append(make("h2", {}, "You"), this.asked, make("h2", {}, names[0]), this.body, this.facts);
    else {
      this.body.prepend(this.asked);
      this.element.append(make("h2", { class: "unseen" }, `Text by you and ${names[0]}`), this.body, this.facts);
    }
  }

  add(token) {
    if (token.id >= 0) this.ids.push(token.id);
    this.text += token.text;
    this.waiting.push(token);
  }

  flush() {
    const spans = this.waiting.filter((token) => token.text).map(({ level, text }) => {
      const whose = level === 0 ? `${this.names[0]} itself` : `proposed by ${this.names[level] ?? `level ${level}`}`;
      return make("span", { class: `token level-${level}`, title: whose }, text);
    });
    this.waiting = [];
    this.answer.append(...spans);
  }

  // Nodes of prompt and answer, for a turn that goes on from here.
  nodes() {
    return [...this.asked.cloneNode(true).childNodes, ...this.answer.cloneNode(true).childNodes];
  }

  // `finish`: "end", "length", "stopped", ...
  end(finish, seed, meter) {
    this.flush();
    this.finish = finish;
    this.element.setAttribute("aria-busy", "false");
    const parts = [`${whole(meter.tokens)} ${meter.tokens === 1 ? "token" : "tokens"}`];
    if (meter.rate > 0) parts.push(`${perSecond(meter.rate)} per second`, `in ${duration(meter.writingMs)}`);
    parts.push(`seed ${seed}`);
    this.facts.textContent = parts.join(" · ");
    if (ENDS[finish]) this.facts.append(make("span", { class: "why" }, ` ${ENDS[finish]}`));
    if (!this.text && finish === "end") this.facts.append(make("span", { class: "why" }, " The model had nothing to say."));
  }

  fail(message) {
    this.flush();
    this.finish = "failed";
    this.element.setAttribute("aria-busy", "false");
    this.element.append(make("p", { class: "error", role: "alert" }, message));
  }
}
