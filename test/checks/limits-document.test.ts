/** docs/OPERATIONS.md and the code say the same about limits. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseLimits } from "../../control-plane/domain/limits/limits-policy.ts";

const text = readFileSync(join(import.meta.dirname, "../../docs/OPERATIONS.md"), "utf8");

describe("the table of limits", () => {
  it("has every limit with its default, and no others", () => {
    const rows = text.matchAll(/^\| `(\w+(?:Per\w+))` \| (\d+) \| (\d+) \|$/gm);
    const listed = Array.from(rows, ([, name, max, seconds]) => [name, Number(max), Number(seconds)]);
    const known = Object.entries(parseLimits(undefined) ?? {}).map(([name, { max, periodMs }]) => [
      name,
      max,
      periodMs / 1_000,
    ]);
    expect(listed).toEqual(known);
  });

  it("shows a setting that is valid", () => {
    const setting = /`LIMITS = '(\{.+?\})'`/.exec(text)?.[1];
    expect(setting).toBeDefined();
    expect(parseLimits(setting)).toBeDefined();
  });
});
