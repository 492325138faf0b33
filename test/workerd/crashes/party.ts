import { expect } from "vitest";
import type { Allocation, PartyHeld, PartyView } from "../../../protocol/index.ts";
import { seatOf, startCluster } from "../support/clusters.ts";
import { call, expectJson, expectProblem } from "../support/master.ts";
import { requestJoin, requestParty, startParty, TestParty } from "../support/parties.ts";
import { allocate, logIn, requestAllocation } from "../support/players.ts";
import type { CrashScenario } from "../support/crash-scenario.ts";
import { fill, leave, newWaiter } from "../support/waiting.ts";
import { eventuallySome } from "../../support/eventually.ts";

/** The members of a party, whatever stops, have one seat each, and nobody else has one. */
export const holding: CrashScenario = {
  flow: "party",
  prepare: async () => {
    const cluster = await startCluster({ capacity: 2 });
    const party = await startParty(2);
    const wish = { clusterId: cluster.id };
    const [key, claimKey, otherKey] = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()];
    let held: PartyHeld | undefined;
    let tickets: Allocation[] = [];
    const claims = async () => [
      await party.claim(party.leader, claimKey),
      await party.claim(party.member(1), otherKey),
    ];
    return {
      begin: async () => {
        await party.hold(wish, key);
        await claims();
      },
      carryOn: async () => {
        held = await party.hold(wish, key);
        tickets = await claims();
      },
      check: async () => {
        expect(await party.hold(wish, key)).toEqual(held);
        expect(await claims()).toEqual(tickets);
        await expectProblem(await requestAllocation(await logIn(), wish), "CLUSTER_FULL");
      },
      finish: async () => {
        const seats = party.members.map(({ player }, index) => seatOf(player, tickets[index]?.ticket ?? ""));
        await cluster.report({ full: true, players: 2, joined: seats });
        await cluster.report({ players: 0, left: seats });
        for (let index = 0; index < 2; index += 1) await allocate(await logIn(), wish);
      },
    };
  },
};

/** A leader who comes with another key after the first was lost half way gets seats for all once, and those of the first are free. */
export const beginningAnew: CrashScenario = {
  flow: "party",
  steps: ["recorded", "asking", "reserved", "held"],
  beside: true,
  prepare: async () => {
    const [first, second] = [await startCluster({ capacity: 2 }), await startCluster({ capacity: 3 })];
    const party = await startParty(2);
    const [newcomer, key, otherKey] = [await logIn(), crypto.randomUUID(), crypto.randomUUID()];
    const others = [await logIn(), await logIn()];
    const keys = [crypto.randomUUID(), crypto.randomUUID()];
    let held: PartyHeld | undefined;
    return {
      begin: async () => party.hold({ clusterId: first.id }, key),
      carryOn: async () => {
        // Only where nothing stopped has it seats, which have to be given up first.
        const { state } = await party.show();
        if (state === "held") await call("DELETE", `${party.path}/allocate`, { token: party.leader.accessToken });
        else expect(state).toBe("open");
        await expectJson(await requestJoin(newcomer, party.view), 200);
        held = await party.hold({ clusterId: second.id }, otherKey);
        expect(held.members).toHaveLength(3);
        for (const [index, each] of others.entries()) {
          const request = { clusterId: first.id };
          await eventuallySome(async () => (await requestAllocation(each, request, keys[index])).status === 200);
        }
      },
      check: async () => {
        expect(await party.hold({ clusterId: second.id }, otherKey)).toEqual(held);
        for (const member of [...party.members, newcomer]) await party.claim(member);
        await expectProblem(await requestAllocation(await logIn(), { clusterId: second.id }), "CLUSTER_FULL");
      },
    };
  },
};

/** Who makes a party or joins one is in one party, whatever stops. */
export const entering: CrashScenario = {
  flow: "party",
  steps: ["noted"],
  prepare: async () => {
    const [leader, friend] = [await logIn(), await logIn()];
    let party: TestParty | undefined;
    return {
      begin: async () => requestParty(leader),
      carryOn: async () => {
        const view = await expectJson<PartyView>(await requestParty(leader), 200);
        await expectJson(await requestJoin(friend, view), 200);
        party = new TestParty(view, [leader, friend]);
      },
      check: async () => {
        expect(party?.view.id).toBe((await expectJson<PartyView>(await requestParty(leader), 200)).id);
        expect((await party?.show(friend))?.members.map(({ playerId }) => playerId)).toEqual([
          leader.player.id,
          friend.player.id,
        ]);
        await expectProblem(await requestParty(friend), "IN_ANOTHER_PARTY");
      },
    };
  },
};

/** A party that waits keeps its place, and is served whole, once. */
export const waiting: CrashScenario = {
  flow: "party",
  steps: ["queued", "visited"],
  prepare: async () => {
    const cluster = await startCluster({ capacity: 2 });
    const clusterId = cluster.id;
    const guests = await fill(cluster);
    const party = await startParty(2);
    const key = crypto.randomUUID();
    const ask = async () => party.requestHold({ clusterId, wait: true }, key);
    return {
      begin: async () => ask(),
      carryOn: async () => {
        await expectJson(await ask(), 202);
        const single = await newWaiter({ clusterId });
        expect(single.waiting?.position).toBe(2);
        await leave(cluster, guests);
        await eventuallySome(async () => (await ask()).status === 200);
        expect(await single.ask()).toBeUndefined();
      },
      check: async () => {
        await expectJson(await ask(), 200);
        for (const member of party.members) await party.claim(member);
        await expectProblem(await requestAllocation(await logIn(), { clusterId }), "CLUSTER_FULL");
      },
    };
  },
};

/** What a party gives up is free for others, whatever stops. */
export const givingUp: CrashScenario = {
  flow: "party",
  steps: ["telling"],
  prepare: async () => {
    const cluster = await startCluster({ capacity: 2 });
    const party = await startParty(2);
    const wish = { clusterId: cluster.id };
    const [player, other] = [await logIn(), await logIn()];
    const keys = [crypto.randomUUID(), crypto.randomUUID()];
    const giveUp = async () => call("DELETE", `${party.path}/allocate`, { token: party.leader.accessToken });
    await party.hold(wish);
    return {
      begin: async () => giveUp(),
      carryOn: async () => {
        expect((await giveUp()).status).toBe(204);
        for (const [index, each] of [player, other].entries()) {
          await eventuallySome(async () => (await requestAllocation(each, wish, keys[index])).status === 200);
        }
      },
      check: async () => {
        for (const [index, each] of [player, other].entries()) await allocate(each, wish, keys[index]);
        await expectProblem(await party.requestClaim(party.leader), "PARTY_NOT_READY");
        await expectProblem(await party.requestHold(wish), "CLUSTER_FULL");
        expect((await giveUp()).status).toBe(204);
      },
    };
  },
};
