import { expect } from "vitest";
import { seatOf, startCluster } from "../support/clusters.ts";
import type { CrashScenario } from "../support/crash-scenario.ts";
import { expectProblem } from "../support/master.ts";
import { allocate, logIn, requestAllocation } from "../support/players.ts";
import { historyOf, writeRecordsNow } from "../support/records.ts";
import { eventually } from "../../support/eventually.ts";

/** A ticket that was used counts once: with the player's session, for the seat, and on record. */
export const scenario: CrashScenario = {
  flow: "use",
  prepare: async () => {
    const cluster = await startCluster({ capacity: 1 });
    const [player, other] = [await logIn(), await logIn()];
    const key = crypto.randomUUID();
    const wish = { clusterId: cluster.id };
    const seat = seatOf(player.player, (await allocate(player, wish, key)).ticket);
    const report = async () => cluster.report({ full: true, players: 1, joined: [seat] });
    return {
      begin: report,
      carryOn: async () => {
        await report();
        await eventually(async () => expectProblem(await requestAllocation(player, wish, key), "TICKET_CONSUMED"));
      },
      check: async () => {
        await expectProblem(await requestAllocation(player, wish, key), "TICKET_CONSUMED");
        await expectProblem(await requestAllocation(other, wish), "CLUSTER_FULL");
        await eventually(async () => {
          await writeRecordsNow();
          expect(await historyOf(player.player)).toMatchObject([{ clusterId: cluster.id, outcome: "joined" }]);
        });
      },
      finish: async () => {
        await cluster.report({ players: 0, left: [seat] });
        await allocate(other, wish);
      },
    };
  },
};
