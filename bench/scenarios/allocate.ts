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

/**
 * A whole authenticated `POST /v1/allocate`, beside the same hops without what they are for (one token check, two object calls that
 * write a row each, one signature), and beside Hono's "hello". All three are in one Worker, in one workerd.
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
      const sides: Readonly<Record<"allocate" | "bare" | "hello", () => Call>> = {
        allocate: () => allocation("/v1/allocate", nextPlayer().token),
        bare: () => allocation("/bench/bare", nextPlayer().token),
        hello: () => ({ method: "GET", path: "/bench/hello", headers: {} }),
      };
      const windows = { allocate: [] as CallWindow[], bare: [] as CallWindow[], hello: [] as CallWindow[] };
      for (const next of Object.values(sides)) await caller.run(effort.warmUpMs, next);
      for (let round = 1; round <= effort.rounds; round += 1) {
        say(`allocate: round ${round} of ${effort.rounds}`);
        for (const side of ["allocate", "bare", "hello"] as const) {
          await caller.run(effort.settleMs, sides[side]);
          const window = await measureCalls(master, cores, caller, effort.windowMs, sides[side]);
          say(`allocate: ${side}: ${Math.round(window.costUs)} µs a request`);
          windows[side].push(window);
        }
      }
      const ours = outcomeOfCalls(windows.allocate);
      const unit = "µs of workerd's CPU a request";
      const of = { scenario: "allocate", unit };
      return [
        rowOf({ ...of, against: "the same hops without logic", goal: 1.5 }, ours, outcomeOfCalls(windows.bare)),
        rowOf({ ...of, against: "bare Hono hello", goal: null }, ours, outcomeOfCalls(windows.hello)),
      ];
    } finally {
      caller.close();
      await master.dispose();
    }
  },
};
