import { describe, expect, it } from "vitest";
import type { WorldMapView } from "../../../protocol/index.ts";
import { maxOverlaps, overlapsOf } from "./world-overlaps.ts";

type Area = WorldMapView["fragments"][number];
type Point = Area["min"];

const area = (name: string, clusterId: string, min: Point, max: Point): Area => ({ name, clusterId, min, max });

/** As many areas as a world takes, of as many clusters as that takes at least. */
const many = (make: (index: number) => { readonly min: Point; readonly max: Point }): Area[] =>
  Array.from({ length: 16_384 }, (_, index) => ({ name: `f${index}`, clusterId: `c${index % 64}`, ...make(index) }));

describe("overlaps of a world", () => {
  it("are the pairs of fragments of different clusters that have a place in common", () => {
    const fragments = [
      area("one", "a", [0, 0, 0], [10, 10, 10]),
      area("two", "a", [5, 0, 0], [15, 10, 10]),
      area("three", "b", [10, 0, 0], [20, 10, 10]),
      area("four", "b", [20, 0, 0], [30, 10, 10]),
      area("above", "c", [10, 10, 0], [20, 20, 10]),
    ];
    expect(overlapsOf({ fragments })).toEqual({ pairs: [["two", "three"]], mayBeMore: false });
  });

  it("are found as if each pair was looked at", () => {
    let seed = 11;
    const draw = (below: number) => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return (seed >>> 8) % below;
    };
    for (let round = 0; round < 200; round += 1) {
      const fragments = Array.from({ length: 12 }, (_, index) => {
        const min: Point = [draw(12), draw(12), draw(12)];
        return area(`f${index}`, `c${draw(3)}`, min, [
          min[0] + 1 + draw(5),
          min[1] + 1 + draw(5),
          min[2] + 1 + draw(5),
        ]);
      });
      const expected = fragments.flatMap((a, index) =>
        fragments
          .slice(index + 1)
          .filter((b) => a.clusterId !== b.clusterId)
          .filter((b) => [0, 1, 2].every((axis) => (a.min[axis] ?? 0) < (b.max[axis] ?? 0)))
          .filter((b) => [0, 1, 2].every((axis) => (b.min[axis] ?? 0) < (a.max[axis] ?? 0)))
          .map((b) => [a.name, b.name].toSorted().join(" ")),
      );
      const found = overlapsOf({ fragments });
      expect(found.pairs.map((pair) => pair.toSorted().join(" ")).toSorted()).toEqual(expected.toSorted());
      expect(found.mayBeMore).toBe(false);
    }
  });

  it("are some, where there are more than are shown", () => {
    const fragments = (count: number) => [
      area("all", "a", [0, 0, 0], [1_000, 1, 1]),
      ...Array.from({ length: count }, (_, index) => area(`f${index}`, "b", [index, 0, 0], [index + 1, 1, 1])),
    ];
    expect(overlapsOf({ fragments: fragments(maxOverlaps) })).toMatchObject({ mayBeMore: false });
    const { pairs, mayBeMore } = overlapsOf({ fragments: fragments(maxOverlaps + 1) });
    expect([pairs.length, mayBeMore]).toEqual([maxOverlaps, true]);
    const equal = many(() => ({ min: [0, 0, 0], max: [1, 1, 1] }));
    expect(overlapsOf({ fragments: equal })).toMatchObject({ mayBeMore: true });
  });

  it("are looked for in all of a world that is laid out as strips, along any axis, or as squares", () => {
    const strip = (axis: number) => (index: number) => {
      const [min, max] = [[0, 0, 0].with(axis, index), [1, 1, 1].with(axis, index + 1)];
      return { min: [min[0] ?? 0, min[1] ?? 0, min[2] ?? 0], max: [max[0] ?? 0, max[1] ?? 0, max[2] ?? 0] } as const;
    };
    const square = (index: number) => {
      const [x, y] = [index % 128, Math.floor(index / 128)];
      return { min: [x, y, 0], max: [x + 1, y + 1, 1] } as const;
    };
    for (const layout of [strip(0), strip(1), strip(2), square]) {
      expect(overlapsOf({ fragments: many(layout) })).toEqual({ pairs: [], mayBeMore: false });
    }
  });

  it("are given up, and that is said, in a world that is laid out to keep whoever looks busy", () => {
    const cloth = many((index) =>
      index % 2 === 0
        ? { min: [index, 0, 0], max: [index + 1, 20_000, 1] }
        : { min: [0, index, 1], max: [20_000, index + 1, 2] },
    );
    expect(overlapsOf({ fragments: cloth })).toEqual({ pairs: [], mayBeMore: true });
  });
});
