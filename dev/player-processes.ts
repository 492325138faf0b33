import { join } from "node:path";
import type { PlayersOrder, PlayersReport } from "./players.ts";
import { startProcess, type StackProcess } from "./process.ts";
import type { Say } from "./stack.ts";
import { createTally, summarize, type Summary, type Tally } from "./tally.ts";

const maxProcesses = 8;
/** With more players than this, single joins are not shown. */
const shownJoins = 12;
const leaveTimeoutMs = 20_000;

/** The players of the local stack, spread over a few processes. */
export interface PlayerProcesses {
  readonly processes: readonly StackProcess[];
  /** Resolves when every player has joined or failed to. */
  readonly allTried: Promise<void>;
  /** How many have joined so far. */
  joined(): number;
  play(): void;
  /** Lets all finish and leave; resolves when their processes have ended. */
  leave(): Promise<void>;
  summary(): Summary;
}

export function startPlayers(options: {
  readonly masterUrl: string;
  /** The label `stack` of the clusters that they ask for. */
  readonly stack: string;
  readonly count: number;
  readonly say: Say;
}): PlayerProcesses {
  const { count, masterUrl, stack, say } = options;
  const processCount = Math.min(count, maxProcesses);
  const tallies: Tally[] = Array.from({ length: processCount }, createTally);
  const everyoneTried = Promise.withResolvers<void>();
  let tried = 0;
  let joined = 0;

  const onReport = (index: number, report: PlayersReport): void => {
    switch (report.event) {
      case "joined":
        tried += 1;
        joined += 1;
        if (count <= shownJoins || tried % 10 === 0) {
          const who = `player-${report.number + 1}`;
          say(who, `logged in, allocated, joined ${report.cluster} in ${report.ms} ms (${tried}/${count})`);
        }
        break;
      case "failed":
        tried += 1;
        say(`player-${report.number + 1}`, `could not join: ${report.reason}`);
        break;
      case "tally":
      case "done":
        tallies[index] = report.tally;
        break;
    }
    if (tried === count) everyoneTried.resolve();
  };

  const processes = Array.from({ length: processCount }, (_, index) => {
    const first = Math.floor((count * index) / processCount);
    const next = Math.floor((count * (index + 1)) / processCount);
    return startProcess({
      title: `players-${index + 1}`,
      file: join(import.meta.dirname, "players.ts"),
      args: [masterUrl, String(first), String(next - first), stack],
      onLine: (line) => say(`players-${index + 1}`, line),
      onMessage: (message) => {
        if (isReport(message)) onReport(index, message);
      },
    });
  });
  let isLeaving = false;
  for (const { title, ended } of processes) {
    void ended.then((how) => {
      if (isLeaving) return;
      say(title, `ended (${how}): its players are counted as they were last`);
      everyoneTried.resolve();
    });
  }
  const order = (message: PlayersOrder): void => {
    for (const { child } of processes) if (child.connected) child.send(message);
  };

  return {
    processes,
    allTried: everyoneTried.promise,
    joined: () => joined,
    play: () => order({ order: "play" }),
    leave: async () => {
      isLeaving = true;
      order({ order: "leave" });
      const ended = Promise.all(processes.map((process) => process.ended));
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, leaveTimeoutMs);
      await Promise.race([ended, promise]);
      clearTimeout(timer);
    },
    summary: () => ({ ...summarize(count, tallies), joined }),
  };
}

function isReport(message: unknown): message is PlayersReport {
  return typeof message === "object" && message !== null && "event" in message;
}
