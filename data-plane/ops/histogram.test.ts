import { expect, it } from "vitest";
import { Histogram } from "./histogram.ts";

it("counts each duration once, a bound's own value below it", () => {
  const histogram = new Histogram([0.1, 1]);
  for (const seconds of [0, 0.1, 0.100_1, 1, 1.5]) histogram.observe(seconds);
  expect(histogram.cumulative()).toEqual([
    { bound: 0.1, count: 2 },
    { bound: 1, count: 4 },
  ]);
  expect(histogram.count).toBe(5);
  expect(histogram.sumSeconds).toBeCloseTo(2.7001);
});

it("tells the bound that a share stayed within", () => {
  const histogram = new Histogram([1, 2, 3]);
  for (let index = 0; index < 99; index += 1) histogram.observe(0.5);
  histogram.observe(2.5);
  expect(histogram.quantile(0.5)).toBe(1);
  expect(histogram.quantile(0.99)).toBe(1);
  histogram.observe(2.5);
  histogram.observe(9);
  expect(histogram.quantile(0.98)).toBe(3);
  expect(histogram.quantile(1)).toBe(Number.POSITIVE_INFINITY);
});
