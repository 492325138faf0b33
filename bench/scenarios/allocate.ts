import { setTimeout as pause } from "node:timers/promises";
import { registerClusters } from "../master/clusters.ts";
import { startBenchMaster } from "../master/master.ts";
import { allocation, createPlayers } from "../master/players.ts";
import { type Call, Caller } from "../master/requests.ts";
import { type CallWindow, measureCalls, outcomeOfCalls, rowOf } from "../master/windows.ts";
import type { Scenario } from "./scenario.ts";

const players = 500;
const clusters = 10;
/** Calls under way at a time. */
const parallel = 16;
/** After so long without a call, workerd puts an object away: 10 s, and some for it to be done. */
const asleepAfterMs = 12_000;

type Side = "allocate" | "bare" | "hello";

/**
 * A whole authenticated `POST /v1/allocate`, beside the same hops without what they are for (one token check, two object calls that
 * write a row each, one signature), and beside Hono's "hello". All three are in one Worker, in one workerd. Once with players whose objects
 * are awake, as those have who come again within seconds, and once with players whose objects have been put away, which have to be opened.
 */
export const allocate: Scenario = {
  name: "allocate",
  needsPeers: false,
  run: async (setup) => {
    const { cores, effort, say } = setup;
    const master = await startBenchMaster(cores, { LEASE_MS: "600000" }, say);
    const caller = new Caller(master.port, parallel);
    try {
      await registerClusters(master, caller, 0, clusters);
      const nextPlayer = await createPlayers(master, players);
      const call: Readonly<Record<Side, () => Call>> = {
        allocate: () => allocation("/v1/allocate", nextPlayer().token),
        bare: () => allocation("/bench/bare", nextPlayer().token),
        hello: () => ({ method: "GET", path: "/bench/hello", headers: {} }),
      };
      const onePerPlayer = (side: Side) => caller.all(Array.from({ length: players }, call[side]));
      const awake: Record<Side, CallWindow[]> = { allocate: [], bare: [], hello: [] };
      const asleep: Record<"allocate" | "bare", CallWindow[]> = { allocate: [], bare: [] };
      for (const next of Object.values(call)) await caller.run(effort.warmUpMs, next);
      for (let round = 1; round <= effort.rounds; round += 1) {
        say(`allocate: round ${round} of ${effort.rounds}`);
        for (const side of ["allocate", "bare", "hello"] as const) {
          // All of them are awake after this, whatever was measured before.
          await onePerPlayer(side);
          const window = await measureCalls(master, cores, () => caller.run(effort.windowMs, call[side]));
          say(`allocate: ${side}: ${Math.round(window.costUs)} µs a request`);
          awake[side].push(window);
        }
        await pause(asleepAfterMs);
        for (const side of ["allocate", "bare"] as const) {
          const window = await measureCalls(master, cores, () => onePerPlayer(side));
          say(`allocate: ${side}, players' objects asleep: ${Math.round(window.costUs)} µs a request`);
          asleep[side].push(window);
        }
      }
      const ours = outcomeOfCalls(awake.allocate);
      const unit = "µs of workerd's CPU a request";
      const of = { scenario: "allocate", unit };
      const against = "the same hops without logic";
      return [
        rowOf({ ...of, against, goal: 1.5 }, ours, outcomeOfCalls(awake.bare)),
        rowOf(
          { ...of, against: `${against}, players' objects asleep`, goal: 1.5 },
          outcomeOfCalls(asleep.allocate),
          outcomeOfCalls(asleep.bare),
        ),
        rowOf({ ...of, against: "bare Hono hello", goal: null }, ours, outcomeOfCalls(awake.hello)),
      ];
    } finally {
      caller.close();
      await master.dispose();
    }
  },
};
