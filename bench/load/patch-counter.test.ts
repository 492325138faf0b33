import { expect, it } from "vitest";
import { PatchCounter } from "./patch-counter.ts";

const counter = new PatchCounter();

function count(...bytes: number[]): number {
  // The message's code in front.
  const patch = Buffer.from([15, ...bytes]);
  return counter.count(patch, 1, patch.length);
}

/** x, z and heading of a body, changed or new. */
const moved = [0, 1, 2, 1, 3, 4, 2, 255, 255];
const whole = [128, 1, 2, 129, 3, 4, 130, 5, 6];

it("counts the bodies that a patch tells of, whatever values they have", () => {
  expect(count()).toBe(0);
  expect(count(255, 5, ...moved)).toBe(1);
  expect(count(255, 5, ...moved, 255, 0xcc, 200, ...moved, 255, 0xcd, 0x10, 0x27, 0, 9, 9)).toBe(3);
});

it("does not count what comes and goes, only what is told of it", () => {
  const entered = [255, 1, 128, 7, 0xa2, 0x34, 0x32, 5];
  const left = [255, 1, 64, 7];
  expect(count(...entered, 255, 5, ...whole)).toBe(1);
  expect(count(...left)).toBe(0);
  expect(count(255, 0, 128, 1, ...entered, ...left.slice(2), 255, 5, ...whole, 255, 6, ...moved)).toBe(2);
});

it.each([
  ["ends in the middle", [255, 5, 0, 1]],
  ["has an unknown operation on the map", [255, 1, 10, 0]],
  ["has a number of another kind", [255, 0xcb, 0, 0]],
])("refuses a patch that %s: then the count would be wrong", (_what, bytes) => {
  expect(() => count(...bytes)).toThrow(Error);
});
