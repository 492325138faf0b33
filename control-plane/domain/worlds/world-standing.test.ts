import { describe, expect, it } from "vitest";
import { goodStanding, isSameStanding, standingOf } from "./world-standing.ts";

const quiet = { state: "ready", draining: false, locked: false, load: 0 } as const;

describe("the standing of a cluster in its world", () => {
  it("[WORLD-7] says what is against giving it more", () => {
    expect(standingOf(quiet, goodStanding)).toEqual(goodStanding);
    expect(standingOf({ ...quiet, state: "starting" }, goodStanding)).toEqual(goodStanding);
    expect(standingOf({ ...quiet, state: "suspect", locked: true }, goodStanding)).toEqual({
      ...goodStanding,
      suspect: true,
      locked: true,
    });
    expect(standingOf({ ...quiet, draining: true }, goodStanding)).toEqual({ ...goodStanding, draining: true });
  });

  it("[WORLD-7] does not change with every player of one that is about full", () => {
    const at = (load: number, full: boolean) => standingOf({ ...quiet, load }, { ...goodStanding, full }).full;
    expect([at(0.99, false), at(1, false), at(1.5, false)]).toEqual([false, true, true]);
    expect([at(1, true), at(0.9, true), at(0.89, true)]).toEqual([true, true, false]);
  });

  it("is compared as a whole", () => {
    expect(isSameStanding(goodStanding, { ...goodStanding })).toBe(true);
    for (const reason of ["suspect", "draining", "locked", "full"] as const) {
      expect(isSameStanding(goodStanding, { ...goodStanding, [reason]: true })).toBe(false);
    }
  });
});
