import { describe, expect, it } from "vitest";
import { Admission, type AdmissionPass, maxRememberedGroups } from "./admission.ts";

interface Bench {
  readonly admission: Admission;
  now: number;
  readonly pass: (group: string) => AdmissionPass;
}

function bench(maxTotal: number, maxPerGroup: number): Bench {
  const admission = new Admission({ maxTotal, maxPerGroup, penaltyHalfLifeMs: 1_000 }, () => made.now);
  const made: Bench = {
    now: 0,
    admission,
    pass: (group) => {
      const pass = admission.admit(group);
      if (typeof pass === "string") throw new Error(pass);
      return pass;
    },
  };
  return made;
}

describe("Admission", () => {
  it("admits up to the bound in all, and again once a place is free", () => {
    const { admission, pass } = bench(2, 2);
    const first = pass("a");
    pass("b");
    expect(admission.admit("c")).toBe("TOO_MANY_UNAUTHENTICATED");
    first.release(false);
    pass("c");
    expect(admission.open).toBe(2);
  });

  it("admits up to the bound from one group, and others meanwhile", () => {
    const { admission, pass } = bench(10, 2);
    const first = pass("a");
    pass("a");
    expect(admission.admit("a")).toBe("TOO_MANY_FROM_ADDRESS");
    pass("b");
    first.release(false);
    pass("a");
  });

  it("takes a place back once, however often it is given back", () => {
    const { admission, pass } = bench(10, 10);
    const first = pass("a");
    pass("a");
    first.release(false);
    first.release(true);
    expect(admission.open).toBe(1);
  });

  it("[NET-4] charges a group for its failures, for a while, and nobody else", () => {
    const b = bench(100, 10);
    for (let failure = 0; failure < 4; failure += 1) b.pass("a").release(true);
    const held = Array.from({ length: 6 }, () => b.pass("a"));
    expect(b.admission.admit("a")).toBe("TOO_MANY_FROM_ADDRESS");
    b.pass("b");
    b.now = 1_000;
    b.pass("a");
    b.pass("a");
    expect(b.admission.admit("a")).toBe("TOO_MANY_FROM_ADDRESS");
    b.now = 60_000;
    b.pass("a");
    for (const pass of held) pass.release(false);
  });

  it("[NET-4] remembers failures of 65,536 groups, forgets old ones for new ones, and spends little on it", () => {
    let now = 0;
    let looks = 0;
    const admission = new Admission({ maxTotal: 10, maxPerGroup: 10, penaltyHalfLifeMs: 1_000 }, () => {
      looks += 1;
      return now;
    });
    const fail = (name: string): void => {
      const pass = admission.admit(name);
      if (typeof pass === "string") throw new Error(pass);
      pass.release(true);
    };
    for (let count = 0; count < maxRememberedGroups; count += 1) fail(`early ${count}`);
    looks = 0;
    for (let count = 0; count < 1_000; count += 1) fail(`late ${count}`);
    expect(admission.groups).toBeLessThanOrEqual(maxRememberedGroups);
    // One look at all of them, and a few for each failure.
    expect(looks).toBeLessThan(maxRememberedGroups + 10 * 1_000);
    now = 60_000;
    fail("much later");
    expect(admission.groups).toBeLessThan(10);
  });

  it("[NET-4] shuts nobody out for good: a tenth of the places stays open", () => {
    const b = bench(1_000, 10);
    for (let failure = 0; failure < 500; failure += 1) {
      const pass = b.admission.admit("a");
      if (typeof pass !== "string") pass.release(true);
    }
    b.pass("a").release(false);
    b.now = 60_000;
    for (let place = 0; place < 10; place += 1) b.pass("a");
    expect(b.admission.open).toBe(10);
  });
});
