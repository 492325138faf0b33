/**
 * A process of players, told what to do over IPC. Arguments: the master's URL, the first player's number, how many,
 * the label of the clusters that they ask for.
 * It reports each join and, twice a second, its tally.
 */
import { Player } from "./player.ts";
import { createTally, type Tally } from "./tally.ts";

export type PlayersOrder = { readonly order: "play" } | { readonly order: "leave" };

export type PlayersReport =
  | { readonly event: "joined"; readonly number: number; readonly cluster: string; readonly ms: number }
  | { readonly event: "failed"; readonly number: number; readonly reason: string }
  | { readonly event: "tally"; readonly tally: Tally }
  | { readonly event: "done"; readonly tally: Tally };

/** Joins under way at a time in this process. */
const parallelJoins = 4;

const [masterUrl = "", first = "0", count = "0", stack = ""] = process.argv.slice(2);
const tally = createTally();
const players = Array.from(
  { length: Number(count) },
  (_, index) => new Player({ masterUrl, stack, number: Number(first) + index, tally, say: console.error }),
);

process.on("disconnect", () => process.exit(1));
process.on("message", (message: PlayersOrder) => {
  if (message.order === "play") for (const player of players) player.play();
  else void leave();
});

const queue = [...players.entries()];
await Promise.all(Array.from({ length: parallelJoins }, joinNext));
const reports = setInterval(() => {
  countConnected();
  report({ event: "tally", tally });
}, 500);

async function joinNext(): Promise<void> {
  for (let entry = queue.shift(); entry !== undefined; entry = queue.shift()) {
    const [index, player] = entry;
    const number = Number(first) + index;
    const startedAt = performance.now();
    try {
      const cluster = await player.join();
      report({ event: "joined", number, cluster, ms: Math.round(performance.now() - startedAt) });
    } catch (error) {
      report({ event: "failed", number, reason: error instanceof Error ? error.message : String(error) });
    }
  }
}

function countConnected(): void {
  tally.connected = players.filter((player) => player.isConnected).length;
}

async function leave(): Promise<void> {
  await Promise.all(players.map((player) => player.finish()));
  clearInterval(reports);
  countConnected();
  await Promise.all(players.map((player) => player.leave()));
  report({ event: "done", tally });
  process.disconnect();
  process.exit(0);
}

function report(message: PlayersReport): void {
  process.send?.(message);
}
