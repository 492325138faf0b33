import { expect, it } from "vitest";
import { defaultRestartRules, RestartPolicy } from "./restart-policy.ts";

const rules = { ...defaultRestartRules, maxFailures: 4 };

it("waits about twice as long each time, and gives up with the last failure in a row", () => {
  const policy = new RestartPolicy(rules, () => 1);
  expect([0, 0, 0, 0].map((served) => policy.ended(served))).toEqual([250, 500, 1_000, undefined]);
});

it("forgets failures after it has served long enough, and not a moment before", () => {
  const policy = new RestartPolicy(rules, () => 1);
  policy.ended(0);
  policy.ended(0);
  expect(policy.ended(59_999)).toBe(1_000);
  expect(policy.ended(60_000)).toBe(250);
});

it("shortens each wait by a random part, and never by more than half", () => {
  expect(new RestartPolicy(rules, () => 0).ended(0)).toBe(125);
});

it("never waits longer than 30 s", () => {
  const policy = new RestartPolicy({ ...rules, maxFailures: 1_000 }, () => 1);
  let wait: number | undefined;
  for (let count = 0; count < 100; count += 1) wait = policy.ended(0);
  expect(wait).toBe(30_000);
});
