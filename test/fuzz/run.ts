/**
 * `npm run fuzz -- TARGET --seconds S [--frames N] [--seed N] [--patience S]`: random input, from a seed, with progress.
 *
 * `frames` is the frame parser and the decoders, in this process; `cluster` a live cluster over TLS and WebSocket, on
 * loopback. `patience` is what a player beside the attack may wait for an answer, 2 s unless said otherwise: on a machine that has
 * more to do, time passes that is not the cluster's fault. Ends with a line of JSON, and with exit code 1 if anything went wrong: the seed in it shows the same again.
 */
import { isAskingForHelp } from "../../cli/command-help.ts";
import { parseTyped } from "../../cli/typed-options.ts";
import { UsageError } from "../../cli/usage-error.ts";
import { readCorpus } from "./corpus.ts";
import { fuzzFrames } from "./frames.ts";
import { fuzzCluster } from "./live-cluster.ts";

const targets = { frames: fuzzFrames, cluster: fuzzCluster } as const;

const help = `npm run fuzz -- frames|cluster [OPTIONS]   random input, from a seed; the last line is JSON

  frames         the frame parser and the decoders, in this process
  cluster        a live cluster over TLS and WebSocket, on loopback
  --seconds S    for how long (default 60)
  --frames N     ends sooner, after so many
  --seed N       shows the same again (default: one by the clock)
  --patience S   what a player beside the attack may wait for an answer (default 2)
  --help         this text`;

const args = process.argv.slice(2);
if (isAskingForHelp(args)) {
  console.log(help);
  process.exit(0);
}
const { positionals, values } = readArguments();

function readArguments() {
  const options = {
    seconds: { type: "string", default: "60" },
    frames: { type: "string", default: "Infinity" },
    seed: { type: "string", default: String(Date.now() % 1_000_000_007) },
    patience: { type: "string", default: "2" },
  } as const;
  try {
    return parseTyped(args, options, true);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\n\n${help}`);
    process.exit(2);
  }
}

const [name] = positionals;
const seconds = Number(values.seconds);
const maxFrames = Number(values.frames);
const seed = Number(values.seed);
const patienceMs = Number(values.patience) * 1_000;
const numbersOk = seconds > 0 && maxFrames > 0 && patienceMs > 0 && Number.isInteger(seed);
if ((name !== "frames" && name !== "cluster") || !numbersOk) {
  console.error(help);
  process.exit(2);
}
console.log(`fuzzing ${name}, seed ${seed}, for ${seconds} s`);
const run = { seed, endsAtMs: performance.now() + seconds * 1_000, maxFrames, patienceMs };
const result = await targets[name](run, readCorpus());
// If nothing was refused, the fuzzer is broken, and proves nothing.
const ok = result.fault === undefined && result.frames > 0 && result.refused > 0;
console.log(JSON.stringify({ target: name, seed, ok, ...result }));
process.exit(ok ? 0 : 1);
