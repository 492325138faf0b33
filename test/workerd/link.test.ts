import { env } from "cloudflare:workers";
import { evictAllDurableObjects, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import {
  maxReportsPerSecond,
  maxUnbackedJoins,
  unbackedJoinsPerSecond,
} from "../../control-plane/domain/clusters/report-budget.ts";
import { Outbox } from "../../control-plane/objects/outbox.ts";
import type { PlayerSession, RegistryShard } from "../../control-plane/worker.ts";
import { linkCloseCodes, type SeatRef } from "../../protocol/index.ts";
import { seatOf, startCluster } from "./support/clusters.ts";
import { call, expectProblem } from "./support/master.ts";
import { allocate, logIn, requestAllocation } from "./support/players.ts";
import { eventually } from "../support/eventually.ts";

const shard = env.REGISTRY_SHARD.getByName("default.0");

afterEach(() => {
  vi.useRealTimers();
});

/** Joins of players whom nobody knows. */
function madeUp(count: number): SeatRef[] {
  return Array.from({ length: count }, () => ({
    playerId: crypto.randomUUID(),
    reservationId: crypto.randomUUID(),
    generation: 7_000,
  }));
}

/** What a cluster is told whose report was neither applied nor acknowledged. */
function putOff(sequence: number) {
  return { type: "later", sequence, retryAfterMs: 5_000 };
}

/** Drops what the cluster's joins would tell players' sessions: it would keep the machine busy for seconds. */
async function tellNobody(clusterId: string): Promise<void> {
  await runInDurableObject(shard, (_: RegistryShard, { storage }) => {
    storage.sql.exec("DELETE FROM outbox WHERE source = ?", clusterId);
  });
}

/** The generations of those who are in the game at the cluster, as its shard has them. */
async function joinsOf(clusterId: string): Promise<number[]> {
  return runInDurableObject(shard, (_: RegistryShard, { storage }) =>
    storage.sql
      .exec<{ n: number }>(
        "SELECT joined_generation AS n FROM seats WHERE cluster_id = ? AND joined_generation IS NOT NULL",
        clusterId,
      )
      .toArray()
      .map(({ n }) => n),
  );
}

describe("a link", () => {
  it("answers pings, and acknowledges reports", async () => {
    const cluster = await startCluster();
    const link = await cluster.openLink();
    link.send("ping");
    expect(await link.next()).toEqual({ text: "pong" });
    const report = cluster.nextReport({ full: true });
    link.send(report);
    const ack = { type: "ack", sequence: 1, reportIntervalMs: 1_000, quiet: true };
    expect(await link.nextCommand()).toEqual(ack);
    link.send(report);
    expect(await link.nextCommand()).toEqual(ack);
    link.close();
    expect(await link.next()).toEqual({ closed: 1000 });
  });

  it("is replaced by a newer one of the same process", async () => {
    const cluster = await startCluster();
    const first = await cluster.openLink();
    const second = await cluster.openLink();
    expect(await first.next()).toEqual({ closed: 1000 });
    second.send(cluster.nextReport({ full: true }));
    expect(await second.nextCommand()).toMatchObject({ type: "ack" });
  });

  it("lives through the hibernation of its object", async () => {
    const cluster = await startCluster({ capacity: 1 });
    const link = await cluster.openLink();
    const player = await logIn();
    const { ticket } = await allocate(player, { clusterId: cluster.id });
    await evictDurableObject(shard, { webSockets: "hibernate" });
    link.send("ping");
    expect(await link.next()).toEqual({ text: "pong" });
    link.send(cluster.nextReport({ full: true, players: 1, joined: [seatOf(player.player, ticket)] }));
    expect(await link.nextCommand()).toMatchObject({ type: "ack", sequence: 1 });
    await expectProblem(await requestAllocation(await logIn(), { clusterId: cluster.id }), "CLUSTER_FULL");
  });

  it.each([
    ["text that is no JSON", "hello"],
    ["another message", { type: "drain" }],
    ["an unknown field", { type: "report", sequence: 1, full: true, players: 0, joined: [], left: [], more: true }],
    ["bytes", new Uint8Array([1, 2, 3])],
  ])("is closed over %s, and that cluster alone pays", async (_, message) => {
    const [cluster, other] = [await startCluster(), await startCluster()];
    const [link, otherLink] = [await cluster.openLink(), await other.openLink()];
    if (message instanceof Uint8Array) link.sendBytes(message);
    else link.send(message);
    expect(await link.next()).toEqual({ closed: linkCloseCodes.BAD_MESSAGE });
    otherLink.send(other.nextReport({ full: true }));
    expect(await otherLink.nextCommand()).toMatchObject({ type: "ack" });
    // Its session still lives: it may link again.
    (await cluster.openLink()).close();
  });

  it("that floods the shard is closed, and others go on", async () => {
    const [cluster, other] = [await startCluster(), await startCluster()];
    const link = await cluster.openLink();
    for (let index = 0; index < 2 * maxReportsPerSecond + 10; index += 1) link.send(cluster.nextReport());
    const events = [];
    do events.push(await link.next());
    while (!("closed" in (events.at(-1) ?? {})));
    expect(events.at(-1)).toEqual({ closed: linkCloseCodes.BAD_MESSAGE });
    expect(events.length).toBeGreaterThan(maxReportsPerSecond);
    expect(await other.report()).toHaveLength(1);
  });

  it("is a WebSocket and nothing else", async () => {
    const cluster = await startCluster();
    await expectProblem(
      await call("GET", `/v1/clusters/${cluster.id}/link`, { token: cluster.token }),
      "UPGRADE_REQUIRED",
    );
  });
});

describe("a ticket that joins", () => {
  it("fences the player's older session on another cluster, until that reports it gone", async () => {
    const [a, b] = [await startCluster(), await startCluster({ region: "eu" })];
    const link = await a.openLink();
    const player = await logIn();
    const onA = seatOf(player.player, (await allocate(player, { clusterId: a.id })).ticket);
    link.send(a.nextReport({ full: true, players: 1, joined: [onA] }));
    expect(await link.nextCommand()).toMatchObject({ type: "ack" });
    const onB = seatOf(player.player, (await allocate(player, { clusterId: b.id })).ticket);
    await b.report({ full: true, players: 1, joined: [onB] });
    const fence = { type: "fence", playerId: player.player.id, generation: onB.generation };
    expect(await link.nextCommand()).toEqual(fence);
    expect(await a.report({ players: 1 })).toContainEqual(fence);
    expect(await a.report({ players: 0, left: [onA] })).toHaveLength(1);
    expect(await a.report({ players: 0 })).toHaveLength(1);
    expect(await b.report({ players: 1 })).toHaveLength(1);
  });

  it("that is reported after the newer one is fenced itself", async () => {
    const [a, b] = [await startCluster(), await startCluster()];
    const player = await logIn();
    const onA = seatOf(player.player, (await allocate(player, { clusterId: a.id })).ticket);
    const onB = seatOf(player.player, (await allocate(player, { clusterId: b.id })).ticket);
    await b.report({ full: true, players: 1, joined: [onB] });
    await a.report({ full: true, players: 1, joined: [onA] });
    const fence = { type: "fence", playerId: player.player.id, generation: onB.generation };
    await eventually(async () => expect(await a.report({ players: 1 })).toContainEqual(fence));
    expect(await b.report({ players: 1 })).toHaveLength(1);
  });

  it("throws nobody out while it has only been issued", async () => {
    const [a, b] = [await startCluster(), await startCluster()];
    const player = await logIn();
    const onA = seatOf(player.player, (await allocate(player, { clusterId: a.id })).ticket);
    await a.report({ full: true, players: 1, joined: [onA] });
    await allocate(player, { clusterId: b.id });
    await b.report({ full: true });
    await evictAllDurableObjects();
    expect(await a.report({ players: 1 })).toHaveLength(1);
  });

  it("of a player who has never been here is noted nowhere", async () => {
    const liar = await startCluster();
    const playerId = crypto.randomUUID();
    await liar.report({ full: true, players: 1, joined: [{ playerId, reservationId: "made-up", generation: 1 }] });
    await evictAllDurableObjects();
    const session = env.PLAYER_SESSION.getByName(playerId);
    const tables = await runInDurableObject(session, (_: PlayerSession, { storage }) =>
      storage.sql.exec("SELECT name FROM sqlite_master").toArray(),
    );
    expect(tables).toEqual([]);
  });

  it("[SEC-43] without a seat is put off when there are too many: neither applied nor acknowledged", async () => {
    const startMs = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now: startMs });
    const [liar, honest] = [await startCluster(), await startCluster()];
    const player = await logIn();
    const seat = seatOf(player.player, (await allocate(player, { clusterId: liar.id })).ticket);
    expect(await liar.report({ players: 1_000, joined: madeUp(maxUnbackedJoins) })).toHaveLength(1);
    await tellNobody(liar.id);
    expect(await liar.report({ players: 1_001, joined: [seat, ...madeUp(1)] })).toEqual([putOff(2)]);
    expect(await joinsOf(liar.id)).not.toContain(seat.generation);
    expect(await liar.report({ players: 1, joined: [seat] })).toHaveLength(1);
    expect(await joinsOf(liar.id)).toContain(seat.generation);
    expect(await honest.report({ players: 1, joined: madeUp(1) })).toHaveLength(1);
    vi.setSystemTime(startMs + 1_000);
    expect(await liar.report({ players: 200, joined: madeUp(unbackedJoinsPerSecond + 1) })).toEqual([putOff(4)]);
    expect(await liar.report({ players: 200, joined: madeUp(unbackedJoinsPerSecond) })).toHaveLength(1);
    await tellNobody(liar.id);
  });

  it("[SEC-43] without a seat is put off while too many wait to be told to players' sessions", async () => {
    const cluster = await startCluster();
    await runInDurableObject(shard, (_: RegistryShard, { storage }) => {
      storage.sql.exec(
        `WITH RECURSIVE rows (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM rows WHERE n < 2000)
         INSERT INTO outbox (target, payload, attempts, due_at, created_at, source) SELECT 'p', '{}', 0, ?, 0, ? FROM rows`,
        Date.now() + 3_600_000,
        cluster.id,
      );
    });
    expect(await cluster.report({ players: 1, joined: madeUp(1) })).toEqual([putOff(1)]);
    const player = await logIn();
    const seat = seatOf(player.player, (await allocate(player, { clusterId: cluster.id })).ticket);
    expect(await cluster.report({ players: 1, joined: [seat] })).toHaveLength(1);
    await runInDurableObject(shard, (_: RegistryShard, { storage }) => {
      const left = storage.sql.exec("SELECT id FROM outbox WHERE source = ? AND payload = '{}'", cluster.id).toArray();
      for (const row of left.slice(0, 2)) storage.sql.exec("DELETE FROM outbox WHERE id = ?", row["id"] ?? null);
    });
    expect(await cluster.report({ players: 1, joined: madeUp(1) })).toHaveLength(1);
    await tellNobody(cluster.id);
  });

  it("[SEC-43] waits no longer because another cluster has reported many", async () => {
    const order: string[] = [];
    await runInDurableObject(shard, async (_: RegistryShard, { storage }) => {
      storage.sql.exec("DELETE FROM outbox");
      const outbox = new Outbox<string>(storage.sql, Date.now, async ({ payload }) => void order.push(payload));
      for (let index = 0; index < 1_000; index += 1) outbox.put("player", "many", "liar");
      outbox.put("player", "one", "honest");
      expect([outbox.pending("liar"), outbox.pending("honest")]).toEqual([1_000, 1]);
      await outbox.deliverDue();
    });
    expect(order).toHaveLength(1_001);
    expect(order.indexOf("one")).toBeLessThan(2);
  });

  it("[SEC-44] by a forged report does not keep a player from allocating, and is forgotten", async () => {
    const liar = await startCluster({ capacity: 2 });
    const { player, ...tokens } = await logIn();
    const session = { player, ...tokens };
    await allocate(session, { clusterId: liar.id });
    const forged = { playerId: player.id, reservationId: "forged", generation: Number.MAX_SAFE_INTEGER };
    await liar.report({ players: 1, joined: [forged] });
    await allocate(session, { clusterId: liar.id });
    await eventually(async () => expect(await joinsOf(liar.id)).toEqual([]));
    const seat = seatOf(player, (await allocate(session, { clusterId: liar.id })).ticket);
    await liar.report({ players: 1, joined: [{ ...seat, generation: Number.MAX_SAFE_INTEGER }] });
    expect(await joinsOf(liar.id)).toEqual([seat.generation]);
    await allocate(session, { clusterId: liar.id });
  });

  it("is believed only from the cluster that it is for", async () => {
    const [a, liar] = [await startCluster(), await startCluster()];
    const player = await logIn();
    const key = crypto.randomUUID();
    const allocation = await allocate(player, { clusterId: a.id }, key);
    const seat = seatOf(player.player, allocation.ticket);
    await liar.report({ full: true, players: 1, joined: [{ ...seat, generation: seat.generation + 100 }] });
    await liar.report({ full: true, players: 1, joined: [seat] });
    await evictAllDurableObjects();
    expect(await allocate(player, { clusterId: a.id }, key)).toEqual(allocation);
    await a.report({ full: true, players: 1, joined: [seat] });
    await eventually(async () =>
      expectProblem(await requestAllocation(player, { clusterId: a.id }, key), "TICKET_CONSUMED"),
    );
    expect(await a.report({ players: 1 })).toHaveLength(1);
  });
});
