import { expect, it } from "vitest";
import { latencyToCluster, latencyToShard, measuredClusters } from "./latency.ts";
import { shardOfCluster } from "../clusters/sharding.ts";

const map = { version: 1, regions: { eu: 3, us: 1 }, previous: {} };
const clusterId = "eu.Zm9vYmFyYmF6cXV4MTIzNA";

it("takes a cluster's own measurement before its region's", () => {
  expect(latencyToCluster({ eu: 20, [clusterId]: 12 }, clusterId)).toBe(12);
  expect(latencyToCluster({ eu: 20 }, clusterId)).toBe(20);
  expect(latencyToCluster({ us: 20 }, clusterId)).toBeUndefined();
});

it("does not take what every object inherits for a measurement", () => {
  expect(latencyToCluster({ eu: 1 }, "constructor.Zm9vYmFyYmF6cXV4MTIzNA")).toBeUndefined();
  expect(latencyToShard({ eu: 1 }, map, "constructor.0")).toBeUndefined();
});

it("knows on which shard of a region a measured cluster is", () => {
  const home = shardOfCluster(map, clusterId);
  const shards = ["eu.0", "eu.1", "eu.2", "us.0"];
  const near = shards.filter((shard) => latencyToShard({ [clusterId]: 5 }, map, shard) === 5);
  expect(near).toEqual([home]);
  expect(latencyToShard({ [clusterId]: 5, eu: 9 }, map, home ?? "")).toBe(5);
  expect(latencyToShard({ us: 7 }, map, "us.0")).toBe(7);
  expect(measuredClusters({ eu: 1, [clusterId]: 5 })).toEqual([clusterId]);
});
