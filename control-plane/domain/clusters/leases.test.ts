import { describe, expect, it } from "vitest";
import type { KeptState } from "./cluster-states.ts";
import { createLeasePolicy, isLeaseLive, isMassSilence, sweepLeases } from "./leases.ts";

const policy = createLeasePolicy(30_000);
const now = 10_000_000;

function holder(clusterId: string, silentMs: number, state: KeptState = "ready") {
  return { clusterId, state, renewedAtMs: now - silentMs, linkLostAtMs: 0, isReached: true };
}

/** One whose link broke a moment ago, within its lease. */
function broken(clusterId: string) {
  return { ...holder(clusterId, 100), linkLostAtMs: now - 100 };
}

/** Enough live clusters that a few silent ones are not a mass. */
const crowd = Array.from({ length: 10 }, (_, index) => holder(`live-${index}`, 0));

describe("a lease", () => {
  it("lives for less than its length", () => {
    expect(isLeaseLive(now - 29_999, now, policy)).toBe(true);
    expect(isLeaseLive(now - 30_000, now, policy)).toBe(false);
  });
});

describe("a sweep", () => {
  it("suspects the silent, gives up those silent for long, and takes back who speaks again", () => {
    const holders = [
      ...crowd,
      holder("silent", 30_000),
      holder("lost", policy.goneMs, "suspect"),
      holder("back", 1_000, "suspect"),
      holder("left", 1_000, "gone"),
    ];
    const { changes, frozen } = sweepLeases(holders, now, policy);
    expect(frozen).toBe(false);
    expect(Object.fromEntries(changes)).toEqual({ silent: "suspect", lost: "gone", back: "ready" });
  });

  it("suspects one whose link broke, within its lease, and many of them not at all", () => {
    const one = sweepLeases([...crowd, broken("a"), holder("b", 40_000)], now, policy);
    expect(Object.fromEntries(one.changes)).toEqual({ a: "suspect", b: "suspect" });
    const many = sweepLeases([...crowd, ...Array.from({ length: 10 }, (_, index) => broken(`b${index}`))], now, policy);
    expect([many.frozen, many.changes.size]).toEqual([true, 0]);
  });

  it("takes one whose address was never reached back to where it was", () => {
    const unreached = { ...holder("a", 0, "suspect"), isReached: false };
    expect(Object.fromEntries(sweepLeases([...crowd, unreached], now, policy).changes)).toEqual({ a: "starting" });
    expect(sweepLeases([...crowd, { ...unreached, state: "starting" }], now, policy).changes.size).toBe(0);
  });

  it("changes nothing the second time", () => {
    const { changes } = sweepLeases([...crowd, holder("silent", 40_000, "suspect")], now, policy);
    expect(changes.size).toBe(0);
  });

  it("suspects the master when at least 3 and at least half are silent at once", () => {
    const silent = [holder("a", 30_000), holder("b", 31_000), holder("c", 32_000, "suspect")];
    const half = sweepLeases([...silent, ...crowd.slice(0, 3)], now, policy);
    expect(half.frozen).toBe(true);
    expect(Object.fromEntries(half.changes)).toEqual({ c: "ready" });
    const fewer = sweepLeases([...silent, ...crowd.slice(0, 4)], now, policy);
    expect(fewer.frozen).toBe(false);
    expect(Object.fromEntries(fewer.changes)).toEqual({ a: "suspect", b: "suspect" });
  });

  it("is frozen for no longer than it takes to be gone", () => {
    const gone = ["a", "b", "c"].map((id) => holder(id, policy.goneMs));
    const { changes, frozen } = sweepLeases(gone, now, policy);
    expect(frozen).toBe(false);
    expect([...changes.values()]).toEqual(["gone", "gone", "gone"]);
  });
});

describe("mass silence", () => {
  it.each([
    [2, 2, false],
    [3, 3, true],
    [3, 6, true],
    [3, 7, false],
    [50, 100, true],
  ])("%d silent of %d: %s", (silent, total, expected) => {
    expect(isMassSilence(silent, total)).toBe(expected);
  });
});
