import { beforeEach, describe, expect, it } from "vitest";
import { HandoverToll, maxBurstUnits, unitsOf, unitsPerSecond } from "./handover-toll.ts";

let nowMs: number;
let toll: HandoverToll;
beforeEach(() => {
  nowMs = 1_000;
  toll = new HandoverToll(() => nowMs);
});

/** Messages of one unit each. @returns what is owed behind the last */
function say(count: number, clusterId = "eu.a"): number {
  let owedMs = 0;
  for (let message = 0; message < count; message += 1) owedMs = toll.charge(clusterId, { type: "forward" }, 100);
  return owedMs;
}

it("[PEER-8] counts a message, each whole KiB of it, and what its kind costs", () => {
  expect(unitsOf({ type: "abort" }, 1_023)).toBe(1);
  expect(unitsOf({ type: "transfer" }, 1_024)).toBe(4);
  expect(unitsOf({ type: "transfer" }, 4 * 1_024 * 1_024)).toBe(4_099);
  expect(unitsOf({ type: "prepare" }, 100)).toBe(17);
  expect(unitsOf({ type: "commit" }, 700)).toBe(33);
});

describe("[PEER-8] what a neighbour says of handovers", () => {
  it("is taken up to the burst, and what is beyond is owed until it is paid for", () => {
    expect(say(maxBurstUnits)).toBe(0);
    expect(say(1)).toBeCloseTo(1_000 / unitsPerSecond);
    nowMs += 1_000;
    expect(say(unitsPerSecond - 1)).toBe(0);
    expect(say(2)).toBeGreaterThan(0);
    nowMs += 3_600_000;
    expect(say(maxBurstUnits), "no more than a burst is saved up").toBe(0);
    expect(say(1)).toBeGreaterThan(0);
  });

  it("is its own account, which outlives its links until it is paid", () => {
    expect(say(maxBurstUnits + 100, "eu.a")).toBeGreaterThan(0);
    expect(say(1, "eu.b")).toBe(0);
    toll.forgetPaid();
    expect([toll.owedMs("eu.a") > 0, toll.owedMs("eu.b"), toll.owedMs("eu.c")]).toEqual([true, 0, 0]);
    expect(say(1, "eu.a")).toBeGreaterThan(0);
    nowMs += (maxBurstUnits * 1_000) / unitsPerSecond + 10;
    toll.forgetPaid();
    expect(toll.isNews("eu.a"), "there is none any more").toBe(false);
    expect(say(maxBurstUnits, "eu.a")).toBe(0);
  });

  it("is news once a minute", () => {
    say(maxBurstUnits + 1);
    expect([toll.isNews("eu.a"), toll.isNews("eu.a")]).toEqual([true, false]);
    nowMs += 60_000;
    expect(toll.isNews("eu.a")).toBe(true);
  });
});
