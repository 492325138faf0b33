import { describe, expect, it } from "vitest";
import { Rate } from "./rate.ts";

function taken(rate: Rate, attempts: number, nowMs: number): number {
  let count = 0;
  for (let index = 0; index < attempts; index += 1) if (rate.take(nowMs)) count += 1;
  return count;
}

describe("a rate", () => {
  it("allows a burst, then so many a second", () => {
    const rate = new Rate(20, 100);
    expect(taken(rate, 200, 1_000)).toBe(100);
    expect(taken(rate, 10, 1_049)).toBe(0);
    expect(taken(rate, 10, 1_050)).toBe(1);
    expect(taken(rate, 100, 2_050)).toBe(20);
  });

  it("saves up no more than a burst, however long there was none", () => {
    const rate = new Rate(10, 5);
    expect(taken(rate, 9, 0)).toBe(5);
    expect(taken(rate, 9, 1e9)).toBe(5);
  });

  it("takes several together, or none of them", () => {
    const rate = new Rate(10, 5);
    expect([rate.take(0, 6), rate.take(0, 4), rate.take(0, 2), rate.take(0, 1), rate.take(0, 1)]).toEqual([
      false,
      true,
      false,
      true,
      false,
    ]);
    expect([rate.take(200, 3), rate.take(200, 2)]).toEqual([false, true]);
  });

  it("is full again when what was taken has come back, and not before", () => {
    const rate = new Rate(10, 5);
    expect(rate.isFull(0)).toBe(true);
    rate.take(0, 3);
    expect([rate.isFull(0), rate.isFull(299), rate.isFull(300)]).toEqual([false, false, true]);
    expect(taken(rate, 9, 300)).toBe(5);
    expect([rate.isFull(799), rate.isFull(800)]).toEqual([false, true]);
  });

  it("costs nothing where it refuses", () => {
    const rate = new Rate(1, 1);
    expect(taken(rate, 1_000, 0)).toBe(1);
    expect(taken(rate, 1_000, 1_000)).toBe(1);
  });
});
