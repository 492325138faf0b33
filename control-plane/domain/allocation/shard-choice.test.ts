import { describe, expect, it } from "vitest";
import { askingOrder, orderShards, type ShardDigest } from "./shard-choice.ts";

function shard(name: string, changes: Partial<ShardDigest> = {}): ShardDigest {
  const { lowestLoad = 0, ...rest } = changes;
  return { shard: name, clusters: 1, lowestLoad, packedLoad: lowestLoad, fewestPlaces: 0, ...rest };
}

const full: ShardDigest = {
  shard: "full",
  clusters: 9,
  lowestLoad: undefined,
  packedLoad: undefined,
  fewestPlaces: undefined,
};

/** The same draws in every run. */
function signs(latencies: Readonly<Record<string, number>> = {}) {
  let state = 1;
  const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  return { latencyOf: (name: string) => latencies[name], random };
}

function timesFirst(
  digests: readonly ShardDigest[],
  policy: Parameters<typeof orderShards>[1],
  latencies: Readonly<Record<string, number>> = {},
) {
  const given = signs(latencies);
  const counts = new Map<string, number>();
  for (let index = 0; index < 1_000; index += 1) {
    const first = orderShards(digests, policy, given)[0] ?? "";
    counts.set(first, (counts.get(first) ?? 0) + 1);
  }
  return counts;
}

describe("the order of shards", () => {
  it("has every shard once, and those without room last", () => {
    const digests = [full, shard("half", { lowestLoad: 0.5 }), shard("idle")];
    for (const policy of ["load", "packed", "distributed", "latency"] as const) {
      const order = orderShards(digests, policy, signs());
      expect(order.toSorted()).toEqual(["full", "half", "idle"]);
      expect(order[2]).toBe("full");
    }
    expect(orderShards([], "load", signs())).toEqual([]);
  });

  it("[ALLOC-7] asks the better of two that are drawn by chance", () => {
    const digests = [shard("idle"), shard("half", { lowestLoad: 0.5 }), shard("busy", { lowestLoad: 0.9 })];
    const counts = timesFirst(digests, "load");
    // Drawn with one of the others in two of three pairs.
    expect(counts.get("idle")).toBeGreaterThan(600);
    expect(counts.get("half")).toBeGreaterThan(250);
    expect(counts.has("busy")).toBe(false);
  });

  it("[ALLOC-8] shares among shards that differ by little, by the number of their clusters", () => {
    const digests = [shard("a", { lowestLoad: 0.5 }), shard("b", { lowestLoad: 0.51, clusters: 3 })];
    const counts = timesFirst(digests, "load");
    expect(counts.get("a")).toBeGreaterThan(200);
    expect(counts.get("a")).toBeLessThan(300);
  });

  it("[ALLOC-4] packed brings everybody to the same shard", () => {
    const digests = [shard("a"), shard("b"), shard("c", { packedLoad: 0.8 })];
    expect(timesFirst(digests, "packed")).toEqual(new Map([["c", 1_000]]));
    expect(timesFirst(digests.slice(0, 2), "packed")).toEqual(new Map([["a", 1_000]]));
  });

  it("[ALLOC-5] distributed prefers the shard with the emptiest cluster", () => {
    const digests = [
      shard("a", { fewestPlaces: 5, lowestLoad: 0.1 }),
      shard("b", { fewestPlaces: 2, lowestLoad: 0.9 }),
    ];
    expect(timesFirst(digests, "distributed")).toEqual(new Map([["b", 1_000]]));
  });

  it("[ALLOC-6] latency asks the nearest first, unless load makes up for it, and the unmeasured last", () => {
    const near = shard("near", { lowestLoad: 0.2 });
    const far = shard("far");
    const measured = { near: 10, twin: 10, far: 40 };
    expect(orderShards([shard("?"), far, near], "latency", signs(measured))).toEqual(["near", "far", "?"]);
    expect(orderShards([far, { ...near, lowestLoad: 0.9 }], "latency", signs(measured))[0]).toBe("far");
    const twins = [near, { ...near, shard: "twin" }, far];
    expect(timesFirst(twins, "latency", measured).get("twin")).toBeGreaterThan(400);
  });
});

describe("clusters to be avoided", () => {
  const map = { version: 1, regions: { eu: 2 }, previous: {} };
  const id = `eu.${"A".repeat(22)}`;

  it("[ALLOC-12] are spared until every shard has been asked", () => {
    expect(askingOrder(["eu.0", "eu.1", "us.0"], [id], map)).toEqual([
      { shard: "eu.0", sparing: true },
      { shard: "eu.1", sparing: true },
      { shard: "us.0", sparing: true },
      { shard: "eu.0", sparing: false },
      { shard: "eu.1", sparing: false },
    ]);
  });

  it("make no difference where there are none, or one shard alone", () => {
    expect(askingOrder(["eu.0", "eu.1"], [], map)).toEqual([
      { shard: "eu.0", sparing: false },
      { shard: "eu.1", sparing: false },
    ]);
    expect(askingOrder(["eu.0"], [id], map)).toEqual([{ shard: "eu.0", sparing: false }]);
    expect(askingOrder(["us.0", "us.1"], ["nonsense"], map)).toHaveLength(2);
  });
});
