import { type Alias, compare } from "../row.ts";
import { measureWindows } from "../steady.ts";
import { sideOf, worldLoads } from "../world-plan.ts";
import type { Scenario } from "./scenario.ts";
import { outcomesOf, worldHz, WorldLoad } from "./world-load.ts";

const contender = "sustenet-world";

/** The same world with more and more players, as dense as before: what a tick costs for each of them must not grow with their number. */
export const worldGrowth: Scenario = {
  name: "world-growth",
  needsPeers: false,
  run: async (setup, wanted) => {
    if (!wanted(contender)) return [];
    const load = new WorldLoad(sideOf);
    const runs = await measureWindows(setup, {
      scenario: "world-growth",
      entrants: worldLoads.map((players) => ({
        key: String(players),
        contender,
        players,
        perSecond: players * worldHz,
      })),
      payloadBytes: 0,
      tickHz: load.tickHz,
      start: (side, entrant) => load.start(side, entrant),
      stop: (side, entrant) => load.stop(side, entrant),
      onWindow: (side, entrant, edge) => load.onWindow(side, entrant, edge),
    });
    return compare("world-growth", "µs of CPU a player and tick", outcomesOf(runs), besideTheFirst(1.25));
  },
};

/** Each load beside the smallest one. */
export function besideTheFirst(goal: number) {
  const [first = 0, ...others] = worldLoads;
  const as = (players: number): Alias => ({ key: String(players), title: `${players} players` });
  return others.map(
    (players) => ({ ours: contender, oursAs: as(players), peer: contender, as: as(first), goal }) as const,
  );
}
