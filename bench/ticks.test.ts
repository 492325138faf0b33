import { expect, it } from "vitest";
import { tickBounds } from "../data-plane/ops/histogram.ts";
import { TickTimes } from "./ticks.ts";

/** Counts of a server with so many ticks within 1 ms, and so many more within 10 ms. */
function counts(fast: number, slow: number): number[] {
  return tickBounds.map((bound) => (bound >= 0.01 ? fast + slow : bound >= 0.001 ? fast : 0));
}

it("tells the bound of the ticks of its windows alone", () => {
  const times = new TickTimes();
  expect(times.quantileMs(0.99)).toBeNaN();
  times.add(counts(10, 500), counts(60, 500));
  times.add(counts(90, 900), counts(139, 901));
  expect(times.count).toBe(100);
  expect(times.quantileMs(0.99)).toBe(1);
  times.add(counts(139, 901), counts(139, 902));
  expect(times.quantileMs(0.99)).toBe(10);
});
