import { env } from "cloudflare:workers";
import {
  abortAllDurableObjects,
  evictAllDurableObjects,
  runDurableObjectAlarm,
  runInDurableObject,
} from "cloudflare:test";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { watchFailpoints } from "../../control-plane/failpoint.ts";
import { maxGates } from "../../control-plane/domain/waiting/waiting-gate.ts";
import { queueOf } from "../../control-plane/domain/waiting/waiting-queue.ts";
import { registryShard } from "../../control-plane/objects/remote.ts";
import * as worker from "../../control-plane/worker.ts";
import type { WaitingRoom } from "../../control-plane/worker.ts";
import type { PlayerSessionTokens, Waiting } from "../../protocol/index.ts";
import {
  assertionOf,
  enrolledKey,
  registration,
  requestRegistration,
  startCluster,
  startOn,
  testShards,
} from "./support/clusters.ts";
import { call, expectJson, expectProblem } from "./support/master.ts";
import { logInOperator } from "./support/operators.ts";
import { startParty } from "./support/parties.ts";
import { allocate, logIn, logInMany, requestAllocation } from "./support/players.ts";
import { expectFirst, fill, type Guest, join, leave, newWaiter, Waiter } from "./support/waiting.ts";
import { eventually } from "../support/eventually.ts";

afterEach(() => {
  watchFailpoints(undefined);
  vi.restoreAllMocks();
  vi.useRealTimers();
});

describe("a crowd that waits", () => {
  let players: readonly PlayerSessionTokens[];

  beforeAll(async () => {
    players = await logInMany(200);
  });

  it("[WAIT-1] [WAIT-3] of 200 gets 100 tickets and 100 places in order, and is served in that order", async () => {
    const tag = "crowd-waits";
    const sizes = testShards.flatMap((shard, index) =>
      [10, index === 0 ? 24 : 23].map((capacity) => ({ shard, capacity })),
    );
    const clusters = await Promise.all(sizes.map(({ shard, capacity }) => startOn(shard, { capacity, tags: [tag] })));
    const waiters = players.map((player) => new Waiter(player, { selector: { tags: [tag] } }));
    const answers = await Promise.all(waiters.map((waiter) => waiter.ask()));
    const inside = waiters.filter((_, index) => answers[index] !== undefined);
    expect(inside).toHaveLength(100);
    const line = waiters
      .filter(({ waiting }) => waiting !== undefined)
      .toSorted((a, b) => (a.waiting?.position ?? 0) - (b.waiting?.position ?? 0));
    expect(line.map(({ waiting }) => waiting?.position)).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));

    const served: Waiter[] = [];
    for (const count of [1, 7, 23]) {
      const cluster = clusters.find(({ details }) => details.capacity >= count);
      if (cluster === undefined) throw new Error("one is large enough");
      const guests = waiters.flatMap((waiter, index): Guest[] => {
        const allocation = answers[index];
        return allocation?.cluster.id === cluster.id ? [{ player: waiter.player, allocation }] : [];
      });
      clusters.splice(clusters.indexOf(cluster), 1);
      await leave(cluster, guests.slice(0, count));
      const next = line.slice(served.length, served.length + count);
      await eventually(async () => {
        // All at once, and the last in line first.
        const left = line.filter((waiter) => !served.includes(waiter)).toReversed();
        const asked = await Promise.all(left.map(async (waiter) => ({ waiter, got: await waiter.ask() })));
        served.push(...asked.filter(({ got }) => got !== undefined).map(({ waiter }) => waiter));
        expect(new Set(served)).toEqual(new Set([...served.slice(0, served.length), ...next]));
      });
      expect(new Set(served)).toEqual(new Set(line.slice(0, served.length)));
    }
    expect(served).toHaveLength(31);
  }, 120_000);
});

describe("nobody overtakes", () => {
  it("[WAIT-3] [WAIT-4] [SEC-51] a newcomer, however it asks, gets no seat for which others wait", async () => {
    const tags = ["overtaking", "also"];
    const cluster = await startOn("eu.1", { capacity: 2, tags, counters: { rooms: 3 } });
    const guests = await fill(cluster);
    const [first, second] = [
      await newWaiter({ region: "eu", selector: { tags } }),
      await newWaiter({ region: "eu", selector: { tags: tags.toReversed() } }),
    ];
    expect([first.waiting?.position, second.waiting?.position]).toEqual([1, 2]);
    await leave(cluster, guests.slice(0, 1));
    for (const request of [
      { region: "eu", selector: { tags } },
      { region: "eu", policy: "packed", selector: { tags: ["also"] } },
      { selector: { tags, counters: { rooms: { min: 0 } } } },
    ] as const) {
      await expectProblem(await requestAllocation(await logIn(), request), "NO_CLUSTER_AVAILABLE");
    }
    await expectProblem(await requestAllocation(await logIn(), { clusterId: cluster.id }), "CLUSTER_FULL");
    expect(await second.ask()).toBeUndefined();
    expect((await first.served()).cluster.id).toBe(cluster.id);
    // Somebody in another queue came later.
    const third = await newWaiter({ clusterId: cluster.id });
    await leave(cluster, guests.slice(1));
    expect(await third.ask()).toBeUndefined();
    expect((await second.served()).cluster.id).toBe(cluster.id);
    expect(await third.ask()).toBeUndefined();
  });

  it("[WAIT-4] [SEC-51] nor where a crowd waits in queues of its own, one in each, so many that a shard does not keep them all in mind", async () => {
    const [tag, shard] = ["a crowd of queues", "eu.1"] as const;
    const [crowded, cluster] = [
      await startOn(shard, { capacity: 1, tags: [tag], counters: { rooms: maxGates } }),
      await startOn(shard, { capacity: 1 }),
    ];
    await fill(crowded);
    const guests = await fill(cluster);
    const newcomer = await logIn();
    const players = await logInMany(maxGates + 2);
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const waiters = players.map((player, index) => {
      const selector = { tags: [tag], counters: { rooms: { min: index } } };
      return new Waiter(player, index < maxGates ? { region: "eu", selector } : { clusterId: cluster.id });
    });
    const [first, second] = waiters.splice(maxGates);
    await Promise.all(waiters.map(async (waiter) => expect(await waiter.ask()).toBeUndefined()));
    vi.setSystemTime(Date.now() + 1_001);
    expect(await first?.ask()).toBeUndefined();
    expect(await second?.ask()).toBeUndefined();
    // The shards hear of the second one with the next word of the queue, a second later.
    vi.setSystemTime(Date.now() + 1_001);
    expect(await second?.ask()).toBeUndefined();
    await leave(cluster, guests);
    await evictAllDurableObjects();
    await expectProblem(await requestAllocation(newcomer, { clusterId: cluster.id }), "CLUSTER_FULL");
    vi.setSystemTime(Date.now() + 1_001);
    expect((await first?.served())?.cluster.id).toBe(cluster.id);
  }, 60_000);

  it("[WAIT-4] but who has a seat keeps it", async () => {
    const cluster = await startCluster({ capacity: 1 });
    const [guest] = await fill(cluster);
    await newWaiter({ clusterId: cluster.id });
    if (guest === undefined) throw new Error("one is in");
    expect((await allocate(guest.player, { clusterId: cluster.id })).cluster.id).toBe(cluster.id);
  });
});

describe("a place", () => {
  it.each(Object.entries({ evicted: evictAllDurableObjects, aborted: abortAllDurableObjects }))(
    "[WAIT-2] outlives that all objects are %s, and ends in one ticket, the same for every retry",
    async (_, lose) => {
      const cluster = await startCluster({ capacity: 1 });
      const guests = await fill(cluster);
      const waiters = [await newWaiter({ clusterId: cluster.id }), await newWaiter({ clusterId: cluster.id })];
      await lose();
      for (const [index, waiter] of waiters.toReversed().entries()) {
        expect(await waiter.ask()).toBeUndefined();
        expect(waiter.waiting?.position).toBe(2 - index);
      }
      await leave(cluster, guests);
      await lose();
      await expectProblem(await requestAllocation(await logIn(), { clusterId: cluster.id }), "CLUSTER_FULL");
      const [first, second] = waiters;
      const ticket = await first?.served();
      await lose();
      expect(await first?.ask()).toEqual(ticket);
      expect(await second?.ask()).toBeUndefined();
      await eventually(async () => {
        await second?.ask();
        expect(second?.waiting?.position).toBe(1);
      });
    },
    60_000,
  );

  it("[WAIT-2] is kept by a player who comes with another key", async () => {
    const cluster = await startCluster({ capacity: 1 });
    await fill(cluster);
    const first = await newWaiter({ clusterId: cluster.id });
    const second = await newWaiter({ clusterId: cluster.id });
    const again = new Waiter(first.player, { clusterId: cluster.id });
    expect(await again.ask()).toBeUndefined();
    await second.ask();
    expect([again.waiting?.position, second.waiting?.position]).toEqual([1, 2]);
    await expectProblem(await requestAllocation(first.player, first.request, first.key), "RESERVATION_CANCELLED");
  });

  it("[WAIT-2] is the only one that a player has: who asks to wait for something else gives it up", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const [cluster, other] = [await startCluster({ capacity: 1 }), await startCluster({ capacity: 1 })];
    for (const each of [cluster, other]) await fill(each);
    const [first, second] = [await newWaiter({ clusterId: cluster.id }), await newWaiter({ clusterId: cluster.id })];
    const elsewhere = new Waiter(first.player, { clusterId: other.id });
    expect(await elsewhere.ask()).toBeUndefined();
    await expectFirst(second);
    await elsewhere.ask();
    expect(elsewhere.waiting?.position).toBe(1);
    // Nor is one kept by who does not wait any more, and is given nothing.
    const third = await newWaiter({ clusterId: other.id });
    await expectProblem(await requestAllocation(first.player, { clusterId: other.id }), "CLUSTER_FULL");
    await expectFirst(third);
  });

  it("[WAIT-2] ends with the seat that its player is given, under whatever key", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const cluster = await startCluster({ capacity: 1 });
    const clusterId = cluster.id;
    const guests = await fill(cluster);
    const first = await newWaiter({ clusterId });
    vi.setSystemTime(Date.now() + 8_000);
    const { name } = await queueOf({ clusterId });
    await runDurableObjectAlarm(env.WAITING_ROOM.getByName(name));
    await leave(cluster, guests);
    const again = new Waiter(first.player, { clusterId });
    expect(await again.ask()).toBeDefined();
    const next = await newWaiter({ clusterId });
    await expectFirst(next);
  });

  it("[SEC-72] is lost to who is thrown out", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const operator = await logInOperator();
    const cluster = await startCluster({ capacity: 1 });
    await fill(cluster);
    const [first, second] = [await newWaiter({ clusterId: cluster.id }), await newWaiter({ clusterId: cluster.id })];
    const path = `/v1/admin/players/${first.player.player.id}/kick`;
    expect((await call("POST", path, { token: operator.accessToken })).ok).toBe(true);
    await expectFirst(second);
  });

  it("[WAIT-5] that has come to a seat, of which nobody has heard, is given up with it", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const cluster = await startCluster({ capacity: 1 });
    const clusterId = cluster.id;
    const guests = await fill(cluster);
    const waiter = await newWaiter({ clusterId });
    await leave(cluster, guests);
    vi.setSystemTime(Date.now() + 2_000);
    watchFailpoints((name) => {
      if (name === "allocate.seated") throw new Error("the answer is lost");
    });
    await expectProblem(await requestAllocation(waiter.player, waiter.request, waiter.key), "INTERNAL");
    watchFailpoints(undefined);
    const path = `/v1/allocate/${waiter.waiting?.reservationId}`;
    expect((await call("DELETE", path, { token: waiter.player.accessToken })).status).toBe(204);
    const player = await logIn();
    await eventually(async () => allocate(player, { clusterId }));
  });

  it("[WAIT-5] is given up by DELETE, and those behind move up", async () => {
    const cluster = await startCluster({ capacity: 1 });
    await fill(cluster);
    const [first, second] = [await newWaiter({ clusterId: cluster.id }), await newWaiter({ clusterId: cluster.id })];
    const path = `/v1/allocate/${first.waiting?.reservationId}`;
    await expectProblem(await call("DELETE", path, { token: second.player.accessToken }), "NOT_FOUND");
    expect((await call("DELETE", path, { token: first.player.accessToken })).status).toBe(204);
    expect((await call("DELETE", path, { token: first.player.accessToken })).status).toBe(204);
    await eventually(async () => {
      await second.ask();
      expect(second.waiting?.position).toBe(1);
    });
    await expectProblem(await requestAllocation(first.player, first.request, first.key), "RESERVATION_CANCELLED");
  });

  it("[WAIT-5] is lost to who stays away for long, and the object goes when nobody waits", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const cluster = await startCluster({ capacity: 1 });
    await fill(cluster);
    const [first, second] = [await newWaiter({ clusterId: cluster.id }), await newWaiter({ clusterId: cluster.id })];
    for (let index = 0; index < 5; index += 1) {
      vi.setSystemTime(Date.now() + 4_000);
      await cluster.report();
      await second.ask();
    }
    expect(second.waiting?.position).toBe(1);
    // Who comes back is at the end.
    await first.ask();
    expect(first.waiting?.position).toBe(2);
    vi.setSystemTime(Date.now() + 20_000);
    const { name } = await queueOf({ clusterId: cluster.id });
    await runInDurableObject(env.WAITING_ROOM.getByName(name), async (room: WaitingRoom, { storage }) => {
      await room.alarm();
      expect(storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'places'").toArray()).toEqual([]);
    });
    await cluster.report();
    expect(await second.ask()).toBeUndefined();
    expect(second.waiting?.position).toBe(1);
  });

  it("[WAIT-5] at which nobody comes when it should keeps its turn for who does, and no seat from others meanwhile", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const cluster = await startCluster({ capacity: 2 });
    const clusterId = cluster.id;
    const guests = await fill(cluster);
    const waiter = await newWaiter({ clusterId });
    vi.setSystemTime(Date.now() + 8_000);
    await leave(cluster, guests.slice(0, 1));
    const { name } = await queueOf({ clusterId });
    await runDurableObjectAlarm(env.WAITING_ROOM.getByName(name));
    await allocate(await logIn(), { clusterId });
    // Late, but there: from now on it is first again, and who is called is served at once.
    expect(await waiter.ask()).toBeUndefined();
    await leave(cluster, guests.slice(1));
    await expectProblem(await requestAllocation(await logIn(), { clusterId }), "CLUSTER_FULL");
    vi.setSystemTime(Date.now() + 8_000);
    await cluster.report();
    expect(await waiter.ask()).toBeDefined();
  });

  it("[WAIT-4] is one that every shard knows of, also when somebody else has just left the line empty", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const cluster = await startCluster({ capacity: 1 });
    const clusterId = cluster.id;
    const guests = await fill(cluster);
    const gone = await newWaiter({ clusterId });
    const queue = await queueOf({ clusterId });
    const departure = { visitor: gone.player.player.id, reservationId: gone.waiting?.reservationId ?? "" };
    await runInDurableObject(env.WAITING_ROOM.getByName(queue.name), async (room: WaitingRoom) => {
      const left = room.leave(departure);
      // While the shards are being told that nobody waits.
      const visit = { visitor: crypto.randomUUID(), reservationId: "A".repeat(22), size: 1 };
      expect(await room.visit(visit, queue)).toMatchObject({ kind: "placed", position: 1 });
      await left;
    });
    await leave(cluster, guests);
    await expectProblem(await requestAllocation(await logIn(), { clusterId }), "CLUSTER_FULL");
  });

  it("[WAIT-4] that was given up keeps no seat, also when a shard hears only then that somebody had it", async () => {
    const cluster = await startCluster({ capacity: 1 });
    const clusterId = cluster.id;
    const guests = await fill(cluster);
    const attended = vi.spyOn(worker.RegistryShard.prototype, "attend");
    const waiter = await newWaiter({ clusterId });
    const queue = await queueOf({ clusterId });
    const said = () => attended.mock.calls.flatMap(([gate]) => (gate.queue === queue.name ? [gate] : []));
    const [late] = said();
    if (late === undefined) throw new Error("the shard was told");
    const { reservationId = "" } = waiter.waiting ?? {};
    const { accessToken: token } = waiter.player;
    expect((await call("DELETE", `/v1/allocate/${reservationId}`, { token })).status).toBe(204);
    await eventually(() => expect(said().at(-1)?.firsts).toEqual([]));
    await registryShard(env, "default.0").attend(late, false);
    await leave(cluster, guests);
    await allocate(await logIn(), { clusterId });
  });

  it("[WAIT-6] [SEC-50] serves its own player, request and key alone", async () => {
    const cluster = await startCluster({ capacity: 1 });
    const other = await startCluster({ capacity: 1 });
    for (const each of [cluster, other]) await fill(each);
    const [mine, yours] = [await newWaiter({ clusterId: cluster.id }), await newWaiter({ clusterId: cluster.id })];
    const place = mine.waiting?.place ?? "";
    const elsewhere = await newWaiter({ clusterId: other.id });
    const [sequence, tag = ""] = place.split("~");
    const tries: readonly (readonly [Waiter, string, string])[] = [
      [yours, yours.key, place],
      [elsewhere, elsewhere.key, place],
      [mine, crypto.randomUUID(), place],
      [mine, mine.key, `${sequence}0~${tag}`],
      [mine, mine.key, `${sequence}~${"A".repeat(22)}`],
      [mine, mine.key, ""],
      [mine, mine.key, "0~💥"],
    ];
    for (const [waiter, key, stolen] of tries) {
      const response = await requestAllocation(waiter.player, { ...waiter.request, place: stolen }, key);
      await expectProblem(response, "PLACE_INVALID");
    }
    const long = await requestAllocation(mine.player, { ...mine.request, place: "1".repeat(41) }, mine.key);
    await expectProblem(long, "INVALID_FIELD");
    expect(await mine.ask()).toBeUndefined();
    expect(mine.waiting?.position).toBe(1);
  });
});

describe("without a wish to wait", () => {
  it("[WAIT-10] and with one, the answer says when to come again, as a header too", async () => {
    const cluster = await startCluster({ capacity: 1 });
    await fill(cluster);
    const response = await requestAllocation(await logIn(), { clusterId: cluster.id, wait: true });
    const waiting = await expectJson<Waiting>(response, 202);
    expect(response.headers.get("retry-after")).toBe(String(waiting.retryAfterSeconds));
    expect(waiting).toMatchObject({ status: "waiting", position: 1, estimateSeconds: null });
    expect(waiting.retryAfterSeconds).toBeGreaterThanOrEqual(1);
  });

  it("[WAIT-1] the answers are as they were", async () => {
    const cluster = await startCluster({ capacity: 1, tags: ["no-wait"] });
    await fill(cluster);
    const player = await logIn();
    for (const wait of [undefined, false]) {
      await expectProblem(await requestAllocation(player, { clusterId: cluster.id, wait }), "CLUSTER_FULL");
      const anywhere = { selector: { tags: ["no-wait"] }, wait };
      await expectProblem(await requestAllocation(player, anywhere), "NO_CLUSTER_AVAILABLE");
    }
  });

  it("[WAIT-1] nor does anybody wait for what is not there or cannot be given", async () => {
    const cluster = await startCluster({ capacity: 1, gameBuild: "1" });
    const player = await logIn();
    const missing = { clusterId: "default.AAAAAAAAAAAAAAAAAAAAAA", wait: true };
    await expectProblem(await requestAllocation(player, missing), "CLUSTER_NOT_FOUND");
    const build = { clusterId: cluster.id, selector: { gameBuild: "2" }, wait: true };
    await expectProblem(await requestAllocation(player, build), "NO_CLUSTER_AVAILABLE");
    await expectProblem(await requestAllocation(player, { region: "nowhere", wait: true }), "REGION_NOT_FOUND");
  });
});

describe("a declared join rate", () => {
  it("[WAIT-7] lets so many in at a time, and the others wait their turn", async () => {
    const cluster = await startCluster({ capacity: 100, joinRatePerSecond: 2 });
    const waiters = await Promise.all(
      Array.from({ length: 8 }, async () => new Waiter(await logIn(), { clusterId: cluster.id })),
    );
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const served: Waiter[] = [];
    for (let second = 0; second < 4; second += 1) {
      const asked = [];
      for (const waiter of waiters)
        if (!served.includes(waiter) && (await waiter.ask()) !== undefined) asked.push(waiter);
      served.push(...asked);
      expect(asked).toHaveLength(2);
      vi.setSystemTime(Date.now() + 1_001);
    }
    expect(served).toEqual(waiters);
  });

  it("[WAIT-7] sends whoever does not mind to another cluster meanwhile", async () => {
    const tag = "filled slowly";
    const slow = await startCluster({ capacity: 100, joinRatePerSecond: 2, tags: [tag] });
    const other = await startCluster({ capacity: 10, tags: [tag] });
    const players = await Promise.all(Array.from({ length: 8 }, () => logIn()));
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const given: string[] = [];
    // By load the others were for the larger one as well.
    for (const player of players) given.push((await allocate(player, { selector: { tags: [tag] } })).cluster.id);
    expect(given.filter((id) => id === slow.id)).toHaveLength(2);
    expect(given.filter((id) => id === other.id)).toHaveLength(6);
    vi.setSystemTime(Date.now() + 1_001);
    expect((await allocate(await logIn(), { selector: { tags: [tag] } })).cluster.id).toBe(slow.id);
  });

  it.each([0, -1, 10_001, "2"])("[WAIT-7] of %s is refused", async (joinRatePerSecond) => {
    const details = { ...registration(), joinRatePerSecond };
    const response = await requestRegistration(details, await assertionOf(await enrolledKey(), "main"));
    expect((await expectProblem(response, "INVALID_FIELD")).errors?.[0]?.field).toBe("joinRatePerSecond");
  });
});

describe("a flood", () => {
  it("[WAIT-8] of places costs its account", async () => {
    const clusters = await Promise.all(Array.from({ length: 2 }, () => startCluster({ capacity: 1 })));
    for (const cluster of clusters) await join(cluster, await fill(cluster));
    const player = await logIn();
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    let refused: Response | undefined;
    for (let index = 0; index < 130 && refused === undefined; index += 1) {
      // Slow enough for the limit on all allocations.
      vi.setSystemTime(Date.now() + 2_000);
      const clusterId = clusters[index % 2]?.id;
      if (index % 8 === 0) for (const cluster of clusters) await cluster.report();
      const response = await requestAllocation(player, { clusterId, wait: true });
      if (response.status !== 202) refused = response;
    }
    if (refused === undefined) throw new Error("nothing was refused");
    expect((await expectProblem(refused, "RATE_LIMITED")).detail).toContain("waiting room");
  }, 60_000);
});

describe("[WAIT-11] a cluster that is waited for by its id", () => {
  it("and is locked, or drains, is an error with what to do; who repeats keeps the place until it is back", async () => {
    const { accessToken: token } = await logInOperator();
    const cluster = await startCluster({ capacity: 1 });
    const clusterId = cluster.id;
    const guests = await fill(cluster);
    const waiters = [await newWaiter({ clusterId }), await newWaiter({ clusterId })];
    const [first, second] = waiters;
    const ask = async (waiter: Waiter | undefined) => {
      const { player, request, key } = waiter ?? new Waiter(await logIn(), { clusterId });
      return requestAllocation(player, request, key);
    };
    for (const [order, word] of [
      ["lock", "locked"],
      ["drain", "draining"],
    ] as const) {
      const path = `/v1/admin/clusters/${clusterId}/${order}`;
      const body = order === "drain" ? { deadlineSeconds: 600 } : {};
      await expectJson(await call("PUT", path, { token, body }), 200);
      for (const waiter of waiters) {
        await eventually(async () => {
          const answer = await ask(waiter);
          expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
          const { detail } = await expectProblem(answer, "NO_CLUSTER_AVAILABLE");
          expect(detail).toMatch(new RegExp(`is ${word} now\\. Choose another one, or repeat`));
        });
      }
      // A newcomer is not let in to wait at all.
      await expectProblem(await ask(undefined), "NO_CLUSTER_AVAILABLE");
      await expectJson(await call("DELETE", path, { token }), 200);
    }
    await eventually(async () => expect(await second?.ask()).toBeUndefined());
    expect(second?.waiting?.position).toBe(2);
    await leave(cluster, guests);
    expect((await first?.served())?.cluster.id).toBe(clusterId);
  });

  it("and has gone is CLUSTER_NOT_FOUND, for parties too; a process that takes its place finds the line as it was", async () => {
    const cluster = await startCluster({ capacity: 2 });
    const clusterId = cluster.id;
    await fill(cluster);
    const single = await newWaiter({ clusterId });
    const party = await startParty(2);
    const partyKey = crypto.randomUUID();
    const askAsParty = async () => party.requestHold({ clusterId, wait: true }, partyKey);
    await expectJson(await askAsParty(), 202);
    expect((await call("DELETE", `/v1/clusters/${clusterId}`, { token: cluster.token })).status).toBe(204);
    await eventually(async () => {
      await expectProblem(await requestAllocation(single.player, single.request, single.key), "CLUSTER_NOT_FOUND");
      await expectProblem(await askAsParty(), "CLUSTER_NOT_FOUND");
    });
    // It comes back as another process: whoever has not given up is first.
    await startCluster(cluster.details, cluster.key);
    await eventually(async () => expect((await single.ask())?.cluster.id).toBe(clusterId));
  });
});
