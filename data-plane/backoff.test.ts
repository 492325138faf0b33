import { expect, it } from "vitest";
import { Backoff } from "./backoff.ts";

it("doubles up to the greatest wait, and starts again after a success", () => {
  const backoff = new Backoff(100, 1_000, () => 1);
  expect(Array.from({ length: 6 }, () => backoff.next())).toEqual([100, 200, 400, 800, 1_000, 1_000]);
  backoff.reset();
  expect(backoff.next()).toBe(100);
});

it("shortens each wait by up to a half, at random", () => {
  expect(new Backoff(100, 1_000, () => 0).next()).toBe(50);
  expect(new Backoff(100, 1_000, () => 0.5).next()).toBe(75);
});

it("never overflows", () => {
  const backoff = new Backoff(100, 1_000, () => 1);
  for (let attempt = 0; attempt < 5_000; attempt += 1) expect(backoff.next()).toBeLessThanOrEqual(1_000);
});
