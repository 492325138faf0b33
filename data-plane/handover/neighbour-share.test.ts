import { describe, expect, it } from "vitest";
import { holdingsOf, isWithinShare } from "./neighbour-share.ts";

describe("[HAND-17] a neighbour's share", () => {
  it("is half of what the others leave, rounded up", () => {
    expect(isWithinShare({ most: 10, own: 4, others: 0 }, 1, false)).toBe(true);
    expect(isWithinShare({ most: 10, own: 5, others: 0 }, 1, false)).toBe(false);
    expect(isWithinShare({ most: 10, own: 2, others: 5 }, 1, false)).toBe(true);
    expect(isWithinShare({ most: 10, own: 3, others: 5 }, 1, false)).toBe(false);
    expect(isWithinShare({ most: 1, own: 0, others: 0 }, 1, false)).toBe(true);
  });

  it("lets a group come that fits, however large, where the neighbour holds nothing else", () => {
    expect(isWithinShare({ most: 16, own: 0, others: 0 }, 16, true)).toBe(true);
    expect(isWithinShare({ most: 16, own: 0, others: 1 }, 16, true)).toBe(false);
  });

  it("leaves something to the next one, however many take all they may", () => {
    const held: { readonly source: string }[] = [];
    for (const source of ["a", "b", "c", "d", "e"]) {
      for (let tries = 0; tries < 64; tries += 1) {
        const { isFirst, ...holdings } = holdingsOf(held, source, () => 1);
        if (isWithinShare({ most: 64, ...holdings }, 1, isFirst)) held.push({ source });
      }
      expect(held.filter((one) => one.source === source).length).toBeGreaterThan(0);
      expect(held.length).toBeLessThan(64);
    }
  });
});
