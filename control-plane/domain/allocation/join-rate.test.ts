import { describe, expect, it } from "vitest";
import { type JoinRate, joinsAllowed, nextJoinAtMs } from "./join-rate.ts";

const nowMs = 1_000_000;

/** How many join at each of these moments when as many try as may. */
function joins(perSecond: number, timesMs: readonly number[]): readonly number[] {
  let rate: JoinRate = { perSecond, nextAtMs: 0 };
  return timesMs.map((atMs) => {
    const allowed = joinsAllowed(rate, nowMs + atMs);
    if (allowed > 0) rate = { perSecond, nextAtMs: nextJoinAtMs(rate, allowed, nowMs + atMs) };
    return allowed;
  });
}

describe("[WAIT-7] a join rate", () => {
  it("lets in a burst of one second's worth, then as many as it says", () => {
    expect(joins(4, [0, 0, 250, 500, 1_500, 60_000])).toEqual([4, 0, 1, 1, 4, 4]);
  });

  it("below one a second lets in one at a time", () => {
    expect(joins(0.5, [0, 1_999, 2_000, 3_999, 60_000, 60_000])).toEqual([1, 0, 1, 0, 1, 0]);
  });

  it("over a minute is never exceeded by more than a burst", () => {
    const times = Array.from({ length: 6_000 }, (_, index) => index * 10);
    const total = joins(7, times).reduce((sum, each) => sum + each, 0);
    expect(total).toBeLessThanOrEqual(7 * 60 + 7);
    expect(total).toBeGreaterThanOrEqual(7 * 60 - 1);
  });

  it("lets a party in whole, and waits it out", () => {
    const nextAtMs = nextJoinAtMs({ perSecond: 2, nextAtMs: 0 }, 6, nowMs);
    expect(joinsAllowed({ perSecond: 2, nextAtMs }, nowMs + 2_499)).toBe(0);
    expect(joinsAllowed({ perSecond: 2, nextAtMs }, nowMs + 2_500)).toBe(1);
  });

  it("that is not declared limits nothing", () => {
    expect(joinsAllowed(undefined, nowMs)).toBe(Number.POSITIVE_INFINITY);
  });
});
