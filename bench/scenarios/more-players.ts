import type { ContenderName } from "../contenders/contender.ts";
import { type Alias, compare } from "../row.ts";
import { measureWindows, type SteadyLoad } from "../steady.ts";
import { worldLoads } from "../world-plan.ts";
import type { Scenario } from "./scenario.ts";
import { outcomesOf, WorldLoad } from "./world-load.ts";

/** One world, with more and more players in it. */
export interface MorePlayers {
  readonly name: string;
  readonly contender: ContenderName;
  /** Side of the square in which so many players walk. */
  readonly areaSide: (players: number) => number;
  /** What each of them is shown in a second, in frames. */
  readonly framesPerSecond: (players: number) => number;
  readonly costOf?: SteadyLoad["costOf"];
  readonly unit: string;
  /** Greatest cost beside that with the fewest players. */
  readonly goal: number;
}

/** Measures all loads in one run, and compares each with the smallest one. */
export function withMorePlayers(world: MorePlayers): Scenario {
  const { name, contender, areaSide, framesPerSecond, costOf, unit, goal } = world;
  return {
    name,
    needsPeers: false,
    run: async (setup, wanted) => {
      if (!wanted(contender)) return [];
      const load = new WorldLoad(areaSide);
      const runs = await measureWindows(setup, {
        scenario: name,
        entrants: worldLoads.map((players) => ({
          key: String(players),
          contender,
          players,
          perSecond: players * framesPerSecond(players),
        })),
        payloadBytes: 0,
        tickHz: load.tickHz,
        ...(costOf === undefined ? {} : { costOf }),
        start: (side, entrant) => load.start(side, entrant),
        stop: (side, entrant) => load.stop(side, entrant),
        onWindow: (side, entrant, edge) => load.onWindow(side, entrant, edge),
      });
      const [first = 0, ...others] = worldLoads;
      const as = (players: number): Alias => ({ key: String(players), title: `${players} players` });
      const comparisons = others.map((players) => ({
        ours: contender,
        oursAs: as(players),
        peer: contender,
        as: as(first),
        goal,
      }));
      return compare(name, unit, outcomesOf(runs), comparisons);
    },
  };
}
