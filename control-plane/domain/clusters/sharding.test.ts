import { describe, expect, it } from "vitest";
import {
  createClusterId,
  homeShard,
  isRegion,
  parseShardMap,
  regionOfCluster,
  shardOfCluster,
  shardsForCluster,
  shardsOfRegion,
  type ShardMap,
} from "./sharding.ts";

function mapOf(regions: Record<string, number>, previous: Record<string, number> = {}): ShardMap {
  return { version: 1, regions, previous };
}

describe("cluster ids", () => {
  it("tell their region, and are the same for the same key and instance", async () => {
    const id = await createClusterId("eu-west", "key", "main");
    expect(id).toMatch(/^eu-west\.[\w-]{22}$/);
    expect(regionOfCluster(id)).toBe("eu-west");
    expect(await createClusterId("eu-west", "key", "main")).toBe(id);
    expect(await createClusterId("eu-west", "key", "other")).not.toBe(id);
    expect(await createClusterId("eu-west", "other", "main")).not.toBe(id);
  });

  it.each(["", "x", "eu.short", ".Zm9vYmFyYmF6cXV4MTIzNA", "EU.Zm9vYmFyYmF6cXV4MTIzNA", "eu.Zm9vYmFyYmF6cXV4MTIzN!"])(
    "do not include %j",
    (text) => {
      expect(regionOfCluster(text)).toBeUndefined();
      expect(shardsForCluster(mapOf({ eu: 2 }), text)).toEqual([]);
    },
  );
});

describe("regions", () => {
  it.each(["default", "a", "eu-west-1", "x".repeat(32)])("may be called %j", (text) => {
    expect(isRegion(text)).toBe(true);
  });
  it.each(["", "-a", "a-", "Eu", "a.b", "x".repeat(33)])("may not be called %j", (text) => {
    expect(isRegion(text)).toBe(false);
  });
});

describe("the shard map", () => {
  it("is read from JSON", () => {
    expect(parseShardMap('{"version":3,"regions":{"default":1,"eu":4},"previous":{"eu":2}}')).toEqual({
      version: 3,
      regions: { default: 1, eu: 4 },
      previous: { eu: 2 },
    });
  });

  it.each([
    "",
    "{",
    "null",
    "[]",
    '{"version":1}',
    '{"version":1,"regions":{}}',
    '{"version":0,"regions":{"default":1}}',
    '{"version":1,"regions":{"default":0}}',
    '{"version":1,"regions":{"default":257}}',
    '{"version":1,"regions":{"default":1.5}}',
    '{"version":1,"regions":{"Default":1}}',
    '{"version":1,"regions":["default"]}',
    '{"version":1,"regions":{"default":1},"previous":{"default":"2"}}',
  ])("refuses %j", (text) => {
    expect(parseShardMap(text)).toBeUndefined();
  });

  it("gives a region that it does not name one shard", () => {
    expect(shardsOfRegion(mapOf({ default: 1 }), "asia")).toEqual(["asia.0"]);
    expect(homeShard(mapOf({ eu: 2, default: 1 }))).toBe("eu.0");
  });

  it("still finds clusters on the shards of the version before", async () => {
    const id = await createClusterId("eu", "key", "main");
    const names = shardsForCluster(mapOf({ eu: 1 }, { eu: 3 }), id);
    expect(names[0]).toBe("eu.0");
    expect(new Set(names)).toEqual(new Set(["eu.0", "eu.1", "eu.2"]));
  });
});

describe("the rendezvous hash", () => {
  const clusters = Array.from({ length: 3_000 }, (_, index) => `eu.${String(index).padStart(22, "0")}`);

  it("spreads clusters evenly", () => {
    const counts = new Map<string, number>();
    for (const id of clusters) {
      const shard = shardOfCluster(mapOf({ eu: 3 }), id) ?? "none";
      counts.set(shard, (counts.get(shard) ?? 0) + 1);
    }
    expect([...counts.keys()].sort()).toEqual(["eu.0", "eu.1", "eu.2"]);
    for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(150);
  });

  it("moves only a fourth of them from three shards to four, and all of those to the new one", () => {
    const moved = clusters.filter(
      (id) => shardOfCluster(mapOf({ eu: 3 }), id) !== shardOfCluster(mapOf({ eu: 4 }), id),
    );
    expect(Math.abs(moved.length - 750)).toBeLessThan(150);
    for (const id of moved) expect(shardOfCluster(mapOf({ eu: 4 }), id)).toBe("eu.3");
  });
});
