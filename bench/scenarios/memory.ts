import type { ContenderName } from "../contenders/contender.ts";
import { compare, type Outcome } from "../row.ts";
import type { Setup } from "../setup.ts";
import { pause, Side } from "../side.ts";
import { significant } from "../statistics.ts";
import type { Scenario } from "./scenario.ts";

const players = 5_000;
const joinsPerSecond = 200;
/** Joined and gone before the first reading: code is compiled and pools are filled by then. */
const warmUpPlayers = 300;
/** How long the players sit idle before the second reading. */
const idleMs = 5_000;
/** Each needs a process of its own and nearly a minute. */
const maxRounds = 3;

/** How much the server's memory grows with 5,000 players who do nothing, garbage collected, divided by 5,000. */
export const memory: Scenario = {
  name: "memory",
  run: async (setup, wanted) => {
    const contenders = (["sustenet", "raw-tls", "colyseus-wss", "colyseus-ws", "raw-wss"] as const).filter(wanted);
    const values = new Map<string, number[]>();
    const rounds = Math.min(maxRounds, setup.effort.rounds);
    for (let round = 0; round < rounds; round++) {
      for (const contender of contenders) {
        setup.say(`memory: round ${round + 1} of ${rounds}, ${contender} gets its ${players} players`);
        values.set(contender, [...(values.get(contender) ?? []), await kilobytesEach(setup, contender)]);
      }
    }
    const outcomes = new Map<string, Outcome>(
      [...values].map(([contender, list]) => [
        contender,
        { values: list, void: undefined, detail: { runs: list.map((value) => significant(value)) } },
      ]),
    );
    return compare("memory", "KB a connection", outcomes, [
      { peer: "raw-tls", goal: 1.15 },
      { peer: "colyseus-wss", goal: null },
      { peer: "colyseus-ws", goal: null },
      { peer: "raw-wss", goal: null },
    ]);
  },
};

/** In a process that is new each time. */
async function kilobytesEach(setup: Setup, contender: ContenderName): Promise<number> {
  const side = await Side.open(setup, { contender, payloadBytes: 64, tickHz: 30, nodeArguments: ["--expose-gc"] });
  try {
    await side.prepare(warmUpPlayers);
    await side.join(warmUpPlayers, joinsPerSecond);
    await side.leave();
    await pause(1_000);
    const before = await side.rss();
    await side.prepare(players);
    await side.join(players, joinsPerSecond);
    await pause(idleMs);
    const after = await side.rss();
    await side.loadCounts();
    const joined = await side.players();
    if (joined !== players) throw new Error(`${contender} has ${joined} of ${players} players`);
    return (after - before) / players / 1_024;
  } finally {
    await side.close();
  }
}
