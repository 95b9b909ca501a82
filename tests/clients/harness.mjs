// harness.mjs - what tests in JavaScript share: running cases, a linn serve, and a proxy before
// it that can hold, change or cut what comes, so that nothing depends on time.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export const load = createRequire(new URL("../../build-node/", import.meta.url));
const { CLIENTS_LINN: LINN, CLIENTS_MODELS: MODELS } = process.env;

// Runs the cases, {name: async function}, and says of each how it went, in cmocka's words.
// CLIENTS_ONLY: a part of the names of those to be run.
export async function run(cases) {
  let failed = 0;
  for (const [name, test] of Object.entries(cases)) {
    if (!name.includes(process.env.CLIENTS_ONLY ?? "")) continue;
    console.log(`[ RUN      ] ${name}`);
    try {
      await test();
      console.log(`[       OK ] ${name}`);
    } catch (error) {
      failed++;
      console.log(error.stack);
      console.log(`[  FAILED  ] ${name}`);
    }
  }
  return failed === 0;
}

// A running linn serve: {port, stop()}. Tests may be stopped for long, so no limit of time.
export async function serve(model, ...options) {
  const patient = ["header", "body", "idle", "send"].flatMap((name) => [`--${name}-time`, "3600"]);
  const child = spawn(LINN, ["serve", model, "--port", "0", "-t", "1", ...patient, ...options],
    { stdio: ["ignore", "ignore", "pipe"] });
  const said = [];
  const port = await new Promise((resolve, reject) => {
    createInterface(child.stderr).on("line", (line) => {
      said.push(line);
      const found = / at http:\/\/127\.0\.0\.1:(\d+),/.exec(line);
      if (found) resolve(Number(found[1]));
    });
    child.on("exit", (status) => reject(new Error(`linn serve ended with ${status}: ${said.join("\n")}`)));
  });
  return {
    port,
    async stop() {
      if (child.exitCode !== null) return;
      child.kill("SIGTERM");
      const [status] = await once(child, "exit");
      if (status !== 0) throw new Error(`linn serve ended with ${status}: ${said.join("\n")}`);
    },
  };
}

// A copy of rill that says it has a chat template: {path, remove()}. The new key goes before the
// others, in a multiple of the alignment, so that everything after it only moves.
export function chatModel() {
  const string = (text) => {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
    return Buffer.concat([length, Buffer.from(text)]);
  };
  const key = (template) => Buffer.concat([string("tokenizer.chat_template"), Buffer.from([8, 0, 0, 0]), string(template)]);
  const template = "<|im_start|> <|im_end|>", file = readFileSync(join(MODELS, "rill.gguf"));
  const added = key(template + " ".repeat(31 - ((key(template).length + 31) % 32)));
  file.writeBigUInt64LE(file.readBigUInt64LE(16) + 1n, 16);
  const folder = mkdtempSync(join(tmpdir(), "linn-clients-")), path = join(folder, "chatty.gguf");
  writeFileSync(path, Buffer.concat([file.subarray(0, 24), added, file.subarray(24)]));
  return { path, remove: () => rmSync(folder, { recursive: true }) };
}

// Stands before a server. `bodies` are the requests' texts, in order. Each stream passes event by
// event; `hold` of them pass before it waits for release() or break(). All that reset() names
// holds until it is called again.
export class Proxy {
  constructor(port) {
    this.upstream = port;
    this.bodies = [];
    this.closed = 0; // streams that the client left early
    this.reset();
    this.server = http.createServer((request, response) => this.pass(request, response));
  }

  async start() {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    this.url = `http://127.0.0.1:${this.server.address().port}/`;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }

  reset() {
    this.hold = Infinity;
    this.answer = null; // {status, headers, body}: instead of the server
    this.change = (event) => event; // text of each event
    this.release?.();
    this.released = new Promise((resolve) => { this.release = resolve; });
  }

  async pass(request, response) {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts);
    if (request.method === "POST") this.bodies.push(JSON.parse(body));
    if (this.answer && request.method === "POST") {
      response.writeHead(this.answer.status, this.answer.headers).end(this.answer.body);
      return;
    }
    const { method, url: path, headers } = request;
    const upward = http.request({ port: this.upstream, host: "127.0.0.1", method, path, headers });
    response.on("close", () => {
      this.closed += !response.writableFinished;
      upward.destroy();
    });
    upward.on("error", () => response.destroy());
    upward.on("response", (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      this.relay(answer, response).catch(() => response.destroy());
    });
    upward.end(body);
  }

  async relay(answer, response) {
    if (!answer.headers["content-type"]?.startsWith("text/event-stream")) {
      answer.pipe(response);
      return;
    }
    const { hold, change, released } = this;
    this.break = () => response.destroy();
    let rest = "", passed = 0;
    for await (const part of answer.setEncoding("utf8")) {
      const events = (rest + part).split("\n\n");
      rest = events.pop();
      for (const event of events) {
        if (passed === hold) await released;
        response.write(`${change(event, passed++)}\n\n`);
      }
    }
    response.end();
  }
}
