// meter.js - how fast a text comes: the counting (Meter), and the strip that shows it.
const number = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 });

export const whole = (value) => number.format(value);
export const perSecond = (value) => (value >= 10 ? number : fine).format(value);
export const percent = (part, all) => (all > 0 ? `${Math.round((100 * part) / all)} %` : "–");
export function duration(ms) {
  if (ms < 1) return "< 1 ms";
  if (ms < 1000) return `${number.format(ms)} ms`;
  return `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`;
}

// Counts tokens of one text, and remembers when they came.
export class Meter {
  constructor() {
    this.begun = performance.now();
    this.points = []; // [time, tokens so far], one for each time at which some came
    this.tokens = 0;
    this.levels = []; // tokens by the level that proposed them
    this.stats = null; // the server's own, once the text has ended
  }

  add(level) {
    const now = performance.now();
    this.levels[level] = (this.levels[level] ?? 0) + 1;
    this.tokens++;
    const last = this.points.at(-1);
    if (last && now - last[0] < 1) last[1] = this.tokens;
    else this.points.push([now, this.tokens]);
  }

  get firstMs() {
    if (this.stats && this.stats.first_token_ms >= 0) return this.stats.first_token_ms;
    return this.points.length ? this.points[0][0] - this.begun : null;
  }

  // From the first token to the last, by the server's clock once it has told.
  get writingMs() {
    if (this.stats) return this.stats.decode_ms;
    return this.points.length ? this.points.at(-1)[0] - this.points[0][0] : 0;
  }

  get rate() {
    return this.writingMs > 0 ? (1000 * this.tokens) / this.writingMs : 0;
  }

  get fromDrafts() {
    return this.tokens - (this.levels[0] ?? 0);
  }

  // [accepted, drafted] over all drafting levels, null before the end.
  get accepted() {
    if (!this.stats) return null;
    const sum = (name) =>
      this.stats.levels.slice(1).reduce((all, level) => all + level[name].reduce((a, b) => a + b, 0), 0);
    return [sum("accepted"), sum("drafted")];
  }

  // Tokens by a time, as a line through the points.
  at(time) {
    const after = this.points.findIndex((point) => point[0] >= time);
    if (after < 0) return this.tokens;
    if (after === 0) return this.points[0][1];
    const [t0, n0] = this.points[after - 1], [t1, n1] = this.points[after];
    return n0 + ((n1 - n0) * (time - t0)) / (t1 - t0);
  }

  // The speed at n moments from first token to last, each over a fifteenth of that time.
  curve(n) {
    if (this.points.length < 3) return [];
    const from = this.points[0][0], to = this.points.at(-1)[0], half = (to - from) / 30;
    return Array.from({ length: n }, (_, i) => {
      const middle = from + half + ((to - from - 2 * half) * i) / (n - 1);
      return (this.at(middle + half) - this.at(middle - half)) / (2 * half);
    });
  }
}

const element = (id) => document.getElementById(id);

function drawCurve(values) {
  const most = Math.max(...values), n = values.length;
  const path = values.map((v, i) => `${i ? "L" : "M"}${((120 * i) / (n - 1)).toFixed(1)} ${(27 - (25 * v) / most).toFixed(1)}`);
  element("spark").firstElementChild.setAttribute("d", n && most > 0 ? path.join("") : "");
}

export function showMeter(meter) {
  const accepted = meter?.accepted;
  element("count").textContent = meter?.tokens ? whole(meter.tokens) : "–";
  element("rate").textContent = meter?.rate ? perSecond(meter.rate) : "–";
  element("first").textContent = meter?.firstMs != null ? duration(meter.firstMs) : "–";
  element("drafted").textContent = meter?.tokens ? percent(meter.fromDrafts, meter.tokens) : "–";
  element("accepted").textContent = accepted ? percent(...accepted) : "–";
  drawCurve(meter ? meter.curve(60) : []);
  const counts = meter?.levels ?? [], all = meter?.tokens ?? 0;
  for (const [i, part] of [...element("bar").children].entries()) part.style.flexGrow = counts[i] ?? 0;
  for (const [i, item] of [...element("legend").children].entries())
    item.lastElementChild.textContent = all ? percent(counts[i] ?? 0, all) : "";
}

// The legend and the bar, for the levels of a model: what levels are called, level 0 first.
export function showLegend(names) {
  element("bar").replaceChildren(...names.map((_, i) => {
    const part = document.createElement("span");
    part.className = `level-${i}`;
    return part;
  }));
  element("legend").replaceChildren(...names.map((name, i) => {
    const item = document.createElement("li"), sample = document.createElement("span");
    const share = document.createElement("span");
    sample.className = `sample level-${i}`;
    sample.textContent = i === 0 ? `${name} itself` : name;
    share.className = "share";
    item.append(sample, " ", share);
    return item;
  }));
}
