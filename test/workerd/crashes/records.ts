import { expect } from "vitest";
import { startCluster } from "../support/clusters.ts";
import type { CrashScenario } from "../support/crash-scenario.ts";
import { allocate, logIn } from "../support/players.ts";
import { historyOf, writeRecordsNow } from "../support/records.ts";

/** What was written, and not yet crossed off, is written again, and is on record once. */
export const scenario: CrashScenario = {
  flow: "records",
  prepare: async () => {
    const cluster = await startCluster();
    const player = await logIn();
    await writeRecordsNow();
    return {
      begin: async () => {
        await allocate(player, { clusterId: cluster.id });
        await writeRecordsNow();
      },
      carryOn: async () => writeRecordsNow(),
      check: async () => {
        expect(await historyOf(player.player)).toMatchObject([{ clusterId: cluster.id, outcome: "open" }]);
      },
    };
  },
};
