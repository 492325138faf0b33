import { expect, it } from "vitest";
import { addSample, type Histogram, mergeHistogram, percentile } from "./histogram.ts";

function histogramOf(samples: Iterable<number>): Histogram {
  const histogram: Histogram = {};
  for (const sample of samples) addSample(histogram, sample);
  return histogram;
}

it("has percentiles within 5 %", () => {
  const histogram = histogramOf(Array.from({ length: 1_000 }, (_, index) => index + 1));
  for (const percent of [1, 50, 99, 100]) {
    const value = percentile(histogram, percent) ?? 0;
    expect(value / (percent * 10)).toBeGreaterThanOrEqual(0.99);
    expect(value / (percent * 10)).toBeLessThanOrEqual(1.051);
  }
});

it("says null without samples", () => {
  expect(percentile({}, 50)).toBeNull();
});

it("merges what other processes counted", () => {
  const merged = histogramOf([1, 1, 1]);
  mergeHistogram(merged, histogramOf([100, 100, 100, 100]));
  expect(percentile(merged, 40)).toBeLessThan(2);
  expect(percentile(merged, 50)).toBeGreaterThan(90);
});
