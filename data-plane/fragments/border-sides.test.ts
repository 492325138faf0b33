import { expect, it } from "vitest";
import { bordersOf } from "./border-sides.ts";
import { assertLayout } from "./testing/random-world.ts";

const rules = { swap_margin: 1, handover_overrun: 2, view_hysteresis: 0.5, require_cover: false };
const box = (name: string, min: number[], max: number[], more: object = {}) => ({
  name,
  min,
  max,
  view_range: 10,
  ...more,
});
const namesNear = (fragment: object[], carries: string): number[] =>
  bordersOf(assertLayout({ world: { ...rules, carries: [carries] }, fragment }), (name) => name !== carries).sides.map(
    ({ box: { min } }) => min.x,
  );

it("[GHOST-1] are the boxes from which something here may be seen, and no others", () => {
  // 10 of range, half of that to keep, and 3 in each direction beyond the boxes.
  const reach = 15 + 2 * 3 * Math.SQRT2;
  const mine = box("mine", [0, 0], [10, 10]);
  expect(namesNear([mine, box("near", [10 + reach - 0.1, 0], [100, 10])], "mine")).toHaveLength(1);
  expect(namesNear([mine, box("far", [10 + reach + 0.1, 0], [100, 10])], "mine")).toEqual([]);
  // Over a corner it is as far as it is.
  const along = 10 + reach / Math.SQRT2;
  expect(namesNear([mine, box("near", [along - 0.1, along - 0.1], [100, 100])], "mine")).toHaveLength(1);
  expect(namesNear([mine, box("far", [along + 0.1, along + 0.1], [100, 100])], "mine")).toEqual([]);
});

it("[GHOST-1] in three dimensions height counts", () => {
  const mine = box("mine", [0, 0, 0], [10, 10, 10]);
  expect(namesNear([mine, box("above", [0, 20, 0], [10, 30, 10])], "mine")).toHaveLength(1);
  expect(namesNear([mine, box("far", [0, 50, 0], [10, 60, 10])], "mine")).toEqual([]);
});

it("have the rate of the fastest of them, and none without one", () => {
  const mine = box("mine", [0, 0], [10, 10]);
  const layout = assertLayout({
    world: { ...rules, carries: ["mine"] },
    fragment: [
      mine,
      box("slow", [10, 0], [20, 10], { update_hz: 5 }),
      box("fast", [0, 10], [10, 20], { update_hz: 15 }),
    ],
  });
  expect(bordersOf(layout, () => true).updateHz).toBe(15);
  expect(bordersOf(layout, () => false)).toMatchObject({ sides: [], updateHz: 0 });
});
