// page.mjs - the page of linn serve in a browser without a screen.
import assert from "node:assert/strict";
import { Proxy, chatModel, load, run, serve } from "./harness.mjs";

const { chromium } = load("playwright-core");
const ROOT = process.getuid() === 0 ? ["--no-sandbox"] : [];
const TOKENS = 40;

const server = await serve("river");
const proxy = new Proxy(server.port);
await proxy.start();
const browser = await chromium.launch({
  executablePath: process.env.CLIENTS_CHROMIUM,
  args: [...ROOT, "--disable-gpu", "--disable-dev-shm-usage"],
  timeout: 0,
});

// A page that has found its model. Errors on its console fail the case, but for those that the
// browser writes of answers with an expected status.
async function onPage(test, { url = proxy.url, ready = true, expected = [], ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage(), wrong = [];
  page.setDefaultTimeout((process.env.CLIENTS_PATIENCE ?? 300) * 1000);
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("console", (line) => {
    if (["error", "warning"].includes(line.type()) && !expected.some((part) => line.text().includes(part)))
      wrong.push(line.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith("data:")) wrong.push(`asked ${request.url()}`);
  });
  proxy.reset();
  proxy.bodies = [];
  await page.goto(url);
  if (ready) {
    await page.waitForFunction(() => document.title !== "linn");
    await page.$eval("#max_tokens", (field, n) => { field.value = n; }, TOKENS);
    await page.$eval("#seed", (field) => { field.value = 3; });
  }
  try {
    await test(page);
  } finally {
    await context.close();
  }
  assert.deepEqual(wrong, []);
}

// A change of events, given as a change of their values.
const changed = (change) => (event, i) => {
  if (!event.startsWith("data: {")) return event;
  const value = JSON.parse(event.slice(6));
  change(value, i);
  return `data: ${JSON.stringify(value)}`;
};

const idle = (page) => page.waitForSelector("#send:not([hidden])");
const answer = (page) => page.locator(".turn").last().locator(".answer").textContent();
const tokens = (page) => page.locator(".turn").last().locator(".answer .token").count();

async function send(page, text) {
  await page.fill("#message", text);
  await page.press("#message", "Enter");
  await page.waitForSelector(".turn");
}

async function sendAndWait(page, text) {
  await send(page, text);
  await idle(page);
}

async function compared(page) {
  await page.click("#compare");
  await page.waitForSelector(".verdict.same, .verdict.different");
  return page.locator(".comparison").innerText();
}

// The text that the API gives for a request of the page.
async function fromApi(body) {
  const response = await fetch(`${proxy.url}v1/completions`, {
    method: "POST", body: JSON.stringify({ ...body, stream: false }),
  });
  return (await response.json()).choices[0];
}

const cases = {
  sends_and_shows_what_comes: () => onPage(async (page) => {
    proxy.hold = 5;
    await send(page, "Once upon a time");
    await page.waitForFunction(() => document.querySelectorAll(".answer .token").length === 5);
    assert.equal(await page.getAttribute(".turn", "aria-busy"), "true");
    assert.equal(await page.inputValue("#message"), "");
    assert.ok(await page.isVisible("#stop"));
    proxy.release();
    await idle(page);
    const [body] = proxy.bodies, whole = await fromApi(body);
    assert.deepEqual([body.prompt, body.seed, body.max_tokens, body.temperature, body.top_k, body.top_p, body.min_p],
      ["Once upon a time", 3, TOKENS, 0.8, 40, 0.95, 0.05]);
    assert.equal(await answer(page), whole.text);
    assert.equal(await page.textContent("#count"), String(TOKENS));
    assert.match(await page.textContent(".facts"), /40 tokens .* seed 3/);
    assert.equal(await page.getAttribute(".turn", "aria-busy"), "false");
    assert.equal((await page.locator("#spoken").textContent()), whole.text);
  }),

  stops_and_goes_on: () => onPage(async (page) => {
    for (const stop of [() => page.keyboard.press("Escape"), () => page.click("#stop")]) {
      const left = proxy.closed;
      proxy.reset();
      proxy.hold = 4;
      await send(page, "It was a dark night");
      await page.waitForFunction(() => document.querySelectorAll(".turn:last-child .answer .token").length === 4);
      await stop();
      await idle(page);
      assert.equal(await tokens(page), 4);
      assert.match(await page.locator(".facts").last().textContent(), /4 tokens.*Stopped/);
      assert.equal(await page.evaluate(() => document.activeElement.id), "message");
      while (proxy.closed === left) await new Promise((wake) => { setTimeout(wake, 10); });
    }
    proxy.reset();
    const start = await answer(page);
    await page.click("#continue");
    await idle(page);
    assert.equal(proxy.bodies.at(-1).prompt, `It was a dark night${start}`);
    assert.equal(await tokens(page), TOKENS);
    assert.ok((await page.locator(".turn").last().locator(".text").textContent()).startsWith(`It was a dark night${start}`));
  }),

  colours_tokens_by_level: () => onPage(async (page) => {
    const levels = []; // of the tokens; made up, since a server drafts only where that pays
    proxy.change = changed((event) => {
      for (const token of event.choices[0].linn?.tokens ?? []) {
        token.level = levels.length % 4;
        if (token.text) levels.push(token.level);
      }
      if (event.linn) {
        const { levels: stats } = event.linn.choices[0];
        for (const level of stats) [level.drafted, level.accepted] = [[], []];
        [stats[1].drafted, stats[1].accepted] = [[20, 10], [15, 6]];
        [stats[3].drafted, stats[3].accepted] = [[10], [9]];
      }
    });
    await sendAndWait(page, "Once upon a time");
    const style = () => page.$$eval(".answer .token", (all) => all.map((t) => {
      const { textDecorationLine: line, textDecorationStyle: kind, textDecorationColor: colour } = getComputedStyle(t);
      return { level: Number(t.className.match(/level-(\d)/)[1]), mark: `${line} ${kind} ${colour}`, line, title: t.title };
    }));
    assert.ok((await style()).every((t) => t.line === "none"));
    assert.ok(await page.isHidden("#legend"));
    await page.getByRole("switch", { name: "Show the cascade" }).check();
    const shown = await style();
    assert.deepEqual(shown.map((t) => t.level), levels);
    const marks = new Map(shown.map((t) => [t.level, t.mark]));
    assert.deepEqual([marks.size, new Set(marks.values()).size], [4, 4]);
    assert.ok(shown.every((t) => (t.level === 0) === (t.line === "none")));
    assert.ok(shown.some((t) => t.title === "proposed by brook"));
    const legend = await page.$$eval("#legend li", (all) => all.map((item) => item.innerText));
    assert.deepEqual(legend.map((line) => line.split(/ (?=\d)/)[0]), ["river itself", "brook", "rill", "Max-Gram"]);
    assert.ok(legend.every((line) => line.endsWith(" 25 %")), legend.join());
    assert.equal(await page.textContent("#accepted"), "75 %");
    assert.equal(await page.textContent("#drafted"), "75 %");
  }),

  compares_with_plain_decoding: () => onPage(async (page) => {
    await sendAndWait(page, "Once upon a time");
    const text = await answer(page), said = await compared(page);
    assert.match(said, /Same text: all 40 tokens are equal/);
    assert.equal(said.match(/\d (ms|s)\b/g).length, 2);
    assert.deepEqual(proxy.bodies[1], { ...proxy.bodies[0], linn: { levels: true, cascade: "off" } });
    assert.equal(await answer(page), text);

    proxy.change = changed((event, i) => { if (i === 6) event.choices[0].linn.tokens[0].id = 0; });
    assert.match(await compared(page), /Not the same text: it differs from token 7 on/);
    assert.equal(await page.locator(".comparison").count(), 1);
  }),

  compares_what_was_stopped: () => onPage(async (page) => {
    proxy.hold = 9;
    await send(page, "Once upon a time");
    await page.waitForFunction(() => document.querySelectorAll(".answer .token").length === 9);
    await page.keyboard.press("Escape");
    await idle(page);
    proxy.reset();
    assert.match(await compared(page), /Same text: all 9 tokens are equal/);
    assert.equal(proxy.bodies[1].max_tokens, 9);
    proxy.hold = 2;
    await page.click("#compare");
    await page.waitForSelector("#stop:not([hidden])");
    await page.keyboard.press("Escape");
    await page.getByText("nothing was compared").waitFor();
  }),

  regenerates_and_keeps_seeds: () => onPage(async (page) => {
    await page.fill("#seed", "");
    await sendAndWait(page, "The old man");
    const first = await answer(page);
    await page.click("#again");
    await idle(page);
    assert.equal(await page.locator(".turn").count(), 1);
    assert.notEqual(proxy.bodies[1].seed, proxy.bodies[0].seed);
    assert.notEqual(await answer(page), first);
    const second = await answer(page);
    await page.click("#keep-seed");
    assert.equal(await page.inputValue("#seed"), String(proxy.bodies[1].seed));
    await page.click("#again");
    await idle(page);
    assert.equal(await answer(page), second);
    await page.click("#new");
    assert.equal(await page.locator(".turn").count(), 0);
    assert.ok(await page.isVisible("#welcome"));
  }),

  needs_no_mouse: () => onPage(async (page) => {
    assert.equal(await page.evaluate(() => document.activeElement.id), "message");
    await page.keyboard.type("One");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("two");
    assert.equal(await page.inputValue("#message"), "One\ntwo");
    assert.equal(proxy.bodies.length, 0);
    await page.keyboard.press("Enter");
    await page.waitForSelector(".turn");
    await idle(page);
    assert.equal(proxy.bodies[0].prompt, "One\ntwo");
    await page.keyboard.press("Enter"); // nothing is written
    assert.equal(proxy.bodies.length, 1);
    const nameless = await page.$$eval("button, input, select, textarea", (all) => all
      .filter((e) => !(e.labels?.length || e.ariaLabel || (e.tagName === "BUTTON" && e.textContent.trim())))
      .map((e) => e.outerHTML));
    assert.deepEqual(nameless, []);
    const reached = new Set();
    await page.locator("body").press("Tab");
    for (let i = 0; i < 40; i++) {
      reached.add(await page.evaluate(() => document.activeElement.id));
      await page.keyboard.press("Tab");
    }
    for (const id of ["show-cascade", "open-settings", "temperature", "seed", "message", "again", "compare", "keep-seed"])
      assert.ok(reached.has(id), id);
  }),

  refuses_settings_that_cannot_be: () => onPage(async (page) => {
    await page.click("#open-settings"); // closed
    assert.equal(await page.getAttribute("#open-settings", "aria-expanded"), "false");
    await page.evaluate(() => { document.getElementById("temperature").value = "9"; });
    await page.fill("#message", "Once");
    await page.press("#message", "Enter");
    await page.waitForSelector("#settings:not([hidden])");
    assert.equal(proxy.bodies.length, 0);
    assert.equal(await page.inputValue("#message"), "Once");
  }),

  says_what_the_server_says: () => onPage(async (page) => {
    await send(page, "word ".repeat(3000));
    assert.match(await page.getByRole("alert").textContent(), /1024/);
    await idle(page);
    const error = JSON.stringify({ error: { message: "the queue is full", type: "rate_limit_error", param: null, code: null } });
    proxy.answer = { status: 429, headers: { "Retry-After": "2", "Content-Type": "application/json" }, body: error };
    await send(page, "Once");
    await page.getByRole("alert").filter({ hasText: /the queue is full .*again in 2 s/ }).waitFor();
    proxy.answer = { status: 502, headers: {}, body: "<h1>Bad gateway</h1>" };
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByText("The server answered 502").waitFor();
    proxy.reset();
    await page.click("#again");
    await idle(page);
    assert.equal(await tokens(page), TOKENS);
  }, { expected: ["400", "429", "502"] }),

  says_when_the_connection_breaks: () => onPage(async (page) => {
    proxy.hold = 6;
    await send(page, "Once");
    await page.waitForFunction(() => document.querySelectorAll(".answer .token").length === 6);
    proxy.break();
    assert.match(await page.getByRole("alert").textContent(), /connection ended before/);
    assert.equal(await tokens(page), 6);
    await page.context().setOffline(true);
    await send(page, "Twice");
    await page.getByText("cannot be reached").waitFor();
  }, { expected: ["ERR_"] }),

  takes_text_as_text: () => onPage(async (page) => {
    const hostile = '<img src=x onerror="document.title=1"><script>document.title=2</script>&lt;';
    proxy.change = changed((event, i) => { if (i === 1) event.choices[0].linn.tokens[0].text = hostile; });
    await sendAndWait(page, hostile);
    assert.equal(await page.locator(".turn img, .turn script").count(), 0);
    assert.equal(await page.title(), "linn · river");
    assert.equal(await page.locator(".asked").textContent(), hostile);
    assert.ok((await answer(page)).includes(hostile));
  }),

  fits_a_narrow_screen: () => onPage(async (page) => {
    await page.click("#open-settings");
    await page.fill("#max_tokens", "200");
    await page.fill("#seed", "3");
    await page.click("#open-settings");
    await page.check("#show-cascade");
    proxy.hold = 160; // more than fits
    await send(page, "Once upon a time " + "a".repeat(120));
    await page.waitForFunction(() => document.querySelectorAll(".answer .token").length === 160);
    proxy.release();
    await idle(page);
    const end = await page.$eval("#tools", (tools) => tools.getBoundingClientRect().bottom);
    assert.ok(end <= await page.$eval("#main", (main) => main.getBoundingClientRect().bottom), "the end is out of sight");
    await compared(page);
    for (const settings of [false, true]) {
      if (settings) await page.click("#open-settings");
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "scrolls sideways");
      const outside = await page.$$eval("button, input, select, textarea, .token, dd, td, th, #legend li", (all) => all
        .filter((e) => e.checkVisibility() && !e.closest(".unseen"))
        .filter((e) => { const box = e.getBoundingClientRect(); return box.left < 0 || box.right > innerWidth; })
        .map((e) => e.outerHTML));
      assert.deepEqual(outside, []);
    }
    assert.ok(await page.evaluate(() => document.getElementById("main").clientHeight > 60));
    assert.ok(await page.isVisible("#message") && await page.isVisible("#send"));
  }, { viewport: { width: 360, height: 640 }, ready: false }),

  is_light_and_dark: () => onPage(async (page) => {
    const light = () => page.evaluate(() => {
      const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number);
      return r + g + b > 384;
    });
    assert.equal(await light(), true);
    await page.emulateMedia({ colorScheme: "dark" });
    assert.equal(await light(), false);
  }, { colorScheme: "light" }),

  async asks_for_a_key() {
    const guarded = await serve("rill", "--api-key", "secret"), url = `http://127.0.0.1:${guarded.port}/`;
    await onPage(async (page) => {
      await page.getByLabel("API key").waitFor();
      assert.match(await page.textContent("#state"), /API key/);
      await page.getByLabel("API key").fill("secret");
      await page.keyboard.press("Tab");
      await page.waitForFunction(() => document.title === "linn · rill");
      await page.fill("#max_tokens", "8");
      await sendAndWait(page, "Once");
      assert.equal(await page.textContent("#count"), "8");
    }, { url, ready: false, expected: ["401"] });
    await guarded.stop();
  },

  async chats() {
    const model = chatModel(), chatty = await serve(model.path), before = new Proxy(chatty.port);
    await before.start();
    await onPage(async (page) => {
      await page.fill("#system", "Be brief.");
      await sendAndWait(page, "Hello");
      const first = await answer(page);
      await sendAndWait(page, "And then?");
      const [, { messages }] = before.bodies;
      assert.deepEqual(messages, [
        { role: "system", content: "Be brief." }, { role: "user", content: "Hello" },
        { role: "assistant", content: first }, { role: "user", content: "And then?" }]);
      assert.ok(first.length > 0);
      assert.ok(await page.isHidden("#continue"));
      await page.click("#again");
      await idle(page);
      assert.deepEqual(before.bodies[2], before.bodies[1]);
      assert.match(await compared(page), /Same text/);
      await page.selectOption("#mode", "text");
      await sendAndWait(page, "Once");
      assert.equal(before.bodies.at(-1).prompt, "Once");
    }, { url: before.url });
    before.stop();
    await chatty.stop();
    model.remove();
  },
};

const good = await run(cases);
await browser.close();
proxy.stop();
await server.stop();
process.exit(good ? 0 : 1);
