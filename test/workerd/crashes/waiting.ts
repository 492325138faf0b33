import { expect } from "vitest";
import type { Allocation, Waiting } from "../../../protocol/index.ts";
import { seatOf, startCluster } from "../support/clusters.ts";
import { expectJson, expectProblem } from "../support/master.ts";
import { allocate, logIn, requestAllocation } from "../support/players.ts";
import type { CrashScenario } from "../support/crash-scenario.ts";
import { eventually, eventuallySome } from "../../support/eventually.ts";

/** Who waits loses no place, is served in order, exactly once, and nobody overtakes. */
export const scenario: CrashScenario = {
  flow: "waiting",
  prepare: async () => {
    const cluster = await startCluster({ capacity: 1 });
    const clusterId = cluster.id;
    const [guest, first, second, newcomer] = [await logIn(), await logIn(), await logIn(), await logIn()];
    const { ticket } = await allocate(guest, { clusterId });
    const seat = seatOf(guest.player, ticket);
    const wish = { clusterId, wait: true };
    const [key, otherKey] = [crypto.randomUUID(), crypto.randomUUID()];
    let got: Allocation | undefined;

    const ask = async (): Promise<Allocation | undefined> => {
      const response = await requestAllocation(first, wish, key);
      return response.status === 200 ? response.json<Allocation>() : undefined;
    };
    const placeOfSecond = async () =>
      expectJson<Waiting>(await requestAllocation(second, wish, otherKey), 202).then(({ position }) => position);
    return {
      begin: async (hasStopped) => {
        await requestAllocation(first, wish, key);
        await cluster.report({ full: true, players: 1, joined: [seat] });
        await cluster.report({ players: 0, left: [seat] });
        await eventuallySome(async () => hasStopped() || (await ask()) !== undefined);
      },
      carryOn: async () => {
        await requestAllocation(first, wish, key);
        await expectProblem(await requestAllocation(newcomer, { clusterId }), "CLUSTER_FULL");
        // Comes later, and stays behind.
        expect(await placeOfSecond()).toBeLessThanOrEqual(2);
        await cluster.report({ full: true, players: 0, left: [seat] });
        got = await eventuallySome(ask);
      },
      check: async () => {
        expect(await allocate(first, wish, key)).toEqual(got);
        await expectProblem(await requestAllocation(newcomer, { clusterId }), "CLUSTER_FULL");
        await eventually(async () => expect(await placeOfSecond()).toBe(1));
      },
      finish: async () => {
        const taken = seatOf(first.player, got?.ticket ?? "");
        await cluster.report({ players: 1, joined: [taken] });
        await cluster.report({ players: 0, left: [taken] });
        await eventuallySome(async () => (await requestAllocation(second, wish, otherKey)).status === 200);
      },
    };
  },
};
