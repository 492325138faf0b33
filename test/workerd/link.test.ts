import { env } from "cloudflare:workers";
import { evictAllDurableObjects, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, it, vi } from "vitest";
import { maxReportsPerSecond } from "../../control-plane/domain/report-budget.ts";
import type { PlayerSession } from "../../control-plane/worker.ts";
import { linkCloseCodes } from "../../protocol/index.ts";
import { seatOf, startCluster } from "./support/clusters.ts";
import { call, expectProblem } from "./support/master.ts";
import { allocate, logIn, requestAllocation } from "./support/players.ts";

const shard = env.REGISTRY_SHARD.getByName("default.0");

describe("a link", () => {
  it("answers pings, and acknowledges reports", async () => {
    const cluster = await startCluster();
    const link = await cluster.openLink();
    link.send("ping");
    expect(await link.next()).toEqual({ text: "pong" });
    const report = cluster.nextReport({ full: true });
    link.send(report);
    const ack = { type: "ack", sequence: 1, reportIntervalMs: 1_000 };
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
    await vi.waitFor(async () => expect(await a.report({ players: 1 })).toContainEqual(fence), 5_000);
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
    await vi.waitFor(
      async () => expectProblem(await requestAllocation(player, { clusterId: a.id }, key), "TICKET_CONSUMED"),
      5_000,
    );
    expect(await a.report({ players: 1 })).toHaveLength(1);
  });
});
