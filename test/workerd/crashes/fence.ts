import { expect } from "vitest";
import { seatOf, startCluster } from "../support/clusters.ts";
import type { CrashScenario } from "../support/crash-scenario.ts";
import { allocate, logIn } from "../support/players.ts";
import { askSession } from "../support/sessions.ts";
import { eventually } from "../../support/eventually.ts";

/** The cluster that a newer session has left behind is told until it has obeyed; meanwhile it saves nothing. */
export const scenario: CrashScenario = {
  flow: "fence",
  prepare: async () => {
    const [older, newer] = [await startCluster(), await startCluster()];
    const player = await logIn();
    const { id: playerId } = player.player;
    const left = seatOf(player.player, (await allocate(player, { clusterId: older.id })).ticket);
    await older.report({ full: true, players: 1, joined: [left] });
    const taken = seatOf(player.player, (await allocate(player, { clusterId: newer.id })).ticket);
    const fence = { type: "fence", playerId, generation: taken.generation } as const;
    const save = (generation: number) => ({ type: "save", generation, version: 1, state: btoa("gold") }) as const;
    return {
      begin: async () => newer.report({ full: true, players: 1, joined: [taken] }),
      carryOn: async () => {
        await newer.report({ full: true, players: 1, joined: [taken] });
        await eventually(async () => expect(await older.report({ players: 1 })).toContainEqual(fence));
      },
      check: async () => {
        expect(await older.report({ players: 1 })).toContainEqual(fence);
        expect(await askSession(older, playerId, save(left.generation))).toEqual([fence]);
        expect(await askSession(newer, playerId, save(taken.generation))).toMatchObject([{ type: "saved" }]);
      },
      finish: async () => {
        await older.report({ players: 0, left: [left] });
        expect(await older.report({ players: 0 })).not.toContainEqual(fence);
      },
    };
  },
};
