/// <reference types="vite/types/importMeta.d.ts" />
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, inject, it } from "vitest";
import { generateStoredKey, openSigningKey, type StoredKey } from "../../auth/key-ring.ts";
import { AuditChainCheck, type AuditHead, type AuditRow } from "../../control-plane/domain/operators/audit-chain.ts";
import { queueOf } from "../../control-plane/domain/waiting/waiting-queue.ts";
import { auditMigrations } from "../../control-plane/objects/operators/audit-tables.ts";
import { keyRecordMigrations } from "../../control-plane/objects/key/cluster-key-record.ts";
import { orderBookMigrations } from "../../control-plane/objects/operators/cluster-order-book.ts";
import { keyEncryptionKey } from "../../control-plane/objects/key/key-encryption-key.ts";
import { keyRingMigrations } from "../../control-plane/objects/key/key-ring-tables.ts";
import { metricsKeeperMigrations } from "../../control-plane/objects/metrics/metrics-keeper.ts";
import { partyMigrations } from "../../control-plane/objects/party/party-tables.ts";
import { playerMigrations } from "../../control-plane/objects/player/player-tables.ts";
import { recordKeeperMigrations } from "../../control-plane/objects/records/record-keeper.ts";
import { registryMigrations } from "../../control-plane/objects/shard/registry-rows.ts";
import { hashToken } from "../../control-plane/objects/session-token.ts";
import { waitingMigrations } from "../../control-plane/objects/waiting/waiting-tables.ts";
import { worldMigrations } from "../../control-plane/objects/world/world-tables.ts";
import type { ClusterKeyRecord, ClusterOrderBook, RecordKeeper, WorldMap } from "../../control-plane/worker.ts";
import type { RegisterRequest, WorldMapView } from "../../protocol/index.ts";
import { parseExposition } from "../support/exposition.ts";
import { createKey, seatOf, startCluster } from "./support/clusters.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { startParty } from "./support/parties.ts";
import { allocate, logIn, requestAllocation } from "./support/players.ts";
import type { Provided } from "./support/provided.ts";
import { historyOf } from "./support/records.ts";
import { type KeySet, publishedKids } from "./support/signing-keys.ts";
import { insertRow, leaveStorage, storedVersion } from "./support/storage.ts";
import { fill, leave, newWaiter } from "./support/waiting.ts";
import { eventually } from "../support/eventually.ts";

/*
 * Every object wakes with what some earlier release has stored. The largest two have files of their own: shard-storage.test.ts and
 * player-storage.test.ts. What is put in here is what those releases wrote, and stays as it is.
 */

/** The versions that storage with these migrations has had. */
function versionsOf(migrations: readonly string[]): number[] {
  return migrations.map((_, index) => index + 1);
}

describe("an object as an earlier release has stored it goes on from there:", () => {
  it.each(versionsOf(keyRingMigrations))("the key ring, from version %i", async (version) => {
    const ring = () => env.KEY_RING.getByName("ring");
    const { accessToken: token } = await logInOperator();
    const now = Math.floor(Date.now() / 1_000);
    const kek = await keyEncryptionKey(env);
    const active = await generateStoredKey({ kek, state: "active", now: now - 7_200 });
    const next = await generateStoredKey({ kek, state: "next", now: now - 7_200 });
    await leaveStorage(ring(), keyRingMigrations.slice(0, version), (storage) => {
      for (const key of [active, next]) insertRow(storage, "keys", { kid: key.kid, record: JSON.stringify(key) });
      if (version < 2) return;
      storage.sql.exec("UPDATE ring SET version = 1790000000000");
      insertRow(storage, "revoked_keys", { kid: "leaked-before", revoked_at: now - 60 });
      const due = { attempts: 0, due_at: Date.now(), created_at: Date.now() };
      insertRow(storage, "outbox", { target: "database", payload: '{"kind":"copy"}', ...due });
    });
    expect(await publishedKids()).toEqual(expect.arrayContaining([active.kid, next.kid]));
    const stored: StoredKey = await ring().signingKey();
    expect((await openSigningKey(stored, kek)).kid).toBe(active.kid);
    const { kid } = await expectJson<{ kid: string }>(
      await call("POST", "/v1/admin/signing-keys/rotate", { token }),
      200,
    );
    expect(kid).toBe(next.kid);
    const { revoked } = await expectJson<KeySet>(await call("GET", "/v1/admin/signing-keys", { token }), 200);
    expect(revoked).toEqual(version < 2 ? [] : ["leaked-before"]);
    expect(await storedVersion(ring())).toBe(keyRingMigrations.length);
  });

  it.each(versionsOf(keyRecordMigrations))("a cluster key's record, from version %i", async (version) => {
    const { accessToken: token } = await logInOperator();
    const key = await createKey();
    await expectJson(
      await call("POST", "/v1/admin/keys", { token, body: { name: "old", publicKey: key.publicKey } }),
      200,
    );
    const cluster = await startCluster({}, key);
    const record = () => env.CLUSTER_KEY_RECORD.getByName(key.keyId);
    await leaveStorage(record(), keyRecordMigrations.slice(0, version), (storage) =>
      insertRow(storage, "key", { key_id: key.keyId, retires_at: Date.now() - 1, revoked_at: null, recorded: 0 }),
    );
    // Its time has come while it slept.
    await runInDurableObject<ClusterKeyRecord, void>(record(), (instance) => instance.alarm());
    await expectProblem(await cluster.requestLink(), "CLUSTER_FENCED");
    expect(await storedVersion(record())).toBe(keyRecordMigrations.length);
  });

  it.each(versionsOf(partyMigrations))("a party with seats, from version %i", async (version) => {
    const cluster = await startCluster({ capacity: 2 });
    const party = await startParty(2);
    const [key, claimKey] = [crypto.randomUUID(), crypto.randomUUID()];
    const wish = { clusterId: cluster.id };
    const held = await party.hold(wish, key);
    const object = () => env.PARTY.getByName(party.view.id);
    const { holdId, bodyHash } = await runInDurableObject(object(), (_, { storage }) => {
      const { state } = storage.sql.exec<{ state: string }>("SELECT state FROM party").one();
      const { allocation }: { allocation: { holdId: string; bodyHash: string } } = JSON.parse(state);
      return allocation;
    });
    const playerIds = party.members.map(({ player }) => player.id);
    const hold = {
      shard: "default.0",
      clusterId: cluster.id,
      playerIds,
      claimUntilMs: held.expiresAt * 1_000,
      answer: JSON.stringify(held),
    };
    const state = {
      id: party.view.id,
      size: 2,
      members: playerIds.map((playerId) => ({ playerId, displayName: "Ada" })),
      removed: [],
      endedKeys: ["an-old-key"],
      expiresAtMs: Date.now() + 600_000,
      allocation: { key, bodyHash, holdId, hold, claims: {} },
    };
    await leaveStorage(object(), partyMigrations.slice(0, version), (storage) =>
      insertRow(storage, "party", { state: JSON.stringify(state) }),
    );
    expect(await party.hold(wish, key)).toEqual(held);
    await expectProblem(await party.requestHold(wish, "an-old-key"), "PARTY_HOLD_ENDED");
    const first = await party.claim(party.leader, claimKey);
    const second = await party.claim(party.member(1));
    expect(await party.claim(party.leader, claimKey)).toEqual(first);
    expect([first.cluster.id, second.cluster.id]).toEqual([cluster.id, cluster.id]);
    await expectProblem(await requestAllocation(await logIn(), wish), "CLUSTER_FULL");
    expect(await storedVersion(object())).toBe(partyMigrations.length);
  });

  it.each(versionsOf(waitingMigrations))("a queue of the waiting room, from version %i", async (version) => {
    const cluster = await startCluster({ capacity: 1 });
    const clusterId = cluster.id;
    const guests = await fill(cluster);
    const [later, sooner] = [await newWaiter({ clusterId }), await newWaiter({ clusterId })];
    const { name } = await queueOf({ clusterId });
    const room = () => env.WAITING_ROOM.getByName(name);
    const nowMs = Date.now();
    const times = { joined_at: nowMs - 5_000, due_at: nowMs + 60_000, expires_at: nowMs + 60_000 };
    await leaveStorage(room(), waitingMigrations.slice(0, version), (storage) => {
      insertRow(storage, "room", {
        queue: JSON.stringify({ name, wish: { clusterId } }),
        rate: JSON.stringify({ weight: 1, atMs: nowMs, sinceMs: nowMs - 60_000 }),
        last_sequence: 12,
      });
      // In another order than now, so that it is this one which counts.
      for (const [sequence, { player, waiting }] of [
        [7, sooner],
        [9, later],
      ] as const) {
        const place = { visitor: player.player.id, reservation_id: waiting?.reservationId ?? "", size: 1 };
        insertRow(storage, "places", { sequence, ...place, ...times });
      }
    });
    const newcomer = await newWaiter({ clusterId });
    for (const waiter of [later, sooner]) expect(await waiter.ask()).toBeUndefined();
    const waiters = [sooner, later, newcomer];
    expect(waiters.map(({ waiting }) => waiting?.position)).toEqual([1, 2, 3]);
    expect(await storedVersion(room())).toBe(waitingMigrations.length);
    await leave(cluster, guests);
    const { ticket } = await sooner.served();
    expect(seatOf(sooner.player.player, ticket).playerId).toBe(sooner.player.player.id);
    expect(await later.ask()).toBeUndefined();
  });

  it.each(versionsOf(auditMigrations))("the audit log, from version %i", async (version) => {
    const { accessToken: token } = await logInOperator();
    const log = () => env.AUDIT_LOG.getByName("log");
    const intent = {
      sequence: 1,
      atMs: 1_790_000_000_000,
      actor: "op-1",
      action: "cluster.lock",
      target: "cluster:c-1",
      details: "{}",
      requestId: "request-1",
      outcome: "intended",
      intent: null,
      previousHash: "0".repeat(64),
      hash: "5bb27e7c8d748a53a96627cec5aa41d28d0cbb7b141dfbdd4fb6d35e4c1ba5ad",
    };
    await leaveStorage(log(), auditMigrations.slice(0, version), (storage) => {
      insertRow(storage, "rows", intent);
      insertRow(storage, "rows", {
        ...intent,
        sequence: 2,
        outcome: "done",
        intent: 1,
        previousHash: intent.hash,
        hash: "5bb08c2f5c898662ed1cca98c68ffc0db196b136f44c338dc1f30b7016a8d610",
      });
      // All that it had is in the database.
      storage.sql.exec("UPDATE delivery SET up_to = 2");
    });
    const cluster = await startCluster();
    await expectJson(await call("PUT", `/v1/admin/clusters/${cluster.id}/lock`, { token, body: {} }), 200);
    const { rows, head } = await expectJson<{ rows: AuditRow[]; head: AuditHead }>(
      await call("GET", "/v1/admin/audit?order=asc&limit=100", { token }),
      200,
    );
    expect(rows.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
    const chain = new AuditChainCheck();
    for (const row of rows) await chain.add(row);
    expect(chain.verdict(head)).toEqual({ ok: true, head, open: [] });
    expect(await storedVersion(log())).toBe(auditMigrations.length);
  });

  it.each(versionsOf(worldMigrations))("the map of a world, from version %i", async (version) => {
    const name = `w-${crypto.randomUUID().slice(0, 18)}`;
    const fragment = `${name}-n`;
    const area = { name: fragment, min: [0, 0, 0], max: [1, 1, 1] } as const;
    const world: RegisterRequest["world"] = { name, fragments: [area] };
    const [first, second] = [await startCluster({ world }), await startCluster({ world })];
    const map = () => env.WORLD_MAP.getByName(name);
    await leaveStorage(map(), worldMigrations.slice(0, version), (storage) => {
      insertRow(storage, "world", { name, version: 9 });
      for (const [place, { id: clusterId, registered }] of [first, second].entries()) {
        const announcement = { clusterId, boot: registered.boot, shard: "default.0", fragments: [area] };
        insertRow(storage, "announcements", {
          cluster_id: clusterId,
          place: place + 1,
          announcement: JSON.stringify(announcement),
        });
      }
      // Not the one that came first: it is what was stored that counts.
      insertRow(storage, "carriers", { fragment, cluster_id: second.id });
      insertRow(storage, "assignments", { fragment, cluster_id: second.id });
      const clusters = [
        { clusterId: first.id, boot: first.registered.boot, carried: [] },
        { clusterId: second.id, boot: second.registered.boot, carried: [fragment] },
      ];
      const payload = JSON.stringify({ world: name, version: 9, clusters });
      const due = { attempts: 0, due_at: Date.now(), created_at: Date.now() };
      insertRow(storage, "outbox", { target: "default.0", payload, ...due });
    });
    await runInDurableObject<WorldMap, void>(map(), (instance) => instance.alarm());
    await eventually(async () => expect((await allocate(await logIn(), { fragment })).cluster.id).toBe(second.id));
    const path = `/v1/clusters/${first.id}/world`;
    const view = await expectJson<WorldMapView>(await call("GET", path, { token: first.token }), 200);
    expect(view).toMatchObject({ world: name, version: 9, fragments: [{ name: fragment, clusterId: second.id }] });
    await call("DELETE", `/v1/clusters/${second.id}`, { token: second.token });
    await eventually(async () => expect((await allocate(await logIn(), { fragment })).cluster.id).toBe(first.id));
    expect(await storedVersion(map())).toBe(worldMigrations.length);
  });

  it.each(versionsOf(recordKeeperMigrations))("a keeper of records, from version %i", async (version) => {
    const keeper = () => env.RECORD_KEEPER.getByName("keeper.0");
    const player = { id: crypto.randomUUID() };
    const record = {
      kind: "allocation",
      reservationId: crypto.randomUUID(),
      playerId: player.id,
      clusterId: "default~of-before",
      clusterName: "Of before",
      region: "default",
      generation: 1,
      atMs: Date.now() - 60_000,
      expiresAtMs: Date.now(),
    };
    await leaveStorage(keeper(), recordKeeperMigrations.slice(0, version), (storage) => {
      insertRow(storage, "records", { record: JSON.stringify(record), created_at: Date.now() - 60_000 });
      storage.sql.exec("UPDATE record_state SET attempts = 3, refused = 2");
      storage.sql.exec("UPDATE upkeep SET next_at = ?", Date.now() + 3_600_000);
    });
    await runInDurableObject<RecordKeeper, void>(keeper(), (instance) => instance.alarm());
    expect(await historyOf(player)).toMatchObject([{ clusterName: "Of before" }]);
    expect(await keeper().backlog()).toMatchObject({ waiting: 0, refused: 2 });
    expect(await storedVersion(keeper())).toBe(recordKeeperMigrations.length);
  });

  it.each(versionsOf(orderBookMigrations))("the orders of a cluster, from version %i", async (version) => {
    const { accessToken: token } = await logInOperator();
    const cluster = await startCluster({ capacity: 5 });
    const book = () => env.CLUSTER_ORDER_BOOK.getByName(cluster.id);
    const body = JSON.stringify({ version: 3, locked: true, drain: null, settings: { capacity: 1 } });
    await leaveStorage(book(), orderBookMigrations.slice(0, version), (storage) => {
      insertRow(storage, "book", { cluster_id: cluster.id, body });
      const due = { attempts: 0, due_at: Date.now(), created_at: Date.now() };
      insertRow(storage, "outbox", { target: "default.0", payload: body, ...due });
    });
    await runInDurableObject<ClusterOrderBook, void>(book(), (instance) => instance.alarm());
    const wish = { clusterId: cluster.id };
    await expectProblem(await requestAllocation(await logIn(), wish), "NO_CLUSTER_AVAILABLE");
    await startCluster(cluster.details, cluster.key);
    await expectProblem(await requestAllocation(await logIn(), wish), "NO_CLUSTER_AVAILABLE");
    await expectJson(await call("DELETE", `/v1/admin/clusters/${cluster.id}/lock`, { token }), 200);
    await allocate(await logIn(), wish);
    await expectProblem(await requestAllocation(await logIn(), wish), "CLUSTER_FULL");
    expect(await book().current()).toMatchObject({ version: 4, locked: false, settings: { capacity: 1 } });
    expect(await storedVersion(book())).toBe(orderBookMigrations.length);
  });

  it.each(versionsOf(metricsKeeperMigrations))("a keeper of metrics, from version %i", async (version) => {
    const keeper = () => env.METRICS_KEEPER.getByName("metrics.0");
    await leaveStorage(keeper(), metricsKeeperMigrations.slice(0, version), (storage) =>
      insertRow(storage, "counts", { series: "logins|anonymous|ok", value: 1_000_000 }),
    );
    await keeper().add([["logins|anonymous|ok", 2]]);
    const bindings: Provided["workerBindings"] = inject("workerBindings");
    const text = await (await call("GET", "/metrics", { token: bindings["METRICS_TOKEN"] })).text();
    const { samples } = parseExposition(text);
    expect(samples.get('sustenet_master_logins_total{way="anonymous",outcome="ok"}')).toBeGreaterThanOrEqual(1_000_002);
    expect(await storedVersion(keeper())).toBe(metricsKeeperMigrations.length);
  });
});

/** SHA-256 of the steps that objects out there have taken already. Steps are added behind them; these never change. */
const released: Readonly<Record<string, readonly [steps: readonly string[], hashes: readonly string[]]>> = {
  registryMigrations: [
    registryMigrations,
    [
      "Iw4aBg5OKqo5lCzJuyfNED5x3QEucRhSHjhkkDfMKEE",
      "YSupPs4wrPUj9LG7kPX9EuXA1uSqTlmSvcolmrRvsME",
      "OBlbWxdy7UIMMBlISATD5KVkn2ZHN-C6F8aXZQUj_fc",
      "BNscrRkzQ1s4LvcbI8yzWqZQDK0pJUxoBYybf_dPUAg",
      "8jdXZKCAHVOLKdpzU0mg2PD1_QxzaFtDFLFMGYOHKMk",
      "SJqOX0VC45F6oh4KRsQYP1--EsxCZPps6ErLyWmJIXY",
      "-nF2P945uusnQeRGtjefNgxAgORPMVKZXrwsea5fnZ8",
      "xGG0vHPopaU9JFV_vSj9c_s6Y_EsKg3aE0xVniL8ZWk",
      "ySJbjwc2UZFZEIuAaHi_hxsBqNHufE5dI02wfV0mGmI",
      "ShRpCMLl3XXXmM9YxBzgkvS8X4fFp_3taIINiTAgEZo",
      "fOx65QkJJEcRaaP325-Dh7wRCIehKOBPrPMhUtoSgLY",
      "4dvlB9OhpiqyPXjZjx7pEj5mPE8i09wanUv06JKaj04",
      "1tFUPTKXfPDkWgLphq9cJrj2At9uxPZMexZm2Q1WYLM",
      "bBgscGqVwIYsjGC6FH-aYq7afiKIvNY1NXjV4V99huQ",
      "AFcmltmhvF5v7zaDLgM5YntIB2-xzxs8tSncMpXOmBU",
      "OWJik8dU5ZNcS-zYpkKH9fm-iJ88GAVSnxSwemVjLRE",
      "XXQv8LG72tEQEedLfzD2rvSK556jFDgJRCqQFQUdbrE",
      "XW2rp25RgNWYK-s8kihkwBaPHzcrdUkbeDhv9qzKTCg",
    ],
  ],
  playerMigrations: [
    playerMigrations,
    [
      "t1n7JU34fv-kQtQYJR27j0uhEegR54s7qwRcGNORvj8",
      "gUZ54kq4c2IeLWS2t1ddqMKmOkXxJyqXpZFNQ-0_qx8",
      "8jdXZKCAHVOLKdpzU0mg2PD1_QxzaFtDFLFMGYOHKMk",
      "wvo_p5WxOMjEwRIuRfr2NMfaQB9QUThrLNffM5rOs78",
      "R6j03R3UzjIqU6WZ4oePwYPnwcVLvg7PYgWfoducjnY",
      "Hd_kZt1WRn4uLkS9eal2ilZyTgJEHgFBZ7XPX5Q9khI",
      "Wybg6j7jDgJreDRtGrGWDofAiFFekOoVYOKxCEpp1nI",
      "7MTq95DZzzF961gjJRr5GJ-4j47w0W5uUQGebMKeRDQ",
    ],
  ],
  keyRingMigrations: [
    keyRingMigrations,
    ["sAsz-1vSruUj04se2qDg8FzcfJea3PTqob1BiN9G3QA", "6Wbnpq-8ySt_V3L0U26eLW5Z08GKNr6_HrdLr1YnLoc"],
  ],
  keyRecordMigrations: [
    keyRecordMigrations,
    ["emzwy4yYyVt1ys1b03e72woGgDY-4eQQw0feMvlgvC8", "_cOtDyoUKc_wbV_WJQ8TA-P1inU-9nrIqzodiNdTrj8"],
  ],
  partyMigrations: [partyMigrations, ["Ud0ov9gn5fZ44RK80_3X5ptTmKD16wt9ejqvVdIUl3I"]],
  waitingMigrations: [waitingMigrations, ["5Ez8zy_Q8xPULAvbB4FAMLVuH3MON3ErpXka4SR2-Iw"]],
  auditMigrations: [auditMigrations, ["NGeF3lcNOzqKAvR67IvRpDLFQ2tVlm2GntL5S9GODNI"]],
  worldMigrations: [worldMigrations, ["dvF7IVK-wOSoFDuXUO70Udxbd23HSwR6MKX1NTgwBL0"]],
  recordKeeperMigrations: [recordKeeperMigrations, ["EZiGvwIIt1LUIvkTVnKL8ruC4PubS-nc4_b_HIzXDsg"]],
  orderBookMigrations: [orderBookMigrations, ["7HbjOo0IKu4ZKgYYjtI3P3CrtUTYfq-gT1vDrpSV2PQ"]],
  metricsKeeperMigrations: [metricsKeeperMigrations, ["fI4bHFoRvybxxmFP8pyGKz0eQ9_TYk3PtDDycNX_8G0"]],
};

const sources = import.meta.glob<string>("../../control-plane/objects/**/*.ts", {
  query: "?raw",
  import: "default",
  eager: true,
});

describe("steps of storage migrations that were released", () => {
  it.each(Object.entries(released))("stay as they were: %s", async (_, [steps, hashes]) => {
    expect(await Promise.all(steps.slice(0, hashes.length).map((step) => hashToken(step)))).toEqual(hashes);
  });

  it("are all of those that objects take", () => {
    const taken = Object.values(sources).flatMap((source) =>
      [...source.matchAll(/\bmigrateStorage\([^,()]+, (\w+)\)/g)].map(([, name = ""]) => name),
    );
    expect([...new Set(taken)].toSorted()).toEqual(Object.keys(released).toSorted());
  });
});
