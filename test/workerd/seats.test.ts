import { env } from "cloudflare:workers";
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { decodeJwt } from "jose";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RegistryShard } from "../../control-plane/worker.ts";
import type { PlayerSessionTokens } from "../../protocol/index.ts";
import { seatOf, startCluster, type TestCluster } from "./support/clusters.ts";
import { call, expectProblem } from "./support/master.ts";
import { allocate, logIn, requestAllocation } from "./support/players.ts";

const shard = env.REGISTRY_SHARD.getByName("default.0");

/** The whole Worker runs in this isolate: its clock can be set. Timers go on as ever. */
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
  // Clusters of earlier tests are not to be silent together with those of this one.
  await runInDurableObject(shard, (_: RegistryShard, state) => {
    state.storage.sql.exec("UPDATE clusters SET state = 'gone'");
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

function passSeconds(seconds: number): void {
  vi.setSystemTime(Date.now() + seconds * 1_000);
}

function bootOf(ticket: string): unknown {
  return decodeJwt(ticket)["boot"];
}

async function isFull(cluster: TestCluster, player: PlayerSessionTokens): Promise<boolean> {
  const response = await requestAllocation(player, { clusterId: cluster.id });
  if (response.status === 200) return false;
  await expectProblem(response, "CLUSTER_FULL");
  return true;
}

describe("a seat that nobody claims", () => {
  it("is free after its ticket's end and a later report, not before either", async () => {
    const cluster = await startCluster({ capacity: 1 });
    const [player, other] = [await logIn(), await logIn()];
    const key = crypto.randomUUID();
    await allocate(player, { clusterId: cluster.id }, key);
    passSeconds(64);
    await cluster.report();
    await cluster.report();
    expect(await isFull(cluster, other)).toBe(true);
    await expectProblem(await requestAllocation(player, { clusterId: cluster.id }, key), "TICKET_EXPIRED");
    passSeconds(2);
    // On its way when the ticket ended: it may not count who joined last.
    await cluster.report();
    expect(await isFull(cluster, other)).toBe(true);
    await cluster.report();
    expect(await isFull(cluster, other)).toBe(false);
  });

  it("is not freed by the alarm without a report", async () => {
    const cluster = await startCluster({ capacity: 1 });
    await allocate(await logIn(), { clusterId: cluster.id });
    passSeconds(20);
    await cluster.report();
    for (let index = 0; index < 4; index += 1) {
      passSeconds(20);
      await runInDurableObject(shard, async (instance: RegistryShard) => instance.alarm());
      const response = await requestAllocation(await logIn(), { clusterId: cluster.id });
      expect(response.status).not.toBe(200);
    }
    await cluster.report();
    await cluster.report();
    expect(await isFull(cluster, await logIn())).toBe(false);
  });

  it("stays taken when the report counts its player", async () => {
    const cluster = await startCluster({ capacity: 1 });
    const [player, other] = [await logIn(), await logIn()];
    const { ticket } = await allocate(player, { clusterId: cluster.id });
    passSeconds(66);
    const seat = seatOf(player.player, ticket);
    await cluster.report({ players: 1, joined: [seat] });
    await cluster.report({ players: 1 });
    await cluster.report({ players: 1 });
    expect(await isFull(cluster, other)).toBe(true);
    await cluster.report({ players: 0, left: [seat] });
    expect(await isFull(cluster, other)).toBe(false);
  });

  it("is free by the alarm when only pings come, over a link whose full report has come", async () => {
    const cluster = await startCluster({ capacity: 1 });
    const link = await cluster.openLink();
    link.send(cluster.nextReport({ full: true }));
    await link.next();
    const [player, other] = [await logIn(), await logIn()];
    await allocate(player, { clusterId: cluster.id });
    passSeconds(68);
    link.send("ping");
    expect(await link.next()).toEqual({ text: "pong" });
    await runInDurableObject(shard, async (instance: RegistryShard, state) => {
      // The platform stamps pings with its own clock, which stands where it stood.
      vi.spyOn(state, "getWebSocketAutoResponseTimestamp").mockReturnValue(new Date());
      passSeconds(1);
      await instance.alarm();
    });
    expect(await isFull(cluster, other)).toBe(true);
    await runInDurableObject(shard, async (instance: RegistryShard, state) => {
      passSeconds(5);
      vi.spyOn(state, "getWebSocketAutoResponseTimestamp").mockReturnValue(new Date());
      await instance.alarm();
    });
    expect(await isFull(cluster, other)).toBe(false);
    link.close();
  });
});

describe("the places of a cluster", () => {
  it("are taken by players whom it counts, even when the master does not know them", async () => {
    const cluster = await startCluster({ capacity: 3 });
    await cluster.report({ full: true, players: 3 });
    expect(await isFull(cluster, await logIn())).toBe(true);
    await cluster.report({ players: 2 });
    expect(await isFull(cluster, await logIn())).toBe(false);
    expect(await isFull(cluster, await logIn())).toBe(true);
  });

  it("stay taken when its process registers again: it may be the same one, with the same players in it", async () => {
    const cluster = await startCluster({ capacity: 2 });
    const [joined, holder, other] = [await logIn(), await logIn(), await logIn()];
    const { ticket } = await allocate(joined, { clusterId: cluster.id });
    const seat = seatOf(joined.player, ticket);
    await cluster.report({ full: true, players: 1, joined: [seat] });
    const { ticket: older } = await allocate(holder, { clusterId: cluster.id });
    const again = await startCluster({ capacity: 2 }, cluster.key);
    expect(again.id).toBe(cluster.id);
    expect(await isFull(again, other)).toBe(true);
    await again.report({ full: true, players: 1, joined: [seat] });
    expect(await isFull(again, other)).toBe(true);
    // Whoever has a seat gets a ticket of the new boot for it.
    const { ticket: newer } = await allocate(holder, { clusterId: again.id });
    expect([bootOf(older), bootOf(newer)]).toEqual([cluster.registered.boot, again.registered.boot]);
    // It was another process after all: nobody is there.
    await again.report({ full: true, players: 0 });
    expect(await isFull(again, other)).toBe(false);
  });

  it("stay taken while it is gone: its players may play on without the master", async () => {
    const cluster = await startCluster({ capacity: 1 });
    const player = await logIn();
    const { ticket } = await allocate(player, { clusterId: cluster.id });
    await cluster.report({ full: true, players: 1, joined: [seatOf(player.player, ticket)] });
    passSeconds(20 * 30);
    await runInDurableObject(shard, async (instance: RegistryShard) => instance.alarm());
    await expectProblem(await cluster.requestLink(), "CLUSTER_SESSION_INVALID");
    const again = await startCluster({ capacity: 1 }, cluster.key);
    expect(await isFull(again, await logIn())).toBe(true);
    await again.report({ full: true, players: 0 });
    expect(await isFull(again, await logIn())).toBe(false);
  });

  it("are not more than one elsewhere, however often an answer is lost after it has gone", async () => {
    const player = await logIn();
    const key = crypto.randomUUID();
    const loseAnAnswer = async () => {
      vi.spyOn(RegistryShard.prototype, "reserve").mockImplementationOnce(async function lost(
        this: RegistryShard,
        request,
      ) {
        // Mocked once: this is the real one.
        await this.reserve(request);
        throw new Error("stopped by the test");
      });
      await expectProblem(await requestAllocation(player, {}, key), "INTERNAL");
    };
    await startCluster({ capacity: 1 });
    await loseAnAnswer();
    passSeconds(20 * 30);
    await runInDurableObject(shard, async (instance: RegistryShard) => instance.alarm());
    const others = await Promise.all(Array.from({ length: 4 }, () => startCluster({ capacity: 1 })));
    for (let lost = 0; lost < 3; lost++) await loseAnAnswer();
    const { cluster } = await allocate(player, {}, key);
    for (const other of others) expect(await isFull(other, await logIn())).toBe(other.id === cluster.id);
  });

  it("are taken and given back in the order in which that is asked for, when it is at the same time", async () => {
    const cluster = await startCluster({ capacity: 1 });
    const [reservationId, playerId] = [crypto.randomUUID(), crypto.randomUUID()];
    const wish = { clusterId: cluster.id };
    const seat = {
      reservationId,
      playerId,
      generation: 1,
      lifetimeSeconds: 60,
      shard: "default.0",
      wish,
      sparing: false,
    };
    const [answer] = await Promise.all([shard.reserve(seat), shard.withdraw(reservationId, playerId)]);
    expect(answer.ok).toBe(true);
    expect(await isFull(cluster, await logIn())).toBe(false);
  });

  it("are free when it deregisters and starts again", async () => {
    const cluster = await startCluster({ capacity: 1 });
    await allocate(await logIn(), { clusterId: cluster.id });
    expect((await call("DELETE", `/v1/clusters/${cluster.id}`, { token: cluster.token })).status).toBe(204);
    const again = await startCluster({ capacity: 1 }, cluster.key);
    expect(await isFull(again, await logIn())).toBe(false);
  });

  it("follow the capacity with which it registers", async () => {
    const cluster = await startCluster({ capacity: 1 });
    await allocate(await logIn(), { clusterId: cluster.id });
    const larger = await startCluster({ capacity: 2 }, cluster.key);
    expect(await isFull(larger, await logIn())).toBe(false);
    const smaller = await startCluster({ capacity: 1 }, cluster.key);
    expect(await isFull(smaller, await logIn())).toBe(true);
  });
});

describe("a cluster that falls silent", () => {
  it("is offered to nobody once its lease has ended, and again when it reports", async () => {
    const clusters = await Promise.all(Array.from({ length: 4 }, () => startCluster()));
    const [silent] = clusters;
    if (silent === undefined) throw new Error("four clusters were started");
    passSeconds(31);
    for (const cluster of clusters) if (cluster !== silent) await cluster.report();
    const response = await requestAllocation(await logIn(), { clusterId: silent.id });
    expect((await expectProblem(response, "NO_CLUSTER_AVAILABLE")).detail).toContain("silent");
    await silent.report();
    await allocate(await logIn(), { clusterId: silent.id });
  });

  it("with half of the others makes the master suspect itself: they stay allocatable", async () => {
    const clusters = await Promise.all(Array.from({ length: 3 }, () => startCluster()));
    passSeconds(31);
    await runInDurableObject(shard, async (instance: RegistryShard) => instance.alarm());
    for (const cluster of clusters) {
      const allocation = await allocate(await logIn(), { clusterId: cluster.id });
      expect(allocation.cluster.id).toBe(cluster.id);
    }
  });

  it("gets its full grace after the object was restarted under it", async () => {
    const cluster = await startCluster();
    const link = await cluster.openLink();
    passSeconds(29);
    await evictDurableObject(shard, { webSockets: "close" });
    expect(await link.next()).toHaveProperty("closed");
    await allocate(await logIn(), { clusterId: cluster.id });
    passSeconds(29);
    await allocate(await logIn(), { clusterId: cluster.id });
    passSeconds(2);
    await expectProblem(await requestAllocation(await logIn(), { clusterId: cluster.id }), "NO_CLUSTER_AVAILABLE");
  });

  it("for long is gone, and has to register again", async () => {
    const cluster = await startCluster();
    passSeconds(20 * 30);
    await runInDurableObject(shard, async (instance: RegistryShard) => instance.alarm());
    await expectProblem(await requestAllocation(await logIn(), { clusterId: cluster.id }), "CLUSTER_NOT_FOUND");
    await expectProblem(await cluster.requestLink(), "CLUSTER_SESSION_INVALID");
    const again = await startCluster({}, cluster.key);
    expect(again.id).toBe(cluster.id);
    await allocate(await logIn(), { clusterId: cluster.id });
  });
});

describe("the alarm", () => {
  it("is set while there are clusters, and survives an eviction", async () => {
    await startCluster();
    await evictDurableObject(shard);
    expect(await runDurableObjectAlarm(shard)).toBe(true);
    expect(await runDurableObjectAlarm(shard)).toBe(true);
  });
});
