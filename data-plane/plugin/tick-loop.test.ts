import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { TickLoop, TickSchedule } from "./tick-loop.ts";

describe("TickSchedule", () => {
  it("is due once a tick, whatever the steps of time", () => {
    const schedule = new TickSchedule(30, 1_000);
    expect(schedule.advance(1_033)).toEqual({ first: 1, count: 0, skipped: 0 });
    expect(schedule.advance(1_034)).toEqual({ first: 1, count: 1, skipped: 0 });
    expect(schedule.advance(1_067)).toEqual({ first: 2, count: 1, skipped: 0 });
    expect(schedule.advance(1_067)).toEqual({ first: 3, count: 0, skipped: 0 });
    expect(schedule.tick).toBe(2);
  });

  it("does not drift: a second has as many ticks as it should", () => {
    const schedule = new TickSchedule(30, 0);
    let count = 0;
    for (let now = 0; now <= 60_000; now += 7) count += schedule.advance(now).count;
    expect(count).toBe(1_799);
  });

  it("makes up for a short delay, and leaves out what a long one missed", () => {
    const schedule = new TickSchedule(10, 0);
    expect(schedule.advance(500)).toEqual({ first: 1, count: 5, skipped: 0 });
    expect(schedule.advance(1_100)).toEqual({ first: 7, count: 5, skipped: 1 });
    expect(schedule.untilNextMs(1_150)).toBe(50);
  });
});

describe("TickLoop", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => vi.useRealTimers());

  it("ticks with a fixed step until it is stopped", () => {
    const ticks: [number, number][] = [];
    const loop = new TickLoop({
      tickHz: 20,
      nowMs: () => Date.now(),
      onTick: (tick, dtSeconds) => ticks.push([tick, dtSeconds]),
      onSkipped: () => undefined,
    });
    loop.start();
    vi.advanceTimersByTime(150);
    loop.stop();
    vi.advanceTimersByTime(1_000);
    expect(ticks).toEqual([
      [1, 0.05],
      [2, 0.05],
      [3, 0.05],
    ]);
  });
});
