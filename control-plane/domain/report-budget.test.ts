import { expect, it } from "vitest";
import { maxReportsPerSecond, ReportBudget } from "./report-budget.ts";

function takeMany(budget: ReportBudget, clusterId: string, times: number, nowMs: number): boolean[] {
  return Array.from({ length: times }, () => budget.take(clusterId, nowMs));
}

it("lets through what a second may have, and not one more", () => {
  const budget = new ReportBudget();
  expect(takeMany(budget, "a", maxReportsPerSecond, 0)).not.toContain(false);
  expect(budget.take("a", 999)).toBe(false);
  expect(budget.take("a", 1_000)).toBe(true);
});

it("counts each cluster by itself", () => {
  const budget = new ReportBudget();
  takeMany(budget, "flood", maxReportsPerSecond + 10, 0);
  expect(budget.take("other", 0)).toBe(true);
});

it("does not stall when the clock goes back", () => {
  const budget = new ReportBudget();
  takeMany(budget, "a", maxReportsPerSecond + 1, 10_000);
  expect(budget.take("a", 0)).toBe(true);
});
