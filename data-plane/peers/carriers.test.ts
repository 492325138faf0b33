import { expect, it } from "vitest";
import type { WorldMapView } from "../../protocol/index.ts";
import { assertLayout } from "../fragments/testing/random-world.ts";
import { carriedNames } from "../fragments/carry-change.ts";
import { carriedLayout, carriersOf } from "./carriers.ts";

const fragment = ["a", "b", "c", "d"].map((name, at) => ({ name, min: [at, 0], max: [at + 1, 1] }));
const announced = assertLayout({ world: { carries: ["a", "b", "c"] }, fragment });

/** A map in which each of these carries what is said. */
function mapOf(carriers: Readonly<Record<string, string>>): WorldMapView {
  const [min, max] = [
    [0, 0, 0],
    [1, 1, 1],
  ] as const;
  return {
    world: "main",
    version: 1,
    fragments: Object.entries(carriers).map(([name, clusterId]) => ({ name, min, max, clusterId })),
    clusters: [...new Set(Object.values(carriers))].map((clusterId) => ({ clusterId, boot: 1 })),
  };
}

it("[WORLD-1] what another carries is not carried here; what nobody carries is, if it is announced", () => {
  const carriers = carriersOf(mapOf({ a: "me", b: "other" }));
  expect(carriedNames(carriedLayout(announced, carriers, "me"))).toEqual(["a", "c"]);
  expect(carriedNames(carriedLayout(announced, carriers, "other"))).toEqual(["b", "c"]);
  expect(carriedNames(carriedLayout(announced, carriersOf(mapOf({ d: "me" })), "me"))).toEqual(["a", "b", "c"]);
});

it("all that is announced is carried before there is a map", () => {
  expect(carriedNames(carriedLayout(announced, new Map(), undefined))).toEqual(["a", "b", "c"]);
});

it("a carrier that the map does not describe is none", () => {
  expect(carriersOf({ ...mapOf({ a: "x" }), clusters: [] }).size).toBe(0);
});
