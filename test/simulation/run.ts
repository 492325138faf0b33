/**
 * Simulates the handover beyond what the tests do.
 *
 * `npm run simulate -- --seeds N [--seed S]`  N random lives, from seed S (1) on
 * `npm run simulate -- --explore [--long]`    every world of the scenes
 * `npm run simulate -- --mutants`             what the explorer finds when a rule is broken, with the way there
 *
 * Exit code 1 when something was found that should not be (with `--mutants`: when something was not found that should).
 */
import { isAskingForHelp } from "../../cli/command-help.ts";
import { parseTyped } from "../../cli/typed-options.ts";
import { UsageError } from "../../cli/usage-error.ts";
import { mutants } from "./mutants.ts";
import { faithful } from "./parts.ts";
import { exploreScene, scenes } from "./scenes.ts";
import { walk } from "./walk.ts";

const maxWorlds = 20_000_000;
const progressEveryMs = 5_000;
/** Of a long trace, the end tells most. */
const shownMoves = 80;

const help = `npm run simulate [-- OPTIONS]   simulates handovers beyond what the tests do

  --seeds N            N random lives (default 1000)
  --seed S             the first of them (default 1)
  --explore [--long]   every world of the scenes
  --mutants            what the explorer finds when a rule is broken, with the way there
  --help               this text`;

const args = process.argv.slice(2);
if (isAskingForHelp(args)) {
  console.log(help);
  process.exit(0);
}
const values = readArguments();

if (values.explore) exploreAll(values.long);
else if (values.mutants) showMutants();
else walkAll(parseCount("--seeds", values.seeds ?? "1000"), parseCount("--seed", values.seed));

function readArguments() {
  const options = {
    seeds: { type: "string" },
    seed: { type: "string", default: "1" },
    explore: { type: "boolean", default: false },
    long: { type: "boolean", default: false },
    mutants: { type: "boolean", default: false },
  } as const;
  try {
    return parseTyped(args, options, false).values;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\n\n${help}`);
    process.exit(2);
  }
}

function parseCount(name: string, text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) {
    console.error(`${name} takes a whole number from 1 to 999999999, not "${text}".`);
    process.exit(2);
  }
  return Number(text);
}

function walkAll(seeds: number, first: number): void {
  const sums = { seeds: 0, moves: 0, handovers: 0, commits: 0, aborts: 0, kills: 0, breaks: 0, lost: 0, failed: 0 };
  let shownAtMs = Date.now();
  for (let seed = first; seed < first + seeds; seed += 1) {
    const { faults, trace, handovers } = walk(seed, faithful);
    sums.seeds += 1;
    sums.moves += trace.length;
    sums.handovers += handovers;
    for (const move of trace) {
      if (move.endsWith(": committed")) sums.commits += 1;
      else if (move.endsWith(": aborted")) sums.aborts += 1;
      else if (move.includes(" is killed")) sums.kills += 1;
      else if (move.includes(" breaks")) sums.breaks += 1;
      else if (move.startsWith("lost: ")) sums.lost += 1;
    }
    if (faults.length > 0) {
      sums.failed += 1;
      console.log(`\nseed ${seed}: ${faults.join("; ")}`);
      showTrace(trace);
      console.log(`again: npm run simulate -- --seeds 1 --seed ${seed}`);
    }
    if (Date.now() - shownAtMs > progressEveryMs) {
      shownAtMs = Date.now();
      console.log(`${sums.seeds} of ${seeds} lives, ${sums.handovers} handovers, ${sums.failed} failed`);
    }
  }
  console.log(JSON.stringify(sums));
  if (sums.failed > 0) process.exitCode = 1;
}

function exploreAll(long: boolean): void {
  for (const scene of scenes) {
    if (scene.long === true && !long) continue;
    const startedMs = Date.now();
    const { worlds, moves, settled, complete, counterexample } = exploreScene(scene, faithful, maxWorlds);
    const seconds = ((Date.now() - startedMs) / 1_000).toFixed(1);
    const end = complete ? "all" : "not all";
    console.log(`${scene.name}: ${worlds} worlds (${end}), ${moves} moves, ${settled} ends, ${seconds} s`);
    if (counterexample === undefined && complete) continue;
    process.exitCode = 1;
    console.log(counterexample?.faults.join("\n") ?? "there are more worlds than this run was allowed");
    showTrace(counterexample?.trace ?? []);
  }
}

function showMutants(): void {
  for (const mutant of mutants) {
    const scene = scenes.find((one) => one.name === mutant.scene);
    if (scene === undefined) throw new Error(`no scene "${mutant.scene}"`);
    const { counterexample } = exploreScene(scene, mutant.parts, maxWorlds);
    console.log(`\nIf ${mutant.name} (with ${mutant.scene}):`);
    if (counterexample === undefined) {
      process.exitCode = 1;
      console.log("NOTHING WAS FOUND");
      continue;
    }
    showTrace(counterexample.trace);
    console.log(counterexample.faults.join("\n"));
  }
}

function showTrace(trace: readonly string[]): void {
  const from = Math.max(0, trace.length - shownMoves);
  if (from > 0) console.log(`… ${from} moves …`);
  for (const [index, move] of trace.slice(from).entries()) console.log(`${from + index + 1}. ${move}`);
}
