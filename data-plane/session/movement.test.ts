import { describe, expect, it } from "vitest";
import { MoveBudget } from "./movement.ts";

const at = (x: number, y = 0, z = 0): { x: number; y: number; z: number; heading: number } => ({ x, y, z, heading: 0 });

type Place = ReturnType<typeof at>;
/** Moves where that is allowed; tells whether it was. */
function move(budget: MoveBudget, from: Place, to: Place, nowMs: number): boolean {
  const isFine = budget.allows(from, to, nowMs);
  if (isFine) budget.draw(from, to);
  return isFine;
}

describe("MoveBudget", () => {
  it("[MOVE-1] lets everything pass without a limit", () => {
    expect(move(new MoveBudget(0, 0), at(0), at(3e38), 0)).toBe(true);
  });

  it("[MOVE-1] lets a player move at the limit for ever", () => {
    const budget = new MoveBudget(10, 0);
    for (let tick = 1; tick <= 3_000; tick += 1) {
      expect(move(budget, at((tick - 1) / 3), at(tick / 3), (tick * 1_000) / 30)).toBe(true);
    }
  });

  it("[MOVE-1] holds to another limit as soon as the player's fragment has one", () => {
    const budget = new MoveBudget(0, 0);
    expect(move(budget, at(0), at(1_000), 0)).toBe(true);
    budget.maxSpeed = 10;
    expect([move(budget, at(0), at(6), 10_000), move(budget, at(0), at(5), 10_000)]).toEqual([false, true]);
    budget.maxSpeed = 100;
    expect([move(budget, at(0), at(11), 10_100), move(budget, at(0), at(10), 10_100)]).toEqual([false, true]);
    budget.maxSpeed = 0;
    expect(move(budget, at(0), at(1e9), 10_100)).toBe(true);
  });

  it("[MOVE-1] stops one that is faster, soon", () => {
    const budget = new MoveBudget(10, 0);
    let x = 0;
    for (let tick = 1; tick <= 300; tick += 1) {
      if (move(budget, at(x), at(x + 0.5), (tick * 1_000) / 30)) x += 0.5;
    }
    // 10 s at 10 units a second, the allowance of 5 %, and the burst.
    expect(x).toBeGreaterThan(95);
    expect(x).toBeLessThanOrEqual(10 * 10 * 1.05 + 5);
  });

  it("[MOVE-1] does not let a player who stood still save up for a leap", () => {
    const budget = new MoveBudget(10, 0);
    expect(move(budget, at(0), at(5.01), 3_600_000)).toBe(false);
    expect(move(budget, at(0), at(5), 3_600_000)).toBe(true);
    expect(move(budget, at(5), at(5.01), 3_600_000)).toBe(false);
  });

  it("[MOVE-1] measures in all three directions, and does not charge for a refused move", () => {
    const budget = new MoveBudget(10, 0);
    expect(move(budget, at(0), at(3, 3, 3), 0)).toBe(false);
    expect(move(budget, at(0), at(3, 4, 0), 0)).toBe(true);
  });

  it("[MOVE-1] survives the greatest numbers that a frame can carry", () => {
    const budget = new MoveBudget(10, 0);
    expect(move(budget, at(-3.4e38), at(3.4e38), 1_000)).toBe(false);
    expect(move(budget, at(3.4e38), at(3.4e38), 1_000)).toBe(true);
  });
});
