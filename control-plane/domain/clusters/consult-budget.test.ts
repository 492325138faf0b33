import { expect, it } from "vitest";
import { ConsultBudget, consultsPerSecond, maxConsultBurst } from "./consult-budget.ts";

const call = 32;

function allowed(budget: ConsultBudget, clusterId: string, nowMs: number): number {
  let questions = 0;
  while (budget.take(clusterId, call, nowMs)) questions += call;
  return questions;
}

it("[SEC-78] a cluster asks so many questions at once, and so many a second after that; others have their own", () => {
  const budget = new ConsultBudget();
  expect(allowed(budget, "a", 0)).toBe(maxConsultBurst);
  expect(budget.take("a", 1, 0)).toBe(false);
  expect(allowed(budget, "b", 0)).toBe(maxConsultBurst);
  expect(allowed(budget, "a", 1_000)).toBe(consultsPerSecond - (consultsPerSecond % call));
});

it("[SEC-78] a call that is over the bound costs nothing", () => {
  const budget = new ConsultBudget();
  expect(budget.take("a", maxConsultBurst - 1, 0)).toBe(true);
  expect([budget.take("a", 2, 0), budget.take("a", 1, 0)]).toEqual([false, true]);
});

it("[SEC-78] forgets a cluster once all that it has asked has come back, and not before", () => {
  const budget = new ConsultBudget();
  let most = 0;
  for (let second = 0; second < 1_000; second += 1) {
    for (let index = 0; index < 10; index += 1) budget.take(`gone${second}.${index}`, maxConsultBurst, second * 1_000);
    most = Math.max(most, budget.size);
  }
  // What was spent is back after 4 s, and is looked for every 4 s.
  expect(most).toBeLessThanOrEqual(100);
  expect(budget.take("gone999.0", 1, 999_000)).toBe(false);
  budget.take("another", 1, 1_002_999);
  expect(allowed(budget, "gone999.0", 1_002_999)).toBeLessThan(maxConsultBurst);
});
