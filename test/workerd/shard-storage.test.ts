import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { createSessionToken, hashToken } from "../../control-plane/objects/session-token.ts";
import { registryMigrations } from "../../control-plane/objects/shard/registry-rows.ts";
import { createClusterId, shardOfCluster } from "../../control-plane/domain/clusters/sharding.ts";
import { readMasterSettings } from "../../control-plane/settings.ts";
import type { PlayerSessionTokens } from "../../protocol/index.ts";
import { enrolledKey, registration, startCluster, TestCluster, type TestKey } from "./support/clusters.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { allocate, logIn, requestAllocation } from "./support/players.ts";
import { leaveStorage, storedVersion } from "./support/storage.ts";
import { eventually } from "../support/eventually.ts";

const shard = "eu.0";
let operator: PlayerSessionTokens;

beforeAll(async () => {
  operator = await logInOperator();
});

const versions = Array.from({ length: registryMigrations.length }, (_, index) => index + 1);

/** Since then it is stored which reservations players have given back. */
const givesBackSince = registryMigrations.findIndex((step) => step.includes("ADD COLUMN given_back")) + 1;

/** A process of this key whose place is on the shard of this test. */
async function placeOnShard(key: TestKey): Promise<{ readonly clusterId: string; readonly instance: string }> {
  const { shards } = readMasterSettings(env);
  for (let index = 0; ; index += 1) {
    const instance = `i${index}`;
    const clusterId = await createClusterId("eu", key.keyId, instance);
    if (shardOfCluster(shards, clusterId) === shard) return { clusterId, instance };
  }
}

/**
 * What a release whose storage had this version would have left: a cluster with one player in the game, and one on the way. Its process
 * before has had to stop.
 */
async function leaveBehind(
  version: number,
  key: TestKey,
  seats: { joined: string; held: string },
): Promise<{ readonly cluster: TestCluster; readonly before: TestCluster }> {
  const { clusterId, instance } = await placeOnShard(key);
  const token = await createSessionToken(env, shard, clusterId);
  const tokenHash = await hashToken(token);
  const tokenBefore = await createSessionToken(env, shard, clusterId);
  const hashBefore = await hashToken(tokenBefore);
  const nowMs = Date.now();
  const details = registration({ region: "eu", capacity: 2, instance });
  await leaveStorage(env.REGISTRY_SHARD.getByName(shard), registryMigrations.slice(0, version), ({ sql }) => {
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
    if (version >= givesBackSince) {
      sql.exec("UPDATE seats SET given_back = 'held-reservation' WHERE player_id = ?", seats.held);
    }
    sql.exec("INSERT INTO fenced_tokens (token_hash, fenced_at) VALUES (?, ?)", hashBefore, nowMs);
    sql.exec("INSERT INTO cluster_keys (key_id, x, checked_at) VALUES (?, ?, ?)", key.keyId, key.publicKey.x, nowMs);
    sql.exec("INSERT INTO sweep (next_at) VALUES (?)", nowMs + 30_000);
    sql.exec(
      "INSERT INTO outbox (target, payload, attempts, due_at, created_at) VALUES (?, ?, 0, ?, ?)",
      seats.joined,
      JSON.stringify({ kind: "used", reservationId: "joined-reservation", generation: 1, clusterId, shard }),
      nowMs,
      nowMs,
    );
  });
  const registered = { ...(await startCluster()).registered, clusterId, boot: nowMs - 60_000 };
  return {
    cluster: new TestCluster(key, details, { ...registered, sessionToken: token }),
    before: new TestCluster(key, details, { ...registered, boot: nowMs - 90_000, sessionToken: tokenBefore }),
  };
}

describe("a shard as an earlier release has stored it", () => {
  it.each(versions)("goes on from version %i of its storage", async (version) => {
    const [joined, held, other] = [await logIn(), await logIn(), await logIn()];
    const key = await enrolledKey();
    const { cluster, before } = await leaveBehind(version, key, { joined: joined.player.id, held: held.player.id });
    const stopped = await expectProblem(await before.requestLink(), "CLUSTER_FENCED");
    expect(stopped.fencedBy).toBe(undefined);
    const { accessToken: token } = operator;
    const seen = await call("GET", `/v1/admin/clusters/${cluster.id}`, { token });
    expect(await expectJson(seen, 200)).toMatchObject({ id: cluster.id, state: "ready", players: 1 });
    // Its seats are taken, both: nobody gets a third, and the session goes on under its old token.
    await expectProblem(await requestAllocation(other, { clusterId: cluster.id }), "CLUSTER_FULL");
    const report = { sequence: 8, full: false, players: 0, joined: [] as never[] };
    const left = [{ playerId: joined.player.id, reservationId: "joined-reservation", generation: 1 }];
    const commands = await cluster.report({ ...report, left });
    const cancels = commands.filter(({ type }) => type === "cancel");
    const cancel = { reservationId: "held-reservation", playerId: held.player.id, generation: 1 };
    expect(cancels).toMatchObject(version < givesBackSince ? [] : [cancel]);
    await eventually(async () => {
      const { cluster: given } = await allocate(other, { clusterId: cluster.id });
      expect(given.id).toBe(cluster.id);
    });
    // It registers again: a newer boot, and the old session is fenced off.
    const again = await startCluster({ region: "eu", capacity: 3, instance: cluster.details.instance }, key);
    expect(again.id).toBe(cluster.id);
    expect(again.registered.boot).toBeGreaterThan(cluster.registered.boot);
    const fenced = await expectProblem(await cluster.requestLink(), "CLUSTER_FENCED");
    expect(fenced.fencedBy).toBe("newer-process");
    await allocate(other, { selector: { tags: ["test"] }, region: "eu" });
    expect(await storedVersion(env.REGISTRY_SHARD.getByName(shard))).toBe(registryMigrations.length);
  });
});
