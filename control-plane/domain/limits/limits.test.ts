import { describe, expect, it } from "vitest";
import { type Limit, type LimitWindow, spendLimit } from "./limits.ts";

const limit: Limit = { max: 5, periodMs: 60_000 };
const startMs = 1_800_000_000_000;

/** Spends at each of these moments; what was allowed, and what is remembered in the end. */
function spendAt(times: readonly number[], of = limit, window: LimitWindow = []) {
  const allowed: boolean[] = [];
  let current = window;
  for (const time of times) {
    const verdict = spendLimit(current, of, time);
    allowed.push(verdict.allowed);
    if (verdict.allowed) current = verdict.window;
  }
  return { allowed, window: current };
}

describe("a limit", () => {
  it("[SEC-34] allows as many as it says, and not one more", () => {
    const { allowed } = spendAt(Array.from({ length: 7 }, () => startMs));
    expect(allowed).toEqual([true, true, true, true, true, false, false]);
  });

  it("[SEC-34] is never exceeded within any period, however the events are placed", () => {
    let seed = 7;
    const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    const passed: number[] = [];
    let window: LimitWindow = [];
    let now = startMs;
    for (let index = 0; index < 5_000; index++) {
      now += Math.floor(random() * 9_000);
      const verdict = spendLimit(window, limit, now);
      if (!verdict.allowed) continue;
      window = verdict.window;
      passed.push(now);
      expect(passed.filter((time) => time > now - limit.periodMs).length).toBeLessThanOrEqual(limit.max);
    }
    // It is of use as well: nearly as many pass as may.
    expect(passed.length).toBeGreaterThan(((now - startMs) / limit.periodMs) * limit.max * 0.8);
  });

  it("says when to come back: then it is allowed, and a millisecond before it is not", () => {
    const { window } = spendAt([0, 1, 2, 20_000, 40_000].map((offset) => startMs + offset));
    const refused = spendLimit(window, limit, startMs + 41_000);
    if (refused.allowed) throw new Error("the limit is reached");
    const thenMs = startMs + 41_000 + refused.retryAfterMs;
    expect(spendLimit(window, limit, thenMs - 1).allowed).toBe(false);
    expect(spendLimit(window, limit, thenMs).allowed).toBe(true);
    // At the latest a slot, a twelfth of the period, after the first of them is a period old.
    expect(thenMs).toBeGreaterThan(startMs + limit.periodMs);
    expect(thenMs).toBeLessThanOrEqual(startMs + limit.periodMs + 5_000);
  });

  it("[SEC-34] does not count what it refused", () => {
    const { window } = spendAt([startMs, startMs, startMs, startMs, startMs]);
    const hammered = spendAt(
      Array.from({ length: 60 }, (_, second) => startMs + second * 1_000),
      limit,
      window,
    );
    expect(hammered.allowed).not.toContain(true);
    expect(spendLimit(hammered.window, limit, startMs + 65_000).allowed).toBe(true);
  });

  it("forgets the past: what it remembers stays small", () => {
    const times = Array.from({ length: 10_000 }, (_, index) => startMs + index * 997);
    const { window } = spendAt(times, { max: 1_000, periodMs: 60_000 });
    expect(window.length).toBeLessThanOrEqual(14);
  });

  it("of none allows nothing", () => {
    const verdict = spendLimit([], { max: 0, periodMs: 60_000 }, startMs);
    expect(verdict).toEqual({ allowed: false, retryAfterMs: 60_000 });
  });

  it("survives a clock that goes back a little", () => {
    const { allowed, window } = spendAt([startMs, startMs - 10_000, startMs - 10_000]);
    expect(allowed).toEqual([true, true, true]);
    expect(window.reduce((sum, [, count]) => sum + count, 0)).toBe(3);
  });

  it("keeps counting when its period is changed meanwhile", () => {
    const { window } = spendAt([startMs, startMs, startMs, startMs, startMs]);
    expect(spendLimit(window, { max: 5, periodMs: 600_000 }, startMs + 120_000).allowed).toBe(false);
    expect(spendLimit(window, { max: 5, periodMs: 10_000 }, startMs + 15_000).allowed).toBe(true);
  });
});
