import { expect } from "vitest";
import type { SeatRef } from "../../../protocol/index.ts";
import { seatOf, startCluster } from "../support/clusters.ts";
import type { CrashScenario } from "../support/crash-scenario.ts";
import { expectProblem } from "../support/master.ts";
import { allocate, logIn, requestAllocation } from "../support/players.ts";
import { eventually } from "../../support/eventually.ts";

/** A report that was not acknowledged is told again: it counts once. */
export const scenario: CrashScenario = {
  flow: "report",
  prepare: async () => {
    const cluster = await startCluster({ capacity: 1 });
    const [player, other] = [await logIn(), await logIn()];
    const key = crypto.randomUUID();
    const wish = { clusterId: cluster.id };
    const seat: SeatRef = seatOf(player.player, (await allocate(player, wish, key)).ticket);
    return {
      begin: async () => cluster.report({ full: true, players: 1, joined: [seat] }),
      carryOn: async () => {
        expect(await cluster.report({ full: true, players: 1, joined: [seat] })).toMatchObject([{ type: "ack" }]);
      },
      check: async () => {
        await expectProblem(await requestAllocation(other, wish), "CLUSTER_FULL");
        await eventually(async () => expectProblem(await requestAllocation(player, wish, key), "TICKET_CONSUMED"));
      },
      finish: async () => {
        await cluster.report({ players: 0, left: [seat] });
        await allocate(other, wish);
      },
    };
  },
};
