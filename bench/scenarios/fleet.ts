import { registerClusters } from "../master/clusters.ts";
import { startBenchMaster } from "../master/master.ts";
import { allocation, createPlayers } from "../master/players.ts";
import { Caller } from "../master/requests.ts";
import { type CallWindow, measureCalls, outcomeOfCalls, rowOf } from "../master/windows.ts";
import type { Outcome, Row } from "../row.ts";
import type { Scenario } from "./scenario.ts";

const sizes = [10, 100, 1_000, 10_000] as const;
const players = 500;
const parallel = 16;

/** What an allocation costs as the clusters of one shard become more: it may grow with the logarithm of their number. */
export const fleet: Scenario = {
  name: "fleet",
  needsPeers: false,
  run: async (setup) => {
    const { cores, effort, say } = setup;
    const master = await startBenchMaster(cores, { LEASE_MS: "600000" }, say);
    const caller = new Caller(master.port, parallel);
    const registering = new Caller(master.port, 64);
    try {
      const nextPlayer = await createPlayers(master, players);
      const next = () => allocation("/v1/allocate", nextPlayer().token);
      const outcomes = new Map<number, Outcome>();
      let registered = 0;
      for (const size of sizes) {
        say(`fleet: ${size} clusters register`);
        await registerClusters(master, registering, registered, size);
        registered = size;
        await caller.run(effort.warmUpMs, next);
        const windows: CallWindow[] = [];
        for (let round = 1; round <= Math.ceil(effort.rounds / 2); round += 1) {
          windows.push(await measureCalls(master, cores, () => caller.run(effort.windowMs, next)));
        }
        outcomes.set(size, outcomeOfCalls(windows));
        say(`fleet: ${size} clusters: ${windows.map(({ costUs }) => Math.round(costUs)).join(", ")} µs a request`);
      }
      return rowsOf(outcomes);
    } finally {
      caller.close();
      registering.close();
      await master.dispose();
    }
  },
};

function rowsOf(outcomes: ReadonlyMap<number, Outcome>): Row[] {
  const [smallest, ...others] = sizes;
  const base = outcomes.get(smallest);
  return others.flatMap((size) => {
    const outcome = outcomes.get(size);
    if (base === undefined || outcome === undefined) return [];
    const goal = Math.log(size) / Math.log(smallest);
    const of = {
      scenario: "fleet",
      against: `${size} clusters beside ${smallest}`,
      unit: "µs of workerd's CPU a request",
    };
    return [rowOf({ ...of, goal }, outcome, base)];
  });
}
