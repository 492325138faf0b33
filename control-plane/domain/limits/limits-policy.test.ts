import { describe, expect, it } from "vitest";
import {
  encodeLimitWindows,
  type Limits,
  type LimitWindows,
  memoryMs,
  parseLimits,
  parseLimitWindows,
  spendLimits,
} from "./limits-policy.ts";

const now = 1_800_000_000_000;

function limitsOf(setting?: string): Limits {
  const limits = parseLimits(setting);
  if (limits === undefined) throw new Error("the setting is valid");
  return limits;
}

describe("the setting", () => {
  it("may be missing: then every limit has its default", () => {
    expect(limitsOf()).toEqual(limitsOf(""));
    for (const limit of Object.values(limitsOf())) {
      expect(limit.max).toBeGreaterThan(0);
      expect(limit.periodMs).toBeGreaterThanOrEqual(60_000);
    }
  });

  it("changes what it names, and nothing else", () => {
    const limits = limitsOf('{"loginPerAccount":[3,60]}');
    expect(limits).toEqual({ ...limitsOf(), loginPerAccount: { max: 3, periodMs: 60_000 } });
  });

  it.each([
    "{",
    "[]",
    "null",
    '{"loginPerPlanet":[1,1]}',
    '{"loginPerAccount":[1]}',
    '{"loginPerAccount":[1,2,3]}',
    '{"loginPerAccount":[-1,60]}',
    '{"loginPerAccount":[1.5,60]}',
    '{"loginPerAccount":[1,0]}',
    '{"loginPerAccount":[1,86401]}',
    '{"loginPerAccount":{"max":1}}',
  ])("is refused as a whole when it is %s", (setting) => {
    expect(parseLimits(setting)).toBeUndefined();
  });
});

describe("spending against several limits", () => {
  const limits = limitsOf('{"allocatePerPlayer":[2,60],"allocationsPerHour":[3,3600]}');
  const names = ["allocatePerPlayer", "allocationsPerHour"] as const;

  function spend(windows: LimitWindows, atMs: number): LimitWindows {
    const verdict = spendLimits(windows, names, limits, atMs);
    if (!verdict.allowed) throw new Error(`refused by ${verdict.limit}`);
    return verdict.windows;
  }

  it("[SEC-36] stops at the first that is full, and says which and for how long", () => {
    const two = spend(spend({}, now), now);
    const third = spendLimits(two, names, limits, now);
    expect(third).toMatchObject({ allowed: false, limit: "allocatePerPlayer" });
    const three = spend(two, now + 70_000);
    const fourth = spendLimits(three, names, limits, now + 140_000);
    expect(fourth).toMatchObject({ allowed: false, limit: "allocationsPerHour" });
    if (fourth.allowed) throw new Error("it was refused");
    expect(fourth.retryAfterSeconds).toBeGreaterThan(3_600 - 140 - 1);
    expect(fourth.retryAfterSeconds).toBeLessThanOrEqual(3_600 - 140 + 300);
    expect(spendLimits(three, names, limits, now + 140_000 + fourth.retryAfterSeconds * 1_000).allowed).toBe(true);
  });

  it("counts against none of them when one refuses", () => {
    const two = spend(spend({}, now), now);
    for (let index = 0; index < 10; index++) expect(spendLimits(two, names, limits, now).allowed).toBe(false);
    expect(two.allocationsPerHour?.[0]?.[1]).toBe(2);
  });

  it("keeps other limits of the subject as they are", () => {
    const windows: LimitWindows = { partiesPerHour: [[now, 4]] };
    expect(spend(windows, now).partiesPerHour).toEqual([[now, 4]]);
  });

  it("is told in whole seconds, at least one", () => {
    const tight = limitsOf('{"partiesPerHour":[1,1]}');
    const first = spendLimits({}, ["partiesPerHour"], tight, now);
    if (!first.allowed) throw new Error("the first is allowed");
    const second = spendLimits(first.windows, ["partiesPerHour"], tight, now + 990);
    expect(second).toEqual({ allowed: false, limit: "partiesPerHour", retryAfterSeconds: 1 });
  });

  it("is remembered as long as its longest period, and little longer", () => {
    expect(memoryMs(names, limits)).toBeGreaterThanOrEqual(3_600_000 * (1 + 1 / 12));
    expect(memoryMs(names, limits)).toBeLessThan(3_600_000 * 1.2);
  });
});

describe("what is stored", () => {
  it("comes back as it was", () => {
    const windows: LimitWindows = { loginPerAddress: [[now, 3]], partiesPerHour: [] };
    expect(parseLimitWindows(encodeLimitWindows(windows))).toEqual(windows);
  });

  it.each(["", "{", "[]", '{"gone":[[1,2]]}', '{"loginPerAddress":[[1]]}', '{"loginPerAddress":7}'])(
    "counts as nothing when it is %j",
    (text) => {
      expect(parseLimitWindows(text)).toEqual({});
    },
  );
});
