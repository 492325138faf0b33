import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { parseShardMap, shardOfCluster, type ShardMap } from "../../control-plane/domain/clusters/sharding.ts";
import type { RegistryShard } from "../../control-plane/worker.ts";
import type { Allocation, PlayerSessionTokens } from "../../protocol/index.ts";
import {
  assertionOf,
  isDatabaseAway,
  requestRegistration,
  seatOf,
  startCluster,
  TestCluster,
} from "./support/clusters.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { startParty } from "./support/parties.ts";
import { allocate, logIn, logInMany, requestAllocation } from "./support/players.ts";
import { historyOf, writeRecordsNow } from "./support/records.ts";
import { setShards } from "./support/shard-settings.ts";
import { activeKid, publishedKids, ripenNextKey, toldKeys } from "./support/signing-keys.ts";
import { fill, leave, newWaiter } from "./support/waiting.ts";
import { eventually } from "../support/eventually.ts";

/** Three shards in two regions; and four, once the number has been changed. */
const before: ShardMap = { version: 1, regions: { default: 1, eu: 2 }, previous: {} };
const after: ShardMap = { version: 2, regions: { default: 1, eu: 3 }, previous: { eu: 2 } };

beforeEach(async () => {
  await setShards(before);
  for (const name of ["default.0", "eu.0", "eu.1", "eu.2"]) {
    await runInDurableObject(env.REGISTRY_SHARD.getByName(name), (_: RegistryShard, { storage }) => {
      storage.sql.exec("UPDATE clusters SET state = 'gone'");
    });
  }
});

afterAll(async () => setShards(parseShardMap(env.SHARDS) ?? before));

/** A cluster of a region, and one that moves with the change if so wanted. */
async function startMoving(capacity: number, moves: boolean): Promise<TestCluster> {
  for (;;) {
    const cluster = await startCluster({ capacity, region: "eu" });
    if ((shardOfCluster(before, cluster.id) !== shardOfCluster(after, cluster.id)) === moves) return cluster;
    await stop(cluster);
  }
}

async function stop({ id }: TestCluster): Promise<void> {
  const shard = env.REGISTRY_SHARD.getByName(shardOfCluster(before, id) ?? "");
  await runInDurableObject(shard, (_: RegistryShard, { storage }) => {
    storage.sql.exec("UPDATE clusters SET state = 'gone' WHERE cluster_id = ?", id);
  });
}

/** A request, repeated as its caller would while the master is too busy to answer. */
async function persistently(request: () => Promise<Response>): Promise<Response> {
  const deadlineMs = Date.now() + 60_000;
  for (;;) {
    const answer = await request();
    const isBusy =
      answer.status === 500 ||
      (await answer.clone().text()).includes('"ALLOCATION_IN_PROGRESS"') ||
      (await isDatabaseAway(answer));
    if (!isBusy || Date.now() > deadlineMs) return answer;
    await answer.body?.cancel();
  }
}

/** Repeats a request, as its caller would, until it succeeds. */
async function untilDone<T>(request: () => Promise<Response>): Promise<T> {
  return eventually(async () => expectJson<T>(await request(), 200));
}

async function again({ key, details }: TestCluster): Promise<TestCluster> {
  const answer = await persistently(async () => requestRegistration(details, await assertionOf(key, details.instance)));
  return new TestCluster(key, details, await expectJson(answer, 200));
}

/** A ticket for anywhere; whoever gets none asks once more when the change is over. */
async function seek(player: PlayerSessionTokens, changed: Promise<void>): Promise<Allocation | undefined> {
  for (const start of [Promise.resolve(), changed]) {
    await start;
    const key = crypto.randomUUID();
    const answer = await persistently(async () => requestAllocation(player, {}, key));
    if (answer.status === 200) return answer.json();
    await answer.body?.cancel();
  }
  return undefined;
}

describe("with three shards in two regions, and the number of shards changed under load", () => {
  it("200 parallel allocations on 100 seats give exactly 100 tickets", { timeout: 120_000 }, async () => {
    const clusters = [
      await startCluster({ capacity: 20 }),
      ...(await Promise.all([true, true, false, false].map(async (moves) => startMoving(20, moves)))),
    ];
    const players = await logInMany(200);
    const [moving, changed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const seeking = players.map(async (player, index) => {
      // Some come while it is being changed.
      if (index >= 120) await moving.promise;
      return seek(player, changed.promise);
    });
    const change = async (): Promise<void> => {
      await setShards(after);
      moving.resolve();
      await Promise.all(clusters.map(again));
      changed.resolve();
    };
    const [tickets] = await Promise.all([Promise.all(seeking), change()]);
    const given = tickets.filter((ticket) => ticket !== undefined);
    expect(given).toHaveLength(100);
    for (const { id } of clusters) expect(given.filter(({ cluster }) => cluster.id === id)).toHaveLength(20);
    await expectProblem(await requestAllocation(await logIn(), {}), "NO_CLUSTER_AVAILABLE");
  });

  it("a cluster that moves takes its seats along: tickets that are out, and players who are in", async () => {
    const cluster = await startMoving(3, true);
    const [inGame, holder, other] = [await logIn(), await logIn(), await logIn()];
    const key = crypto.randomUUID();
    const seat = seatOf(inGame.player, (await allocate(inGame, { clusterId: cluster.id }, key)).ticket);
    await cluster.report({ full: true, players: 1, joined: [seat] });
    await eventually(async () =>
      expectProblem(await requestAllocation(inGame, { clusterId: cluster.id }, key), "TICKET_CONSUMED"),
    );
    await allocate(holder, { clusterId: cluster.id });
    await setShards(after);
    const there = await again(cluster);
    await expectProblem(await cluster.requestLink(), "CLUSTER_FENCED");
    await allocate(other, { clusterId: cluster.id });
    await expectProblem(await requestAllocation(await logIn(), { clusterId: cluster.id }), "CLUSTER_FULL");
    // Who holds a ticket has the seat at the new shard, with a ticket of the new boot.
    const { ticket } = await allocate(holder, { clusterId: cluster.id });
    expect(decodeJwt(ticket)["boot"]).toBe(there.registered.boot);
    // The player's session knows where the cluster has gone: a newer session elsewhere fences the older one there.
    const elsewhere = await startCluster();
    const newer = seatOf(inGame.player, (await allocate(inGame, { clusterId: elsewhere.id })).ticket);
    await elsewhere.report({ full: true, players: 1, joined: [newer] });
    await eventually(async () =>
      expect(await there.report({ players: 1 })).toContainEqual(expect.objectContaining({ type: "fence" })),
    );
  });

  it("a cluster that moves away and back has the seats that were given in between", async () => {
    const cluster = await startMoving(2, true);
    await allocate(await logIn(), { clusterId: cluster.id });
    await setShards(after);
    await again(cluster);
    await allocate(await logIn(), { clusterId: cluster.id });
    await setShards({ ...before, version: 3, previous: { eu: 3 } });
    await again(cluster);
    await expectProblem(await requestAllocation(await logIn(), { clusterId: cluster.id }), "CLUSTER_FULL");
  });

  it("parties get all their seats or none, each member one ticket, and no seat is given twice", async () => {
    const clusters = await Promise.all([true, true, false].map(async (moves) => startMoving(4, moves)));
    const parties = await Promise.all(Array.from({ length: 6 }, () => startParty(2)));
    const claims = parties.map(async (party) => {
      const key = crypto.randomUUID();
      await untilDone(() => party.requestHold({ region: "eu" }, key));
      return Promise.all(
        party.members.map(async (member) => {
          const claimKey = crypto.randomUUID();
          const claim = await untilDone<Allocation>(() => party.requestClaim(member, claimKey));
          expect(await untilDone(() => party.requestClaim(member, claimKey))).toEqual(claim);
          return claim;
        }),
      );
    });
    await setShards(after);
    await Promise.all(clusters.map(again));
    const tickets = await Promise.all(claims);
    for (const ofParty of tickets) expect(new Set(ofParty.map(({ cluster }) => cluster.id)).size).toBe(1);
    for (const { id } of clusters) expect(tickets.flat().filter(({ cluster }) => cluster.id === id)).toHaveLength(4);
    await expectProblem(await requestAllocation(await logIn(), { region: "eu" }), "NO_CLUSTER_AVAILABLE");
  });

  it("[PARTY-3] what is held for a party goes with its cluster, and is claimed where that is now", async () => {
    const cluster = await startMoving(2, true);
    const party = await startParty(2);
    await party.hold({ clusterId: cluster.id });
    await setShards(after);
    await again(cluster);
    for (const member of party.members) {
      const key = crypto.randomUUID();
      const claim = await untilDone<Allocation>(() => party.requestClaim(member, key));
      expect(claim.cluster.id).toBe(cluster.id);
      expect(await untilDone(() => party.requestClaim(member, key))).toEqual(claim);
    }
    await expectProblem(await requestAllocation(await logIn(), { clusterId: cluster.id }), "CLUSTER_FULL");
  });

  it("who waits keeps the place, and is served in order where the cluster is now", async () => {
    const cluster = await startMoving(2, true);
    const clusterId = cluster.id;
    const guests = await fill(cluster);
    const waiters = [await newWaiter({ clusterId }), await newWaiter({ clusterId }), await newWaiter({ clusterId })];
    const asking = Promise.all(waiters.map(async (waiter) => waiter.ask()));
    await setShards(after);
    const there = await again(cluster);
    expect(await asking).toEqual([undefined, undefined, undefined]);
    expect(waiters.map(({ waiting }) => waiting?.position)).toEqual([1, 2, 3]);
    await expectProblem(await requestAllocation(await logIn(), { clusterId }), "CLUSTER_FULL");
    await leave(there, guests);
    const [first, second, third] = waiters;
    const served = await Promise.all([first?.served(), second?.served()]);
    expect(served.map((ticket) => ticket?.cluster.id)).toEqual([clusterId, clusterId]);
    expect(await third?.ask()).toBeUndefined();
  });

  it("what operators have ordered holds at the new shard, and so does what they order there", async () => {
    const { accessToken: token } = await logInOperator();
    const [locked, limited] = [await startMoving(5, true), await startMoving(5, true)];
    const order = async (method: string, { id }: TestCluster, what: string, body?: object) =>
      expectJson(await call(method, `/v1/admin/clusters/${id}/${what}`, { token, body }), 200);
    await order("PUT", locked, "lock", {});
    await order("PUT", limited, "settings", { settings: { capacity: 1 } });
    await setShards(after);
    // Ordered while it is under way: whichever of the two comes first.
    const [, , ordered] = await Promise.all([
      again(locked),
      again(limited),
      order("PUT", limited, "drain", { deadlineSeconds: 600 }),
    ]);
    expect(ordered).toBeDefined();
    await eventually(async () => {
      for (const { id } of [locked, limited]) {
        await expectProblem(await requestAllocation(await logIn(), { clusterId: id }), "NO_CLUSTER_AVAILABLE");
      }
    });
    await order("DELETE", locked, "lock");
    await order("DELETE", limited, "drain");
    await eventually(async () => allocate(await logIn(), { clusterId: locked.id }));
    await eventually(async () => allocate(await logIn(), { clusterId: limited.id }));
    await expectProblem(await requestAllocation(await logIn(), { clusterId: limited.id }), "CLUSTER_FULL");
  });

  it("keys rotate under it with no ticket that a cluster would refuse, and every shard hears of the new set", async () => {
    const operator = await logInOperator();
    const clusters = await Promise.all([true, false].map(async (moves) => startMoving(50, moves)));
    const players = await logInMany(12);
    const before = await activeKid(operator);
    await ripenNextKey();
    const seeking = players.map(async (player, index) => {
      const clusterId = clusters[index % 2]?.id ?? "";
      const key = crypto.randomUUID();
      return untilDone<Allocation>(() => requestAllocation(player, { clusterId }, key));
    });
    await setShards(after);
    const token = operator.accessToken;
    const [there] = await Promise.all([
      Promise.all(clusters.map(again)),
      untilDone(() => call("POST", "/v1/admin/signing-keys/rotate", { token })),
    ]);
    const published = await publishedKids();
    for (const { ticket } of await Promise.all(seeking)) expect(published).toContain(decodeProtectedHeader(ticket).kid);
    expect(await activeKid(operator)).not.toBe(before);
    const told = await Promise.all(there.map(toldKeys));
    expect(new Set(told.map(({ version }) => version)).size).toBe(1);
  });

  it("records of before, meanwhile and after it all arrive, once", async () => {
    const cluster = await startMoving(20, true);
    const players = await logInMany(6);
    const keys = players.map(() => crypto.randomUUID());
    const seek = async (player: PlayerSessionTokens, index: number) =>
      untilDone<Allocation>(() => requestAllocation(player, { clusterId: cluster.id }, keys[index]));
    const first = await Promise.all(players.slice(0, 3).map(seek));
    const seats = first.map(({ ticket }, index) => seatOf(players[index]?.player ?? { id: "" }, ticket));
    await cluster.report({ full: true, players: 3, joined: seats });
    const seeking = Promise.all(players.slice(3).map((player, index) => seek(player, index + 3)));
    await setShards(after);
    const there = await again(cluster);
    await seeking;
    await there.report({ full: true, players: 3, joined: seats });
    await there.report({ players: 0, left: seats });
    await eventually(async () => {
      await writeRecordsNow();
      const outcomes = await Promise.all(players.map(async ({ player }) => historyOf(player)));
      const shown = outcomes.map((rows) => rows.map(({ outcome }) => outcome));
      expect(shown).toEqual([["left"], ["left"], ["left"], ["open"], ["open"], ["open"]]);
    });
  });
});
