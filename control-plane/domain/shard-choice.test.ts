import { expect, it } from "vitest";
import { orderShards } from "./shard-choice.ts";

it("asks the shard with the least loaded cluster first, and those without room last", () => {
  const digests = [
    { shard: "full", clusters: 3, lowestLoad: undefined },
    { shard: "half", clusters: 1, lowestLoad: 0.5 },
    { shard: "idle", clusters: 1, lowestLoad: 0 },
  ];
  expect(orderShards(digests, () => 0.5)).toEqual(["idle", "half", "full"]);
});

it("breaks ties by chance", () => {
  const digests = ["a", "b"].map((shard) => ({ shard, clusters: 1, lowestLoad: 0 }));
  const draws = [0.9, 0.1];
  expect(orderShards(digests, () => draws.shift() ?? 0)).toEqual(["b", "a"]);
});
