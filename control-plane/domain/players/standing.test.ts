import { describe, expect, it } from "vitest";
import { type Ban, banInForce, describeBan, isSignedOut } from "./standing.ts";

const ban: Ban = { id: "b", reason: "cheating", untilMs: 1_000, bannedAtMs: 0 };

describe("a ban", () => {
  it("is in force until its last millisecond", () => {
    expect(banInForce(ban, 999)).toBe(ban);
    expect(banInForce(ban, 1_000)).toBeUndefined();
  });

  it("without an end stays", () => {
    const forGood = { ...ban, untilMs: undefined };
    expect(banInForce(forGood, Number.MAX_SAFE_INTEGER)).toBe(forGood);
    expect(describeBan(forGood)).toEqual({ reason: "cheating", until: null });
  });

  it("tells its reason and its end, and nothing else", () => {
    expect(describeBan(ban)).toEqual({ reason: "cheating", until: "1970-01-01T00:00:01.000Z" });
  });
});

describe("[SEC-75] a sign-out everywhere", () => {
  const standing = { ban: undefined, signedOutAtMs: 5_400 };

  it("ends logins of before, also those of the same second", () => {
    expect(isSignedOut(standing, 4)).toBe(true);
    expect(isSignedOut(standing, 5)).toBe(true);
  });

  it("lets a login of after it stand", () => {
    expect(isSignedOut(standing, 6)).toBe(false);
    expect(isSignedOut({ ban: undefined, signedOutAtMs: undefined }, 0)).toBe(false);
  });
});
