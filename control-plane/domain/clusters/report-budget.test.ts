import { expect, it } from "vitest";
import {
  JoinBudget,
  maxReportsPerSecond,
  maxUnbackedJoins,
  ReportBudget,
  unbackedJoinsPerSecond,
} from "./report-budget.ts";

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

it("[SEC-43] lets through the joins of one full report without seats, and then so many in a second", () => {
  const budget = new JoinBudget();
  expect(budget.take("a", maxUnbackedJoins - 1, 0)).toBe(true);
  expect(budget.take("a", 2, 0)).toBe(false);
  expect(budget.take("a", 1, 0)).toBe(true);
  expect(budget.take("a", 1, 0)).toBe(false);
  expect(budget.take("a", unbackedJoinsPerSecond + 1, 1_000)).toBe(false);
  expect(budget.take("a", unbackedJoinsPerSecond, 1_000)).toBe(true);
  expect(budget.take("a", 0, 1_000)).toBe(true);
  expect(budget.take("other", maxUnbackedJoins, 1_000)).toBe(true);
});

it("[SEC-43] gives a full report its turn after five seconds, however often it was refused", () => {
  const budget = new JoinBudget();
  budget.take("a", maxUnbackedJoins, 0);
  for (let nowMs = 0; nowMs < 5_000; nowMs += 10) expect(budget.take("a", maxUnbackedJoins, nowMs)).toBe(false);
  expect(budget.take("a", maxUnbackedJoins, 5_000)).toBe(true);
});
