import { expect } from "vitest";
import type { Allocation, PlayerSessionTokens } from "../../../protocol/index.ts";
import { seatOf, startCluster, startOn } from "../support/clusters.ts";
import { expectProblem } from "../support/master.ts";
import { allocate, logIn, requestAllocation } from "../support/players.ts";
import type { CrashRun, CrashScenario } from "../support/crash-scenario.ts";
import { eventually } from "../../support/eventually.ts";

/** A retry gets the identical ticket, the one seat is given once, and it is free again when its player has left. */
export const scenario: CrashScenario = { flow: "allocate", prepare: async () => wantOneSeat(await logIn()) };

/** The same for who has allocated before: of this operation nothing is stored before there is a ticket, and the seat is found again by its name. */
export const drafted: CrashScenario = {
  flow: "allocate",
  beside: true,
  steps: ["recorded", "asking", "chosen", "reserved", "seated", "signed", "committed", "keeping"],
  prepare: async () => {
    const [player, spare] = [await logIn(), await startCluster({ capacity: 1 })];
    await allocate(player, { clusterId: spare.id });
    return wantOneSeat(player);
  },
};

async function wantOneSeat(player: PlayerSessionTokens): Promise<CrashRun> {
  const [cluster, other] = [await startCluster({ capacity: 1 }), await logIn()];
  const key = crypto.randomUUID();
  const wish = { clusterId: cluster.id };
  let first: Allocation | undefined;
  return {
    begin: async () => requestAllocation(player, wish, key),
    carryOn: async () => {
      first = await allocate(player, wish, key);
    },
    check: async () => {
      expect(await allocate(player, wish, key)).toEqual(first);
      await expectProblem(await requestAllocation(other, wish), "CLUSTER_FULL");
    },
    finish: async () => {
      const seat = seatOf(player.player, first?.ticket ?? "");
      await cluster.report({ full: true, players: 1, joined: [seat] });
      await eventually(async () => expectProblem(await requestAllocation(player, wish, key), "TICKET_CONSUMED"));
      await cluster.report({ players: 0, left: [seat] });
      await allocate(other, wish);
    },
  };
}

/** Who wants something else after a crash has it: on the same cluster the same seat, elsewhere another one; what was lost ends with its time. */
export const changed: CrashScenario = {
  flow: "allocate",
  beside: true,
  steps: ["reserved", "signed"],
  prepare: async () => {
    const [cluster, spare] = [await startCluster({ capacity: 1 }), await startCluster({ capacity: 1 })];
    const [player, other] = [await logIn(), await logIn()];
    await allocate(player, { clusterId: spare.id });
    const wish = { clusterId: cluster.id, policy: "load" } as const;
    const [key, again] = [crypto.randomUUID(), crypto.randomUUID()];
    let newest: Allocation | undefined;
    return {
      begin: async () => requestAllocation(player, { clusterId: cluster.id }, key),
      carryOn: async () => {
        newest = await allocate(player, wish, again);
      },
      check: async () => {
        expect(await allocate(player, wish, again)).toEqual(newest);
        await expectProblem(await requestAllocation(other, wish), "CLUSTER_FULL");
      },
      finish: async () => {
        const seat = seatOf(player.player, newest?.ticket ?? "");
        await cluster.report({ full: true, players: 1, joined: [seat] });
        await eventually(async () => expectProblem(await requestAllocation(player, wish, again), "TICKET_CONSUMED"));
        await cluster.report({ players: 0, left: [seat] });
      },
    };
  },
};

/** Who comes back to a cluster that keeps the session gets the one seat there, and the same ticket however often. */
export const returning: CrashScenario = {
  flow: "allocate",
  steps: ["returning"],
  prepare: async () => {
    const cluster = await startCluster({ capacity: 1 });
    const [player, other] = [await logIn(), await logIn()];
    const [key, keyBack] = [crypto.randomUUID(), crypto.randomUUID()];
    const wish = { clusterId: cluster.id };
    const seat = seatOf(player.player, (await allocate(player, wish, key)).ticket);
    await cluster.report({ full: true, players: 1, joined: [seat] });
    await eventually(async () => expectProblem(await requestAllocation(player, wish, key), "TICKET_CONSUMED"));
    let back: Allocation | undefined;
    return {
      begin: async () => requestAllocation(player, {}, keyBack),
      carryOn: async () => {
        back = await allocate(player, {}, keyBack);
        expect(back.cluster.id).toBe(cluster.id);
      },
      check: async () => {
        expect(await allocate(player, {}, keyBack)).toEqual(back);
        await expectProblem(await requestAllocation(other, wish), "CLUSTER_FULL");
      },
      finish: async () => {
        const again = seatOf(player.player, back?.ticket ?? "");
        await cluster.report({ players: 1, joined: [again], left: [seat] });
        await cluster.report({ players: 0, left: [again] });
        await allocate(other, wish);
      },
    };
  },
};

/** An older ticket for another cluster of the same shard ends with the seat that replaces it: its own is asked for until it is free. */
export const replacing: CrashScenario = {
  flow: "allocate",
  steps: ["taken", "noted", "reserved"],
  prepare: async () => {
    const [before, after] = [await startOn("default.0", { capacity: 1 }), await startOn("default.0", { capacity: 1 })];
    const [player, other] = [await logIn(), await logIn()];
    const [olderKey, key] = [crypto.randomUUID(), crypto.randomUUID()];
    const older = seatOf(player.player, (await allocate(player, { clusterId: before.id }, olderKey)).ticket);
    let replaced: Allocation | undefined;
    return {
      begin: async () => requestAllocation(player, { clusterId: after.id }, key),
      carryOn: async () => {
        replaced = await allocate(player, { clusterId: after.id }, key);
      },
      check: async () => {
        expect(await allocate(player, { clusterId: after.id }, key)).toEqual(replaced);
        await expectProblem(
          await requestAllocation(player, { clusterId: before.id }, olderKey),
          "RESERVATION_CANCELLED",
        );
        await expectProblem(await requestAllocation(other, { clusterId: before.id }), "CLUSTER_FULL");
        await expectProblem(await requestAllocation(other, { clusterId: after.id }), "CLUSTER_FULL");
        expect(await before.report()).toContainEqual(expect.objectContaining({ type: "cancel", ...older }));
      },
      finish: async () => {
        await before.report({ cancelled: [older] });
        await allocate(other, { clusterId: before.id });
      },
    };
  },
};
