import { expect, it } from "vitest";
import { ClockSync } from "./clock-sync.ts";

/** A PING sent at `at`, answered by a cluster whose clock is ahead by `ahead`, with these ways there and back. */
function sample(sync: ClockSync, at: number, there: number, back: number, ahead: number): boolean {
  sync.pinged(at);
  return sync.ponged({ echoMs: at, timeMs: at + there + ahead }, at + there + back);
}

it("starts with the clock of WELCOME", () => {
  const sync = new ClockSync(5_000, 100);
  expect(sync.offsetMs).toBe(4_900);
  expect(sync.rttMs).toBeUndefined();
});

it("takes half the round trip for the way", () => {
  const sync = new ClockSync(0, 0);
  expect(sample(sync, 100, 20, 20, 1_000)).toBe(true);
  expect(sync.rttMs).toBe(40);
  expect(sync.offsetMs).toBe(1_000);
});

it("uses the sample with the smallest round trip of the last eight, and forgets the ninth", () => {
  const sync = new ClockSync(0, 0);
  sample(sync, 0, 1, 1, 500);
  for (let index = 1; index < 8; index++) {
    // A lopsided way: the offset comes out 40 too small.
    sample(sync, index * 1_000, 10, 90, 500);
    expect(sync.offsetMs).toBe(500);
  }
  expect(sync.rttMs).toBe(100);
  sample(sync, 9_000, 10, 90, 500);
  expect(sync.offsetMs).toBe(460);
});

it.each([
  ["makes up at half speed for what it is behind", 1_000, 6_000, 6_450],
  ["makes up at once for what is more than that", 1_001, 7_001, 7_301],
  ["lets time go at half speed while it is ahead, however far", -3_000, 6_000, 6_150],
])("%s", (_what, ahead, atOnce, later) => {
  const sync = new ClockSync(5_000, 0);
  sample(sync, 1_000, 0, 0, 5_000 + ahead);
  expect([sync.timeMs(1_000), sync.timeMs(1_300)]).toEqual([atOnce, later]);
});

it("[PING-4] ignores a PONG that answers no PING, or one that was answered", () => {
  const sync = new ClockSync(7, 0);
  sync.pinged(1_000);
  expect(sync.ponged({ echoMs: 999, timeMs: 0 }, 1_010)).toBe(false);
  expect(sync.ponged({ echoMs: 1_000, timeMs: 5_005 }, 1_010)).toBe(true);
  expect(sync.ponged({ echoMs: 1_000, timeMs: 9_999 }, 1_010)).toBe(false);
  expect(sync.offsetMs).toBe(4_000);
});

it("remembers sixteen unanswered PINGs, and no more", () => {
  const sync = new ClockSync(0, 0);
  for (let at = 1; at <= 17; at++) sync.pinged(at);
  expect(sync.ponged({ echoMs: 1, timeMs: 0 }, 20)).toBe(false);
  expect(sync.ponged({ echoMs: 2, timeMs: 0 }, 20)).toBe(true);
});
