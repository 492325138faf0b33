import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { PluginTimers } from "./plugin-timers.ts";

let timers: PluginTimers;
beforeEach(() => {
  vi.useFakeTimers();
  timers = new PluginTimers((callback) => callback());
});
afterEach(() => {
  timers.end();
  vi.useRealTimers();
});

const ignore = (): void => undefined;

it("has 100,000 at a time, and one more when one is over or taken back", () => {
  const first = timers.after(10, ignore);
  for (let count = 1; count < 100_000; count += 1) timers.after(60_000, ignore);
  expect(() => timers.after(1, ignore)).toThrow(RangeError);
  expect(() => timers.every(1, ignore)).toThrow(RangeError);
  first.cancel();
  first.cancel();
  timers.after(10, ignore);
  expect(() => timers.after(1, ignore)).toThrow(RangeError);
  vi.advanceTimersByTime(10);
  timers.every(1, ignore);
  expect(() => timers.after(1, ignore)).toThrow(RangeError);
});

it("leaves calls out while the promise of one is open", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let calls = 0;
  timers.every(1_000, () => {
    calls += 1;
    return calls === 1 ? promise : undefined;
  });
  await vi.advanceTimersByTimeAsync(5_000);
  expect(calls).toBe(1);
  resolve();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(calls).toBeGreaterThan(1);
});
