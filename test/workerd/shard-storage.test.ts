import { env } from "cloudflare:workers";
import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import { createSessionToken, hashToken } from "../../control-plane/objects/session-token.ts";
import { playerMigrations } from "../../control-plane/objects/player-tables.ts";
import { registryMigrations } from "../../control-plane/objects/registry-rows.ts";
import { createClusterId, shardOfCluster } from "../../control-plane/domain/sharding.ts";
import { readMasterSettings } from "../../control-plane/settings.ts";
import type { RegistryShard } from "../../control-plane/worker.ts";
import { enrolledKey, registration, startCluster, TestCluster, type TestKey } from "./support/clusters.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { allocate, logIn, requestAllocation } from "./support/players.ts";

const shard = "eu.0";
const versions = Array.from({ length: registryMigrations.length }, (_, index) => index + 1);

/** A process of this key whose place is on the shard of this test. */
async function placeOnShard(key: TestKey): Promise<{ readonly clusterId: string; readonly instance: string }> {
  const { shards } = readMasterSettings(env);
  for (let index = 0; ; index += 1) {
    const instance = `i${index}`;
    const clusterId = await createClusterId("eu", key.keyId, instance);
    if (shardOfCluster(shards, clusterId) === shard) return { clusterId, instance };
  }
}

/** What a release whose storage had this version would have left: a cluster with one player in the game, and one on the way. */
async function leaveBehind(
  version: number,
  key: TestKey,
  seats: { joined: string; held: string },
): Promise<TestCluster> {
  const { clusterId, instance } = await placeOnShard(key);
  const token = await createSessionToken(env, shard, clusterId);
  const tokenHash = await hashToken(token);
  const nowMs = Date.now();
  const details = registration({ region: "eu", capacity: 2, instance });
  await runInDurableObject(env.REGISTRY_SHARD.getByName(shard), async (_: RegistryShard, { storage }) => {
    await storage.deleteAll();
    const { sql } = storage;
    sql.exec("CREATE TABLE schema_version (version INTEGER NOT NULL)");
    sql.exec("INSERT INTO schema_version (version) VALUES (?)", version);
    for (const step of registryMigrations.slice(0, version)) sql.exec(step);
    sql.exec(
      `INSERT INTO clusters (cluster_id, shard, boot, token_hash, state, name, region, host, port, tls, tags, software,
         proto_min, proto_max, capacity, seats, joined, players, load, renewed_at, report_sequence, reported_at, registered_at)
       VALUES (?, ?, ?, ?, 'ready', ?, 'eu', ?, ?, ?, ?, ?, 1, 1, 2, 2, 1, 1, 1, ?, 7, ?, ?)`,
      clusterId,
      shard,
      nowMs - 60_000,
      tokenHash,
      details.name,
      details.host,
      details.port,
      JSON.stringify(details.tls),
      JSON.stringify(details.tags),
      details.software,
      nowMs,
      nowMs,
      nowMs - 60_000,
    );
    if (version >= 3)
      sql.exec("INSERT OR IGNORE INTO facets (facet, cluster_id) VALUES ('tag' || char(10) || 'test', ?)", clusterId);
    sql.exec(
      `INSERT INTO seats (cluster_id, player_id, joined_reservation, joined_generation, tickets_until)
       VALUES (?, ?, 'joined-reservation', 1, 0)`,
      clusterId,
      seats.joined,
    );
    sql.exec(
      `INSERT INTO seats (cluster_id, player_id, hold_reservation, hold_generation, hold_until, tickets_until)
       VALUES (?, ?, 'held-reservation', 1, ?, ?)`,
      clusterId,
      seats.held,
      nowMs + 60_000,
      nowMs + 60_000,
    );
    sql.exec("INSERT INTO cluster_keys (key_id, x, checked_at) VALUES (?, ?, ?)", key.keyId, key.publicKey.x, nowMs);
    sql.exec("INSERT INTO sweep (next_at) VALUES (?)", nowMs + 30_000);
    sql.exec(
      "INSERT INTO outbox (target, payload, attempts, due_at, created_at) VALUES (?, ?, 0, ?, ?)",
      seats.joined,
      JSON.stringify({ kind: "used", reservationId: "joined-reservation", generation: 1, clusterId, shard }),
      nowMs,
      nowMs,
    );
    await storage.sync();
  });
  await abortAllDurableObjects();
  const registered = { clusterId, boot: nowMs - 60_000, sessionToken: token };
  return new TestCluster(key, details, { ...(await startCluster()).registered, ...registered });
}

describe("a shard as an earlier release has stored it", () => {
  it.each(versions)("goes on from version %i of its storage", async (version) => {
    const [joined, held, other] = [await logIn(), await logIn(), await logIn()];
    const key = await enrolledKey();
    const cluster = await leaveBehind(version, key, { joined: joined.player.id, held: held.player.id });
    await vi.waitFor(
      async () => {
        const { clusters } = await expectJson<{ clusters: { id: string; players: number }[] }>(
          await call("GET", "/v1/clusters?region=eu"),
          200,
        );
        expect(clusters).toMatchObject([{ id: cluster.id, players: 1 }]);
      },
      // A list may be a second old.
      { timeout: 5_000, interval: 200 },
    );
    // Its seats are taken, both: nobody gets a third, and the session goes on under its old token.
    await expectProblem(await requestAllocation(other, { clusterId: cluster.id }), "CLUSTER_FULL");
    const report = { sequence: 8, full: false, players: 0, joined: [] as never[] };
    const left = [{ playerId: joined.player.id, reservationId: "joined-reservation", generation: 1 }];
    await cluster.report({ ...report, left });
    await vi.waitFor(async () => {
      const { cluster: given } = await allocate(other, { clusterId: cluster.id });
      expect(given.id).toBe(cluster.id);
    });
    // It registers again: a newer boot, and the old session is fenced off.
    const again = await startCluster({ region: "eu", capacity: 3, instance: cluster.details.instance }, key);
    expect(again.id).toBe(cluster.id);
    expect(again.registered.boot).toBeGreaterThan(cluster.registered.boot);
    await expectProblem(await cluster.requestLink(), "CLUSTER_FENCED");
    await allocate(other, { selector: { tags: ["test"] }, region: "eu" });
    const { schema } = await runInDurableObject(
      env.REGISTRY_SHARD.getByName(shard),
      (_: RegistryShard, { storage }) => ({
        schema: storage.sql.exec<{ version: number }>("SELECT version FROM schema_version").one().version,
      }),
    );
    expect(schema).toBe(registryMigrations.length);
  });
});

/** SHA-256 of the steps that objects out there have taken already. Steps are added behind them; these never change. */
const released = {
  registry: [
    "Iw4aBg5OKqo5lCzJuyfNED5x3QEucRhSHjhkkDfMKEE",
    "YSupPs4wrPUj9LG7kPX9EuXA1uSqTlmSvcolmrRvsME",
    "OBlbWxdy7UIMMBlISATD5KVkn2ZHN-C6F8aXZQUj_fc",
    "BNscrRkzQ1s4LvcbI8yzWqZQDK0pJUxoBYybf_dPUAg",
    "8jdXZKCAHVOLKdpzU0mg2PD1_QxzaFtDFLFMGYOHKMk",
  ],
  player: [
    "t1n7JU34fv-kQtQYJR27j0uhEegR54s7qwRcGNORvj8",
    "gUZ54kq4c2IeLWS2t1ddqMKmOkXxJyqXpZFNQ-0_qx8",
    "8jdXZKCAHVOLKdpzU0mg2PD1_QxzaFtDFLFMGYOHKMk",
  ],
};

describe("steps of storage migrations that were released", () => {
  it.each([
    ["registry", registryMigrations, released.registry],
    ["player", playerMigrations, released.player],
  ] as const)("of a %s stay as they were", async (_, steps, hashes) => {
    const now = await Promise.all(steps.slice(0, hashes.length).map((step) => hashToken(step)));
    expect(now).toEqual(hashes);
  });
});
