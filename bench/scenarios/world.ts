import { compare, type Row } from "../row.ts";
import { measureSteady } from "../steady.ts";
import { sideOf } from "../world-plan.ts";
import type { Scenario } from "./scenario.ts";

const tickHz = 20;
const loads = [250, 500, 1_000] as const;

/**
 * Players who walk about, 20 moves and 20 frames a second each, and see the 50 nearest of about 100 in range. The floor
 * reads and writes the same bytes as often, and has no game at all.
 */
export const world: Scenario = {
  name: "world",
  run: async (setup, wanted) => {
    const rows: Row[] = [];
    const contenders = (["sustenet-world", "raw-tls-world"] as const).filter(wanted);
    for (const players of loads) {
      const scenario = `world, ${players} players`;
      const outcomes = await measureSteady(setup, {
        scenario,
        contenders,
        players,
        // What the cluster writes on average, the floor writes too.
        payloadBytes: async (opened) => {
          const [ours] = opened;
          if (ours === undefined) return 0;
          const { bytes, frames } = await ours.world();
          return Math.round(bytes / Math.max(1, frames)) + 3;
        },
        tickHz,
        perSecond: players * tickHz,
        start: async (side) => {
          await side.startMoves(players * tickHz, sideOf(players));
          await side.setWork({ messages: 1, payloadBytes: side.options.payloadBytes });
        },
        stop: async (side) => {
          await side.setWork(undefined);
          await side.stopMoves();
          const { bytes, frames, updates, tickP99Ms, held } = await side.world();
          const none: Record<string, number> = {};
          if (frames === 0) return none;
          return { frameBytes: bytes / frames, updatesAFrame: updates / frames, tickP99Ms, held };
        },
      });
      const unit = "µs of CPU a player and update";
      rows.push(...compare(scenario, unit, outcomes, [{ ours: "sustenet-world", peer: "raw-tls-world", goal: 2 }]));
    }
    return rows;
  },
};
