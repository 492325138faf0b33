import { compare, type Row } from "../row.ts";
import { everyone, measureWindows } from "../steady.ts";
import { sideOf } from "../world-plan.ts";
import type { Scenario } from "./scenario.ts";
import { outcomesOf, updateOutcomesOf, worldHz, WorldLoad } from "./world-load.ts";

const contenders = ["sustenet-world", "raw-tls-world", "colyseus-world"] as const;
const ours = "sustenet-world";

/**
 * Players who walk about, 20 moves and 20 frames a second each, and see the 50 nearest of about 100 in range. The floor
 * reads and writes the same bytes as often, and has no game at all; Colyseus shows each player the same.
 */
export const worldViews: Scenario = {
  name: "world-views",
  run: async (setup, wanted) => {
    const rows: Row[] = [];
    for (const players of setup.loads) {
      const scenario = `world, ${players} players`;
      const load = new WorldLoad(sideOf);
      const runs = await measureWindows(setup, {
        scenario,
        entrants: everyone(contenders.filter(wanted), players, players * worldHz),
        // What the cluster writes on average, the floor writes too.
        payloadBytes: async (opened) => {
          const [first] = opened;
          if (first === undefined) return 0;
          const { bytes, frames } = await first.world();
          return Math.round(bytes / Math.max(1, frames)) + 3;
        },
        tickHz: load.tickHz,
        start: (side, entrant) => load.start(side, entrant),
        stop: (side, entrant) => load.stop(side, entrant),
        onWindow: (side, entrant, edge) => load.onWindow(side, entrant, edge),
      });
      rows.push(
        ...compare(scenario, "µs of CPU a player and frame", outcomesOf(runs), [
          { ours, peer: "raw-tls-world", goal: 1.4 },
        ]),
        ...compare(scenario, "µs of CPU an entity update", updateOutcomesOf(runs), [
          { ours, peer: "colyseus-world", goal: 0.2 },
        ]),
        ...compare(`${scenario}, tick p99`, "ms", load.tickOutcomes(runs), [
          { ours, peer: "raw-tls-world", goal: null },
          { ours, peer: "colyseus-world", goal: null },
        ]),
      );
    }
    return rows;
  },
};
