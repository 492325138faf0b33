import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { decodeJwt } from "jose";
import { afterAll, beforeEach, describe, expect, it, vi } from "vitest";
import { parseShardMap, shardOfCluster, type ShardMap } from "../../control-plane/domain/sharding.ts";
import type { RegistryShard } from "../../control-plane/worker.ts";
import type { Allocation, PlayerSessionTokens } from "../../protocol/index.ts";
import { assertionOf, requestRegistration, seatOf, startCluster, TestCluster } from "./support/clusters.ts";
import { expectJson, expectProblem } from "./support/master.ts";
import { allocate, logIn, logInMany, requestAllocation } from "./support/players.ts";
import { setShards } from "./support/shard-settings.ts";

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
    const isBusy = answer.status === 500 || (await answer.clone().text()).includes('"ALLOCATION_IN_PROGRESS"');
    if (!isBusy || Date.now() > deadlineMs) return answer;
    await answer.body?.cancel();
  }
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
    await vi.waitFor(
      async () => expectProblem(await requestAllocation(inGame, { clusterId: cluster.id }, key), "TICKET_CONSUMED"),
      5_000,
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
    await vi.waitFor(
      async () => expect(await there.report({ players: 1 })).toContainEqual(expect.objectContaining({ type: "fence" })),
      5_000,
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
});
