import { describe, expect, it } from "vitest";
import { BusyClusters, dictatePace, longestReportIntervalMs, wantedReportsPerSecond } from "./report-pace.ts";

describe("the pace of reports", () => {
  it.each([
    [0, 1_000, undefined],
    [10, 1_000, undefined],
    [11, 1_000, 110],
    [99, 1_000, 990],
    [101, 1_010, 1_010],
    [1_000, 10_000, 10_000],
    [1_500, 15_000, 15_000],
    [10_000, 15_000, 15_000],
  ])("of %d busy clusters: an interval of %d ms, and %s ms between two", (busy, reportIntervalMs, gapMs) => {
    expect(dictatePace(busy, 1_000)).toEqual({ reportIntervalMs, gapMs });
  });

  it("keeps a shard at what it wants to hear, up to 1,500 busy clusters", () => {
    for (let busy = 1; busy <= 1_500; busy += 1) {
      const { reportIntervalMs, gapMs } = dictatePace(busy, 1_000);
      const leastGapMs = gapMs ?? reportIntervalMs / 10;
      expect((busy * 1_000) / leastGapMs).toBeLessThanOrEqual(wantedReportsPerSecond);
    }
  });

  it("[SEC-72] is not faster than the setting, nor slower than the longest interval", () => {
    expect(dictatePace(1, 5_000).reportIntervalMs).toBe(5_000);
    expect(dictatePace(1, 60_000).reportIntervalMs).toBe(longestReportIntervalMs);
  });
});

describe("the busy clusters", () => {
  it("are those that have reported within an interval or two, each once", () => {
    const busy = new BusyClusters();
    for (let index = 0; index < 20; index += 1) busy.note(`c${index % 5}`, 1_000 + index);
    expect(busy.note("c0", 2_000)).toBe(5);
    expect(busy.note("c0", 1_000 + longestReportIntervalMs)).toBe(5);
    expect(busy.note("c1", 1_000 + 2 * longestReportIntervalMs)).toBe(1);
    expect(busy.note("c0", 1_000 + 9 * longestReportIntervalMs)).toBe(1);
    // A clock that was set back starts anew.
    expect(busy.note("c7", 500)).toBe(1);
  });
});
