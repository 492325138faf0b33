/**
 * `npm run fuzz -- TARGET --seconds S [--frames N] [--seed N] [--patience S]`: random input, from a seed, with progress.
 *
 * `frames` is the frame parser and the decoders, in this process; `cluster` a live cluster over TLS and WebSocket, on
 * loopback. `patience` is what a player beside the attack may wait for an answer, 2 s unless said otherwise: on a machine that has
 * more to do, time passes that is not the cluster's fault. Ends with a line of JSON, and with exit code 1 if anything went wrong: the seed in it shows the same again.
 */
import { parseArgs } from "node:util";
import { readCorpus } from "./corpus.ts";
import { fuzzFrames } from "./frames.ts";
import { fuzzCluster } from "./live-cluster.ts";

const targets = { frames: fuzzFrames, cluster: fuzzCluster } as const;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "60" },
    frames: { type: "string", default: "Infinity" },
    seed: { type: "string", default: String(Date.now() % 1_000_000_007) },
    patience: { type: "string", default: "2" },
  },
});
const [name] = positionals;
const seconds = Number(values.seconds);
const maxFrames = Number(values.frames);
const seed = Number(values.seed);
const patienceMs = Number(values.patience) * 1_000;
const numbersOk = seconds > 0 && maxFrames > 0 && patienceMs > 0 && Number.isInteger(seed);
if ((name !== "frames" && name !== "cluster") || !numbersOk) {
  console.error("usage: npm run fuzz -- frames|cluster --seconds S [--frames N] [--seed N] [--patience S]");
  process.exit(2);
}
console.log(`fuzzing ${name}, seed ${seed}, for ${seconds} s`);
const run = { seed, endsAtMs: performance.now() + seconds * 1_000, maxFrames, patienceMs };
const result = await targets[name](run, readCorpus());
// If nothing was refused, the fuzzer is broken, and proves nothing.
const ok = result.fault === undefined && result.frames > 0 && result.refused > 0;
console.log(JSON.stringify({ target: name, seed, ok, ...result }));
process.exit(ok ? 0 : 1);
