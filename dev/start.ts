/** `npm start`: a master, clusters and players on this machine, each a process of its own. Flags: `npm start -- --help`. */
import { randomUUID } from "node:crypto";
import { forgottenDashes } from "./forgotten-dashes.ts";
import { parseStartOptions, startFlagNames, startHelp, type StartOptions } from "./options.ts";
import { startPlayers } from "./player-processes.ts";
import { killAll, type StackProcess } from "./process.ts";
import { createStateDir } from "./state-dir.ts";
import { lockState } from "./state-lock.ts";
import { startCluster, startMaster } from "./stack.ts";
import { worldPart } from "./world-part.ts";
import { isFlawless, type Summary } from "./tally.ts";

const progressIntervalMs = 1_000;

const options = readOptions();
const say = (who: string, what: string): void => {
  const line = `${new Date().toISOString().slice(11, 19)}  ${who.padEnd(10)} ${what}\n`;
  (options.json ? process.stderr : process.stdout).write(line);
};

const forgotten = forgottenDashes("npm start", startFlagNames, process.env);
if (forgotten !== undefined) say("sustenet", forgotten);

const interrupt = new AbortController();
const { signal } = interrupt;
const interrupted = new Promise<"interrupted">((resolve) => {
  signal.addEventListener("abort", () => resolve("interrupted"));
});
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.on(name, () => {
    if (signal.aborted) process.exit(130);
    say("sustenet", "stopping; once more to stop at once");
    interrupt.abort();
  });
}
process.on("exit", killAll);

const started: StackProcess[] = [];
let isStopping = false;
try {
  process.exitCode = await run();
} catch (error) {
  if (signal.aborted) {
    process.exitCode = options.seconds === undefined ? 0 : 1;
  } else {
    say("sustenet", `failed: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
} finally {
  isStopping = true;
  // The players first, then the clusters, the master last: each can still say goodbye to the next.
  for (const child of started.toReversed()) await child.stop();
  say("sustenet", "everything is stopped");
}

async function run(): Promise<number> {
  const stateDir = createStateDir(options.stateDir);
  lockState(stateDir, "stack", { pid: process.pid, command: "npm start" });
  const master = await startMaster({ stateDir, port: options.port, say, signal });
  started.push(master);
  say("master", `process ${master.pid}`);
  void master.ended.then((how) => say("master", isStopping ? "ended" : `ended (${how}); whoever plays plays on`));

  // Players ask for clusters of this run alone: neither for one of your own beside it nor for what an earlier run left behind.
  const stack = randomUUID();
  const settings = [`labels = ["stack=${stack}"]`];
  const clusters = await Promise.allSettled(
    Array.from({ length: options.clusters }, async (_, index) => {
      const number = index + 1;
      const part = worldPart(number, options.clusters);
      const cluster = await startCluster({ stateDir, number, master, part, settings, say, signal });
      started.push(cluster);
      say(cluster.title, `process ${cluster.pid}`);
      void cluster.ended.then((how) => say(cluster.title, isStopping ? "ended" : `ended (${how})`));
    }),
  );
  // All of them, so that none is still on its way when the others are stopped.
  for (const cluster of clusters) if (cluster.status === "rejected") throw cluster.reason;
  if (options.players === 0) {
    await interrupted;
    return 0;
  }

  const players = startPlayers({ masterUrl: master.url, stack, count: options.players, say });
  started.push(...players.processes);
  const outcome = await Promise.race([players.allTried, interrupted]);
  if (outcome !== "interrupted") {
    say("players", `${players.joined()} of ${options.players} have joined; they play`);
    players.play();
    await playOn(() => players.summary());
  }
  await players.leave();
  const summary = players.summary();
  report(summary);
  return options.seconds === undefined || isFlawless(summary) ? 0 : 1;
}

/** Shows progress until the time is up or someone presses Ctrl-C. */
async function playOn(summary: () => Summary): Promise<void> {
  const progress = setInterval(() => {
    const { players, connected, handovers, sent, received, rttMs } = summary();
    say(
      "players",
      `${connected} of ${players} connected, ${sent} sent, ${received} received, round trip p50 ${rttMs.p50 ?? "–"} ms, p99 ${rttMs.p99 ?? "–"} ms, ${handovers} handed over`,
    );
  }, progressIntervalMs);
  const timeUp = Promise.withResolvers<void>();
  const timer = options.seconds === undefined ? undefined : setTimeout(timeUp.resolve, options.seconds * 1_000);
  await Promise.race([timeUp.promise, interrupted]);
  clearTimeout(timer);
  clearInterval(progress);
}

function report(summary: Summary): void {
  const { players, joined, connected, sent, received, lost, duplicated } = summary;
  say(
    "players",
    `${joined}/${players} joined, ${connected} stayed, ${sent} sent, ${received} received, ${lost} lost, ${duplicated} doubled`,
  );
  if (options.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
}

function readOptions(): StartOptions {
  try {
    const parsed = parseStartOptions(process.argv.slice(2));
    if (parsed !== "help") return parsed;
    console.log(startHelp);
    process.exit(0);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${startHelp}`);
    process.exit(2);
  }
}
