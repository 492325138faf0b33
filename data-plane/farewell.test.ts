import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Farewell } from "./farewell.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("waits 2.5 s for the master as it deregisters, also where the link to it does not come to its end", async () => {
  const heard: string[] = [];
  const farewell = new Farewell({
    drainMs: 0,
    stopTimeoutMs: 10_000,
    takeOverMs: 3_000,
    nowMs: () => Date.now(),
    host: { drain: () => Promise.resolve(), stop: async () => void heard.push("stopped") },
    players: [],
    sessions: [],
    link: { depart: () => Promise.resolve(false), stop: () => new Promise(() => undefined) },
    handovers: undefined,
    closeListeners: () => void heard.push("closed"),
    settled: () => Promise.resolve(),
  });
  void farewell.say().then(() => heard.push("said"));
  await vi.advanceTimersByTimeAsync(2_499);
  expect(heard).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(heard).toEqual(["closed", "stopped", "said"]);
});
