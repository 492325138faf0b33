import { describe, expect, it } from "vitest";
import { firstInLine, isSpokenFor, leastAwaited, playersWaiting, type QueueGate } from "./waiting-gate.ts";
import { queueOf } from "./waiting-queue.ts";

const nowMs = 1_000_000;
const clusterId = "eu.AAAAAAAAAAAAAAAAAAAAAA";
const cluster = {
  clusterId,
  capacity: 4,
  facts: { labels: { mode: "ctf" }, tags: ["pvp"], counters: { rooms: 3 }, gameBuild: "1", fragments: ["north"] },
};

function gate(changes: Partial<QueueGate> = {}): QueueGate {
  return { queue: "q", wish: {}, sinceMs: nowMs - 5_000, untilMs: nowMs + 1, kept: [], saidAtMs: nowMs, ...changes };
}

describe("[WAIT-4] a cluster's seats are for those who wait", () => {
  it.each([
    ["for anything", {}],
    ["for its region", { region: "eu" }],
    ["for it alone", { clusterId }],
    ["for what it has", { selector: { tags: ["pvp"], counters: { rooms: { min: 1 } } } }],
  ])("%s", (_, wish) => {
    expect(isSpokenFor(cluster, [gate({ wish })], undefined, nowMs)).toBe(true);
  });

  it.each([
    ["for another region", { wish: { region: "us" } }],
    ["for a region of a similar name", { wish: { region: "e" } }],
    ["for another cluster", { wish: { clusterId: "eu.BBBBBBBBBBBBBBBBBBBBBB" } }],
    ["for what it does not have", { wish: { selector: { tags: ["pve"] } } }],
    ["no longer", { untilMs: nowMs }],
  ])("but not if they wait %s", (_, changes) => {
    expect(isSpokenFor(cluster, [gate(changes)], undefined, nowMs)).toBe(false);
  });

  it("but for their own queue, and for who waits for longer in another", () => {
    const own = { queue: "q", sinceMs: nowMs };
    expect(isSpokenFor(cluster, [gate()], own, nowMs)).toBe(false);
    expect(isSpokenFor(cluster, [gate()], { queue: "other", sinceMs: nowMs - 5_000 }, nowMs)).toBe(false);
    expect(isSpokenFor(cluster, [gate()], { queue: "other", sinceMs: nowMs - 4_999 }, nowMs)).toBe(true);
    expect(isSpokenFor(cluster, [], undefined, nowMs)).toBe(false);
  });

  it("[WAIT-9] a cluster that is kept is for the party whose turn it is there", () => {
    const gates = [gate({ kept: [clusterId] })];
    expect(isSpokenFor(cluster, gates, { queue: "q", sinceMs: 0 }, nowMs)).toBe(true);
    expect(isSpokenFor(cluster, gates, { queue: "q", sinceMs: 0, clusterId }, nowMs)).toBe(false);
  });
});

describe("who is first in line", () => {
  const line = (...places: (readonly [size: number, dueAtMs: number])[]) =>
    places.map(([size, dueAtMs], index) => ({
      sequence: index + 1,
      visitor: `v${index}`,
      reservationId: `r${index}`,
      size,
      joinedAtMs: index,
      dueAtMs,
      expiresAtMs: nowMs + 60_000,
    }));

  it("[WAIT-9] is another one for clusters that are too small for those before", () => {
    const there = nowMs + 1;
    const firsts = firstInLine(line([4, there], [6, there], [2, there], [2, there], [1, there], [1, there]), nowMs);
    expect(firsts).toEqual([
      { size: 4, sinceMs: 0 },
      { size: 2, sinceMs: 2 },
      { size: 1, sinceMs: 4 },
    ]);
  });

  it("[WAIT-5] is nobody who does not come", () => {
    expect(firstInLine(line([1, nowMs - 1], [2, nowMs]), nowMs)).toEqual([{ size: 2, sinceMs: 1 }]);
    expect(firstInLine(line([1, nowMs - 1]), nowMs)).toEqual([]);
  });

  it("[WAIT-9] has the seats of clusters alone that are large enough", () => {
    const gates = [gate({ firsts: [{ size: 5, sinceMs: nowMs - 5_000 }] })];
    const spoken = (capacity: number) => isSpokenFor({ ...cluster, capacity }, gates, undefined, nowMs);
    expect([4, 5, 0].map(spoken)).toEqual([false, true, true]);
    const both = [gate({ firsts: [...(gates[0]?.firsts ?? []), { size: 1, sinceMs: nowMs - 1_000 }] })];
    const other = { queue: "other", sinceMs: nowMs - 3_000 };
    const inOther = (capacity: number) => isSpokenFor({ ...cluster, capacity }, both, other, nowMs);
    expect([4, 5, 0].map(inOther)).toEqual([false, true, true]);
    expect(isSpokenFor({ ...cluster, capacity: 4 }, both, undefined, nowMs)).toBe(true);
  });
});

describe("[WAIT-4] [SEC-51] of more queues than a shard keeps in mind", () => {
  const named = (queue: string, changes: Partial<QueueGate>) => gate({ queue, ...changes });
  const least = (latest: QueueGate, ...gates: QueueGate[]) => leastAwaited(gates, latest).queue;

  it("goes the one with the fewest players, whoever came first", () => {
    const [alone, many] = [named("alone", { waiting: 1, sinceMs: 1 }), named("many", { waiting: 3, sinceMs: 3 })];
    const two = named("two", { waiting: 2, sinceMs: 2 });
    for (const gates of [
      [alone, two, many],
      [two, many, alone],
      [many, alone, two],
    ] as const) {
      expect(least(...gates)).toBe("alone");
    }
    expect(least(two, many)).toBe("two");
  });

  it("goes, of those with as many, the one of who came last; who came at the same time stays", () => {
    const [first, last] = [named("first", { waiting: 2, sinceMs: 1 }), named("last", { waiting: 2, sinceMs: 2 })];
    expect(least(first, last)).toBe("last");
    expect(least(last, first)).toBe("last");
    expect(least(named("also", { waiting: 2, sinceMs: 2 }), first, last)).toBe("also");
  });

  it("one of the release before counts as one with a single player", () => {
    const before = named("before", { sinceMs: 2 });
    expect(least(before, named("two", { waiting: 2, sinceMs: 3 }))).toBe("before");
    expect(least(named("later", { waiting: 1, sinceMs: 3 }), before)).toBe("later");
  });

  it("count all in a party, and nobody who does not come", () => {
    const place = { sequence: 1, visitor: "v", reservationId: "r", joinedAtMs: 0, expiresAtMs: nowMs + 60_000 };
    const places = [
      { ...place, size: 1, dueAtMs: nowMs },
      { ...place, size: 5, dueAtMs: nowMs + 1 },
      { ...place, size: 16, dueAtMs: nowMs - 1 },
    ];
    expect(playersWaiting(places, nowMs)).toBe(6);
    expect(playersWaiting([], nowMs)).toBe(0);
  });
});

describe("[WAIT-3] one queue", () => {
  const name = async (request: Parameters<typeof queueOf>[0]) => (await queueOf(request)).name;

  it("is for all who want the same, however they say it", async () => {
    const selector = { tags: ["a", "b", "a"], labels: { x: "1", y: "2" } };
    const same = { labels: { y: "2", x: "1" }, tags: ["b", "a"], counters: {} };
    expect(await name({ region: "eu", selector, policy: "packed", wait: true })).toBe(
      await name({ region: "eu", selector: same, latencies: { eu: 5 } }),
    );
    expect(await name({})).toBe(await name({ selector: { tags: [] } }));
    expect(await name({ clusterId, region: "eu" })).toBe(await name({ clusterId }));
  });

  it("is not for those who want something else", async () => {
    const requests = [
      {},
      { region: "eu" },
      { clusterId },
      { selector: { tags: ["a"] } },
      { selector: { gameBuild: "a" } },
    ];
    expect(new Set(await Promise.all(requests.map(name))).size).toBe(requests.length);
  });
});
