// llama_time - times llama.cpp as ik_time.cpp times ik_llama.cpp, through the npm package
// node-llama-cpp, which ships llama.cpp built for each kind of processor.
//
//   node llama_time.mjs FOLDER MODEL THREADS CONTEXT KV(f16|q8_0) REPACK(0|1) ROUNDS N...
//
// FOLDER is where the package was installed; REPACK is not read: llama.cpp decides. Prints lines
// "release NAME", "load MS", "prompt512 MS" and, for each N, "passN MS": medians of the rounds. Passes are without
// logits, since the package would make tokens of them too: the peer is spared the output matrix.
import {createRequire} from "node:module";
import path from "node:path";
import {pathToFileURL} from "node:url";

const [folder, file, threads, context, kv, , rounds, ...widths] = process.argv.slice(2);
if (widths.length === 0) {
    console.error("usage: llama_time.mjs FOLDER MODEL THREADS CONTEXT KV REPACK ROUNDS N...");
    process.exit(2);
}
const entry = createRequire(path.resolve(folder, "x.js")).resolve("node-llama-cpp");
const {getLlama} = await import(pathToFileURL(entry));

const llama = await getLlama({gpu: false, build: "never", maxThreads: Number(threads), progressLogs: false});
console.log("release", llama.llamaCppRelease.release);
const begin = performance.now();
const model = await llama.loadModel({modelPath: file});
console.log("load", (performance.now() - begin).toFixed(2));
const vocab = [...model.iterateAllTokens()].length;
const type = kv === "q8_0" ? "Q8_0" : "F16";
const ctx = await model.createContext({
    contextSize: Math.max(Number(context) + 64, 576), batchSize: 512, threads: {ideal: Number(threads), min: Number(threads)},
    flashAttention: "auto", experimentalKvCacheKeyType: type, experimentalKvCacheValueType: type
});
const sequence = ctx.getSequence();
const tokens = (from, n) => Array.from({length: n}, (_, i) => ((from + i) * 7919 + 13) % (vocab - 10) + 5);
const read = (from, n) => sequence.evaluateWithoutGeneratingNewTokens(tokens(from, n));

async function report(name, from, times, step) {
    const ms = [];
    for (let i = 0; i < times; i++) {
        const start = performance.now();
        await step();
        ms.push(performance.now() - start);
        await sequence.eraseContextTokenRanges([{start: from, end: sequence.nextTokenIndex}]);
    }
    ms.sort((a, b) => a - b);
    console.log(name, ms[ms.length >> 1].toFixed(4));
}

await read(0, 64); // caches and threads are warm from here on
await sequence.eraseContextTokenRanges([{start: 0, end: 64}]);
await report("prompt512", 0, Math.min(Number(rounds), 3), () => read(0, 512));
await read(0, Number(context));
for (const n of widths)
    await report(`pass${n}`, Number(context), Number(rounds), () => read(Number(context), Number(n)));
await llama.dispose();
