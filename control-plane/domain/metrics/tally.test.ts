import { expect, it } from "vitest";
import { Tally } from "./tally.ts";

it("tells of everything, but only so often, each name by itself", () => {
  const tally = new Tally();
  expect(tally.add("a", 1_000, 0)).toBe(1_000);
  expect(tally.add("a", 5, 1)).toBeUndefined();
  expect(tally.add("a", 5, 9_999)).toBeUndefined();
  expect(tally.add("b", 1, 9_999)).toBe(1);
  expect(tally.add("a", 5, 10_000)).toBe(15);
  expect(tally.add("a", 1, 0)).toBe(1);
});
