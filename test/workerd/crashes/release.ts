import { expect } from "vitest";
import { seatOf, startCluster } from "../support/clusters.ts";
import type { CrashScenario } from "../support/crash-scenario.ts";
import { call, expectProblem } from "../support/master.ts";
import { allocate, logIn, requestAllocation } from "../support/players.ts";
import { eventually } from "../../support/eventually.ts";

/** A seat that is given back is taken until its cluster answers for it, which it is asked until it does; then it is free once. */
export const scenario: CrashScenario = {
  flow: "release",
  prepare: async () => {
    const cluster = await startCluster({ capacity: 1 });
    const [player, other] = [await logIn(), await logIn()];
    const key = crypto.randomUUID();
    const wish = { clusterId: cluster.id };
    const { ticket, reservationId } = await allocate(player, wish, key);
    const seat = seatOf(player.player, ticket);
    const giveBack = async () => call("DELETE", `/v1/allocate/${reservationId}`, { token: player.accessToken });
    return {
      begin: giveBack,
      carryOn: async () => {
        expect((await giveBack()).status).toBe(204);
      },
      check: async () => {
        await expectProblem(await requestAllocation(player, wish, key), "RESERVATION_CANCELLED");
        await expectProblem(await requestAllocation(other, wish), "CLUSTER_FULL");
        await eventually(async () =>
          expect(await cluster.report()).toContainEqual(expect.objectContaining({ type: "cancel", ...seat })),
        );
      },
      finish: async () => {
        await cluster.report({ cancelled: [seat] });
        await allocate(other, wish);
        await expectProblem(await requestAllocation(await logIn(), wish), "CLUSTER_FULL");
      },
    };
  },
};
