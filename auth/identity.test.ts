import { describe, expect, it } from "vitest";
import { cleanDisplayName, displayNameOf, IdentityError, maxDisplayNameLength } from "./identity.ts";

describe("display names", () => {
  it.each([
    ["Ada", "Ada"],
    ["  Ada   Lovelace \n", "Ada Lovelace"],
    ["Zoë", "Zoë"],
    ["Zoe\u0308", "Zoë"],
    ["名前", "名前"],
    ["🦊 Fox", "🦊 Fox"],
    ["Ada\u0000\u001b[31m", "Ada[31m"],
    ["\u202Egnp.exe\u202C", "gnp.exe"],
    ["A\u200Bd\uFEFFa", "Ada"],
    ["\uD83E", undefined],
    ["A\u2028B\u2029C", "A B C"],
    ["a \u0000 b", "a b"],
    ["", undefined],
    [" \t\u200B", undefined],
    [undefined, undefined],
    [null, undefined],
    [7, undefined],
    [["Ada"], undefined],
  ])("[SEC-24] clean %j to %j", (wanted, cleaned) => {
    expect(cleanDisplayName(wanted)).toBe(cleaned);
  });

  it("[SEC-24] are cut at 32 code points, never through one", () => {
    expect(cleanDisplayName("x".repeat(32))).toBe("x".repeat(32));
    expect(cleanDisplayName("x".repeat(33))).toBe("x".repeat(32));
    const foxes = cleanDisplayName("🦊".repeat(1_000_000)) ?? "";
    expect(Array.from(foxes)).toHaveLength(maxDisplayNameLength);
    expect(new TextEncoder().encode(foxes)).toHaveLength(128);
  });

  it("do not end in the space that a cut left", () => {
    expect(cleanDisplayName(`${"x".repeat(31)} y`)).toBe("x".repeat(31));
  });

  it("[SEC-24] fall back to something stable that is made of the id", () => {
    const id = "1f9c6f3a-93f5-4f0c-8a55-0d3d2d1f0a01";
    expect(displayNameOf(id, undefined)).toBe("Player-1f9c6f");
    expect(displayNameOf(id, "   ")).toBe("Player-1f9c6f");
    expect(displayNameOf(id, "Ada")).toBe("Ada");
  });
});

describe("IdentityError", () => {
  it("carries a code, a cause and when to try again", () => {
    const cause = new Error("inner");
    const error = new IdentityError("RATE_LIMITED", "Too many attempts.", { cause, retryAfterSeconds: 10 });
    expect(error).toMatchObject({ name: "IdentityError", code: "RATE_LIMITED", retryAfterSeconds: 10, cause });
    expect(error).toBeInstanceOf(Error);
  });
});
