import { describe, expect, it } from "vitest";
import type { Box } from "./layout.ts";
import { createLocator } from "./locator.ts";
import { assertLayout, createRandomFragments } from "./testing/random-world.ts";
import { createRandom, type Random, randomBelow, randomInteger } from "../../protocol/testing/seeded-random.ts";

describe("createLocator", () => {
  it("finds the one box that holds a point, on borders too", () => {
    for (let seed = 0; seed < 30; seed++) {
      const random = createRandom(seed);
      const dimensions = seed % 2 === 0 ? 2 : 3;
      const fragment = createRandomFragments(random, randomInteger(random, 1, 60), 100, dimensions);
      const { fragments, locator } = assertLayout({ fragment, world: { require_cover: false } });
      const boxes = fragments.map(({ box }) => box);
      for (let round = 0; round < 500; round++) {
        const point = randomPoint(random, boxes, 50);
        const holders = boxes.flatMap((box, index) => (holds(box, point) ? [index] : []));
        const inWorld = [point.x, point.z, ...(dimensions === 3 ? [point.y] : [])].every((v) => v >= -50 && v < 50);
        expect(holders).toHaveLength(inWorld ? 1 : 0);
        const found = locator.locate(point.x, point.y, point.z);
        expect(holders[0] ?? found).toBe(found);
      }
    }
  });

  it("finds the nearest box for a point in none, after moving it into the box around all", () => {
    for (let seed = 0; seed < 30; seed++) {
      const random = createRandom(seed);
      const dimensions = seed % 2 === 0 ? 2 : 3;
      const all = createRandomFragments(random, 40, 100, dimensions);
      const fragment = all.filter(() => random() < 0.4);
      if (fragment.length === 0) continue;
      const { fragments, locator } = assertLayout({ fragment, world: { require_cover: false } });
      const boxes = fragments.map(({ box }) => box);
      for (let round = 0; round < 500; round++) {
        const point = randomPoint(random, boxes, 80);
        const found = boxes[locator.locate(point.x, point.y, point.z)];
        const inside = clampInto(boxes, point);
        const least = Math.min(...boxes.map((box) => distance2(box, inside)));
        expect(found && distance2(found, inside)).toBe(least);
      }
    }
  });

  it("takes the first of equally near boxes, whatever the point is worth", () => {
    const box = (from: number): Box => ({
      min: { x: from, y: -Infinity, z: 0 },
      max: { x: from + 1, y: Infinity, z: 1 },
    });
    const locator = createLocator([box(0), box(2)], 2);
    expect(locator.locate(1.5, 0, 0.5)).toBe(0);
    expect(locator.locate(1.5001, 9e99, 0.5)).toBe(1);
    expect(locator.locate(Number.NaN, Number.NaN, Number.NaN)).toBe(0);
    expect(locator.locate(Infinity, 0, -Infinity)).toBe(1);
  });

  it("widens a box by a margin", () => {
    const { locator } = assertLayout({ fragment: [{ name: "a", min: [0, 0], max: [10, 10] }] });
    expect(locator.isWithin(0, 10.9, 0, 5, 1)).toBe(true);
    expect(locator.isWithin(0, 11, 0, 5, 1)).toBe(false);
    expect(locator.isWithin(0, 5, 1e9, -1, 1)).toBe(true);
    expect(locator.isWithin(0, 5, 0, -1.01, 1)).toBe(false);
  });

  it("finds every part of a grid by its corners, whatever their numbers round to", () => {
    const random = createRandom(6);
    for (let round = 0; round < 25; round++) {
      const size = [randomBelow(random, 1) + 1e-3, 1 / randomInteger(random, 3, 30)];
      const origin = [-randomBelow(random, 1), randomInteger(random, -9, 9) / 10];
      const { fragments, locator } = assertLayout({
        world: { grid: { name: "g", origin, size, columns: 40, rows: 25, precision: 1e-4 } },
      });
      const missed = fragments.filter(({ box: { min, max } }, index) => {
        const end = { x: max.x - Math.abs(max.x) * 1e-15, z: max.z - Math.abs(max.z) * 1e-15 };
        const isFound = (x: number, z: number): boolean => locator.locate(x, 0, z) === index;
        const found = [
          isFound(min.x, min.z),
          end.x === max.x || isFound(end.x, min.z),
          end.z === max.z || isFound(min.x, end.z),
        ];
        return found.includes(false);
      });
      expect(missed).toEqual([]);
    }
  });

  it("looks at few boxes for each point of a large grid", () => {
    const { locator } = assertLayout({
      world: { grid: { name: "g", origin: [0, 0], size: [10, 10], columns: 64, rows: 32 } },
    });
    expect(locator.longestList).toBeLessThanOrEqual(9);
  });
});

interface Spot {
  x: number;
  y: number;
  z: number;
}

/** Somewhere within `reach`, each coordinate often exactly on some box's border. */
function randomPoint(random: Random, boxes: readonly Box[], reach: number): Spot {
  const coordinate = (axis: "x" | "y" | "z"): number => {
    const box = boxes[randomInteger(random, 0, boxes.length - 1)];
    const edge = random() < 0.3 ? box?.min[axis] : random() < 0.2 ? box?.max[axis] : undefined;
    return edge !== undefined && Number.isFinite(edge) ? edge : randomBelow(random, 2 * reach) - reach;
  };
  return { x: coordinate("x"), y: coordinate("y"), z: coordinate("z") };
}

function holds({ min, max }: Box, { x, y, z }: Spot): boolean {
  return x >= min.x && x < max.x && y >= min.y && y < max.y && z >= min.z && z < max.z;
}

function clampInto(boxes: readonly Box[], spot: Spot): Spot {
  const clamp = (axis: "x" | "y" | "z"): number => {
    const min = Math.min(...boxes.map((box) => box.min[axis]));
    return Math.max(min, Math.min(spot[axis], Math.max(...boxes.map((box) => box.max[axis]))));
  };
  return { x: clamp("x"), y: clamp("y"), z: clamp("z") };
}

function distance2({ min, max }: Box, spot: Spot): number {
  let sum = 0;
  for (const axis of ["x", "y", "z"] as const) sum += Math.max(0, min[axis] - spot[axis], spot[axis] - max[axis]) ** 2;
  return sum;
}
