// page.js - what the page does: settings, sending, stopping, and what may be done when.
import { ServerError, generate, getModel } from "./api.js";
import { Comparison } from "./comparison.js";
import { Meter, showLegend, showMeter, whole } from "./meter.js";
import { Turn } from "./turn.js";

const element = (id) => document.getElementById(id);
const message = element("message"), turnsBox = element("turns"), main = element("main");
const NUMBERS = ["temperature", "top_p", "top_k", "min_p", "max_tokens", "seed"];

const page = {
  model: null, // as /v1/models has it
  names: [], // of its levels
  turns: [], // all of the conversation; of texts too
  running: null, // AbortController of what is being written
  last: null, // {turn, body, meter}: the last answer, for a comparison
};

// ---- the model -------------------------------------------------------------------------------

const storedKey = () => sessionStorage.getItem("linn key") ?? "";

function describe(model) {
  const facts = [`${Intl.NumberFormat("en", { notation: "compact" }).format(model.linn.parameters)} parameters`,
    `context ${whole(model.linn.context)}`];
  return `${model.id} · ${facts.join(" · ")}`;
}

function takeModel(model) {
  page.model = model;
  page.names = [model.id, ...model.linn.levels.slice(1).map((level) => level.name)];
  document.title = `linn · ${model.id}`;
  element("model").textContent = describe(model);
  showLegend(page.names);
  const chats = model.linn.chat_template !== null;
  element("mode").querySelector("[value=chat]").disabled = !chats;
  element("mode").value = chats ? "chat" : "text";
  element("mode-note").textContent = chats ? "" : `${model.id} has no chat template: it goes on with the text that it is given.`;
  showMode();
}

// The model, asked for again where that has failed before.
async function needModel() {
  if (page.model) return true;
  try {
    takeModel(await getModel(storedKey()));
    say("");
    return true;
  } catch (error) {
    element("model").textContent = "No model yet";
    say(error.message);
    askForKey(error);
    return false;
  }
}

// ---- what is said and shown ------------------------------------------------------------------

const say = (text) => { element("state").textContent = text; };

function askForKey(error) {
  if (error.status !== 401) return;
  element("key-field").hidden = false;
  showSettings(true);
  element("key").focus();
}

const mode = () => element("mode").value;

function showMode() {
  const chat = mode() === "chat";
  element("system-field").hidden = !chat;
  element("message-label").textContent = chat ? "Message" : "Text to go on from";
  message.placeholder = chat ? "Write a message" : "Write how it begins";
  showTools();
}

function showSettings(open) {
  element("settings").hidden = !open;
  element("open-settings").setAttribute("aria-expanded", String(open));
}

function showTools() {
  const turn = page.turns.at(-1), idle = !page.running;
  element("tools").hidden = !turn || !idle;
  if (turn) turn.element.append(element("tools"));
  element("again").textContent = turn?.finish === "failed" ? "Try again" : "Regenerate";
  element("compare").disabled = !page.last?.meter.tokens;
  element("keep-seed").disabled = !page.last;
  element("continue").hidden = turn?.mode !== "text" || !turn.text;
  element("send").hidden = !idle;
  element("stop").hidden = idle;
  element("welcome").hidden = page.turns.length > 0;
  element("new").disabled = page.turns.length === 0;
}

// Runs a change of the page; what was at its end stays at its end.
function following(change) {
  const atEnd = main.scrollHeight - main.scrollTop - main.clientHeight < 48;
  change();
  if (atEnd) main.scrollTop = main.scrollHeight;
}

// Says what is written to a screen reader, a sentence at a time rather than a token.
const speech = {
  text: "",
  begin() {
    this.text = "";
    element("spoken").replaceChildren();
  },
  add(text, over = false) {
    this.text += text;
    const cut = over ? this.text.length : 1 + Math.max(...[". ", "! ", "? ", ".\n", "\n\n"].map((s) => this.text.lastIndexOf(s)));
    if (cut === 0) return;
    const sentence = document.createElement("p");
    sentence.textContent = this.text.slice(0, cut);
    element("spoken").append(sentence);
    this.text = this.text.slice(cut);
  },
};

// ---- requests --------------------------------------------------------------------------------

// Settings as members of a request. An empty field is none.
function settings() {
  const values = NUMBERS.map((name) => [name, element(name).value]).filter(([, value]) => value !== "");
  const request = Object.fromEntries(values.map(([name, value]) => [name, Number(value)]));
  request.seed ??= crypto.getRandomValues(new Uint32Array(1))[0];
  return request;
}

// Everything said so far, for a chat; a turn without an answer is left out.
function history(prompt) {
  const messages = [], system = element("system").value;
  if (system.trim()) messages.push({ role: "system", content: system });
  for (const turn of page.turns)
    if (turn.mode === "chat" && turn.text)
      messages.push({ role: "user", content: turn.prompt }, { role: "assistant", content: turn.text });
  return [...messages, { role: "user", content: prompt }];
}

function request(prompt) {
  const text = mode() === "chat" ? { messages: history(prompt) } : { prompt };
  return { ...text, ...settings(), linn: { levels: true } };
}

// Shows a running text at the pace of the screen.
function watch(meter, show) {
  const step = () => {
    if (!page.running || meter.stats) return;
    show();
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

// Takes all of a text; returns how it ended: {finish, seed}, "stopped" when somebody stopped it.
async function take(body, meter, onToken) {
  const running = page.running = new AbortController();
  try {
    for await (const event of generate(body, storedKey(), running.signal)) {
      if (event.end) {
        meter.stats = event.end.stats;
        return event.end;
      }
      if (event.token.id >= 0) meter.add(event.token.level);
      onToken(event.token);
    }
    throw new ServerError("The server did not say how the text ended.", 0);
  } catch (error) {
    if (running.signal.aborted) return { finish: "stopped", seed: body.seed };
    throw error;
  } finally {
    page.running = null;
  }
}

async function write(turn, body) {
  const meter = new Meter();
  page.turns.push(turn);
  page.last = null;
  following(() => turnsBox.append(turn.element));
  main.scrollTop = main.scrollHeight;
  speech.begin();
  say("Reading …");
  const done = take(body, meter, (token) => {
    if (!turn.text) say("Writing …");
    turn.add(token);
    speech.add(token.text);
  });
  showTools();
  watch(meter, () => following(() => {
    turn.flush();
    showMeter(meter);
  }));
  try {
    const { finish, seed } = await done;
    if (!page.turns.includes(turn)) return; // the page was begun anew
    following(() => turn.end(finish, seed, meter));
    page.last = { turn, body: { ...body, seed }, meter };
    say(finish === "stopped" ? "Stopped." : "Done.");
  } catch (error) {
    following(() => turn.fail(error.message));
    say("");
    askForKey(error);
  }
  speech.add("", true);
  showMeter(meter);
  following(showTools);
}

// ---- what can be asked for -------------------------------------------------------------------

function settingsAreGood() {
  const form = element("settings-form");
  if (form.checkValidity()) return true;
  showSettings(true);
  form.reportValidity();
  return false;
}

async function ready() {
  return !page.running && settingsAreGood() && (await needModel()) && !page.running;
}

async function send() {
  const prompt = message.value;
  if (!prompt.trim() || !(await ready())) return;
  const body = request(prompt);
  message.value = "";
  fitMessage();
  await write(new Turn(mode(), prompt, page.names), body);
}

// Takes the last turn off the page; another one takes its place.
function takeLast() {
  main.append(element("tools"));
  page.turns.at(-1).element.remove();
  return page.turns.pop();
}

async function regenerate() {
  if (!(await ready())) return;
  const turn = takeLast();
  await write(new Turn(mode(), turn.prompt, page.names, turn.mode === mode() ? turn.before : [turn.prompt]),
    request(turn.prompt));
}

async function goOn() {
  if (!(await ready())) return;
  const turn = takeLast();
  const longer = new Turn("text", turn.prompt + turn.text, page.names, turn.nodes());
  await write(longer, request(longer.prompt));
}

async function compare() {
  const { turn, body, meter } = page.last;
  if (!(await ready())) return;
  const stopped = turn.finish === "stopped", plain = new Meter(), ids = [];
  const view = new Comparison(meter);
  let text = "";
  turn.element.querySelector(".comparison")?.remove();
  following(() => turn.element.append(view.element));
  const limit = stopped ? { max_tokens: turn.ids.length } : {};
  const done = take({ ...body, ...limit, linn: { levels: true, cascade: "off" } }, plain, (token) => {
    if (token.id >= 0) ids.push(token.id);
    text += token.text;
  });
  showTools();
  watch(plain, () => view.show(plain));
  try {
    const { finish } = await done;
    if (finish === "stopped") view.fail("Stopped: nothing was compared.");
    else view.end(plain, [turn.ids, ids], [turn.text, stopped ? text.slice(0, turn.text.length) : text]);
  } catch (error) {
    view.fail(error.message);
    askForKey(error);
  }
  following(showTools);
}

function keepSeed() {
  element("seed").value = page.last.body.seed;
  showSettings(true);
  say(`Seed ${page.last.body.seed} is kept for what follows.`);
}

function stop() {
  if (!page.running) return;
  page.running.abort();
  message.focus();
}

function startAnew() {
  stop();
  page.turns = [];
  page.last = null;
  main.append(element("tools"));
  turnsBox.replaceChildren();
  speech.begin();
  showMeter(null);
  showTools();
  say("");
  message.focus();
}

// ---- events ----------------------------------------------------------------------------------

function fitMessage() {
  message.style.height = "auto";
  message.style.height = `${message.scrollHeight + 2}px`;
}

element("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
message.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
});
message.addEventListener("input", fitMessage);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") stop();
});
element("settings-form").addEventListener("submit", (event) => event.preventDefault());
element("stop").addEventListener("click", stop);
element("again").addEventListener("click", regenerate);
element("continue").addEventListener("click", goOn);
element("compare").addEventListener("click", compare);
element("keep-seed").addEventListener("click", keepSeed);
element("new").addEventListener("click", startAnew);
element("mode").addEventListener("change", showMode);
element("open-settings").addEventListener("click", () => showSettings(element("settings").hidden));
element("key").addEventListener("change", () => {
  sessionStorage.setItem("linn key", element("key").value);
  page.model = null;
  needModel();
});
element("show-cascade").addEventListener("change", (event) => {
  document.body.classList.toggle("cascade", event.target.checked);
  following(() => { element("cascade").hidden = !event.target.checked; });
});

showTools();
showSettings(matchMedia("(min-width: 64rem)").matches);
element("show-cascade").checked = false; // browsers may keep it over a reload
needModel().then(() => message.focus());
