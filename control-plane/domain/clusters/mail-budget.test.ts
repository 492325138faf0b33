import { describe, expect, it } from "vitest";
import { maxMailBurst } from "../../../protocol/index.ts";
import { floodedMails, MailBudget, maxMailsOnTheWay, shardMailBurst } from "./mail-budget.ts";

describe("the budget of messages between clusters", () => {
  it("[MAIL-3] refuses what a cluster sends over its rate, and closes one that floods", () => {
    const budget = new MailBudget();
    const send = () => {
      const verdict = budget.send("a", 0);
      if (verdict === "allowed") budget.arrived();
      return verdict;
    };
    const verdicts = Array.from({ length: floodedMails + 1 }, send);
    expect(verdicts.slice(0, maxMailBurst)).toEqual(Array(maxMailBurst).fill("allowed"));
    expect(verdicts.slice(maxMailBurst, -1)).toEqual(Array(floodedMails - maxMailBurst).fill("refused"));
    expect(verdicts.at(-1)).toBe("flooded");
    expect(budget.send("b", 0)).toBe("allowed");
    expect(budget.send("a", 1_000)).toBe("allowed");
  });

  it("[MAIL-3] bounds what all clusters of a shard send together", () => {
    const budget = new MailBudget();
    let allowed = 0;
    for (let index = 0; index < 10 * maxMailBurst; index += 1) {
      if (budget.send(`cluster-${index % 10}`, 0) !== "allowed") continue;
      allowed += 1;
      budget.arrived();
    }
    expect(allowed).toBe(shardMailBurst);
  });

  it("[MAIL-3] bounds what is on its way", () => {
    const budget = new MailBudget();
    for (let index = 0; index < maxMailsOnTheWay; index += 1) {
      expect(budget.send(`cluster-${index % 10}`, 0)).toBe("allowed");
    }
    expect(budget.send("another", 0)).toBe("refused");
    budget.arrived();
    expect(budget.send("another", 0)).toBe("allowed");
  });

  it("[MAIL-3] bounds what one cluster is handed", () => {
    const budget = new MailBudget();
    for (let index = 0; index < shardMailBurst; index += 1) expect(budget.receive("a", 0)).toBe(true);
    expect(budget.receive("a", 0)).toBe(false);
    expect(budget.receive("b", 0)).toBe(true);
    expect(budget.receive("a", 5)).toBe(true);
  });
});
