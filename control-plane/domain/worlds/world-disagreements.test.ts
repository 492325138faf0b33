import { expect, it } from "vitest";
import type { FragmentArea } from "../../../protocol/index.ts";
import { disagreementsOf, maxDisagreements } from "./world-disagreements.ts";
import { announce, assign, openWorld, type WorldState } from "./world-map.ts";

const area = (name: string, right: number): FragmentArea => ({ name, min: [0, 0, 0], max: [right, 10, 10] });

function worldOf(announced: Readonly<Record<string, readonly FragmentArea[]>>): WorldState {
  return Object.entries(announced).reduce(
    (state, [clusterId, fragments]) =>
      announce(state, { clusterId, boot: 1, shard: "eu-0", fragments, peer: undefined }),
    openWorld("w"),
  );
}

it("names each fragment whose bounds are not the same everywhere, with who carries it first", () => {
  const world = worldOf({
    a: [area("north", 10), area("south", 10), area("west", 10)],
    b: [area("north", 10), area("south", 11)],
    c: [area("south", 12), area("west", 10)],
  });
  expect(disagreementsOf(world)).toEqual([{ fragment: "south", clusterIds: ["a", "b"] }]);
  expect(disagreementsOf(assign(world, "south", "c"))).toEqual([{ fragment: "south", clusterIds: ["c", "a"] }]);
  expect(disagreementsOf(worldOf({ a: [area("north", 10)], b: [area("south", 11)] }))).toEqual([]);
});

it("names so many at most", () => {
  const all = (right: number) => Array.from({ length: maxDisagreements + 1 }, (_, index) => area(`f${index}`, right));
  expect(disagreementsOf(worldOf({ a: all(1), b: all(2) }))).toHaveLength(maxDisagreements);
});
