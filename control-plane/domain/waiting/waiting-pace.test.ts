import { describe, expect, it } from "vitest";
import {
  callMs,
  estimateSeconds,
  noteServed,
  patienceMs,
  retryAfterSeconds,
  servedPerSecond,
  type ServiceRate,
} from "./waiting-pace.ts";

const nowMs = 1_000_000;
const fresh: ServiceRate = { weight: 0, atMs: nowMs, sinceMs: nowMs };

/** `perSecond` are served in each of so many seconds. */
function served(perSecond: number, seconds: number): ServiceRate {
  let rate = fresh;
  for (let second = 1; second <= seconds; second += 1) rate = noteServed(rate, perSecond, nowMs + second * 1_000);
  return rate;
}

describe("the rate of service", () => {
  it("[WAIT-10] is not known until somebody was served, nor long after", () => {
    expect(servedPerSecond(fresh, nowMs + 5_000)).toBeUndefined();
    expect(servedPerSecond(served(1, 10), nowMs + 3_600_000)).toBeUndefined();
    expect(estimateSeconds(3, undefined)).toBeNull();
  });

  it.each([5, 60, 1_000])("[WAIT-10] is what was observed, after %i seconds", (seconds) => {
    const rate = servedPerSecond(served(3, seconds), nowMs + seconds * 1_000);
    expect(rate).toBeGreaterThan(2.7);
    expect(rate).toBeLessThan(3.3);
    expect(estimateSeconds(29, rate)).toBeGreaterThanOrEqual(9);
    expect(estimateSeconds(29, rate)).toBeLessThanOrEqual(12);
  });
});

describe("when to come again", () => {
  const at = (ahead: number, length: number, estimate: number | null = null, chance = 0.5) =>
    retryAfterSeconds({ ahead, length, estimate }, () => chance);

  it("[WAIT-10] is soon for the first, and later the further back", () => {
    expect([at(0, 1), at(15, 10_000), at(40, 100), at(1_000, 2_000)]).toEqual([2, 2, 3, 30]);
    expect(at(500, 501, 8)).toBe(5);
  });

  it("[WAIT-10] is scattered, and a whole number of seconds", () => {
    expect([at(100, 200, 80, 0), at(100, 200, 80, 0.999)]).toEqual([15, 25]);
    expect(at(0, 1, null, 0)).toBeGreaterThanOrEqual(1);
  });

  it("[WAIT-8] keeps a full queue from coming more often than its object can bear", () => {
    const length = 10_000;
    const perSecond = Array.from({ length }, (_, ahead) => 1 / at(ahead, length)).reduce((a, b) => a + b, 0);
    expect(perSecond).toBeLessThan(120);
  });

  it("[WAIT-5] comes well before the place is lost, and a little before others are let past", () => {
    for (const seconds of [1, 2, 30, 125]) {
      expect(callMs(seconds)).toBeGreaterThan(seconds * 1_000);
      expect(patienceMs(seconds)).toBeGreaterThan(callMs(seconds));
    }
  });
});
