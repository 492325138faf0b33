import { compare } from "../row.ts";
import { measureWindows } from "../steady.ts";
import { crowdHz, spot, worldLoads } from "../world-plan.ts";
import type { Scenario } from "./scenario.ts";
import { besideTheFirst } from "./world-growth.ts";
import { outcomesOf, WorldLoad } from "./world-load.ts";

const contender = "sustenet-crowd";

/** All gather in one spot, where everybody is in everybody's range: thresholds by population bound what each of them costs a second. */
export const worldCrowd: Scenario = {
  name: "world-crowd",
  needsPeers: false,
  run: async (setup, wanted) => {
    if (!wanted(contender)) return [];
    const load = new WorldLoad(() => spot);
    const runs = await measureWindows(setup, {
      scenario: "world-crowd",
      entrants: worldLoads.map((players) => ({
        key: String(players),
        contender,
        players,
        perSecond: players * crowdHz(players),
      })),
      payloadBytes: 0,
      tickHz: load.tickHz,
      costOf: "player-second",
      start: (side, entrant) => load.start(side, entrant),
      stop: (side, entrant) => load.stop(side, entrant),
      onWindow: (side, entrant, edge) => load.onWindow(side, entrant, edge),
    });
    return compare("world-crowd", "µs of CPU a player and second", outcomesOf(runs), besideTheFirst(1));
  },
};
