import { describe, expect, it } from "vitest";
import { Budget } from "./budget.ts";

const rates = { bytesPerSecond: 1_000, messagesPerSecond: 10 };

/** The verdicts on so many messages at once. */
function drawMessages(budget: Budget, count: number): string {
  const verdicts = Array.from({ length: count }, () => budget.drawMessage());
  return `${verdicts.filter((one) => one === "within").length} ${verdicts.filter((one) => one === "warn").length} ${verdicts.at(-1)}`;
}

describe("Budget", () => {
  it("[BUDGET-1] lets two seconds' worth through at once, warns for one more, and then it is over", () => {
    const budget = new Budget(rates, 0);
    expect(drawMessages(budget, 20)).toBe("20 0 within");
    expect(drawMessages(budget, 10)).toBe("0 10 warn");
    expect(budget.drawMessage()).toBe("over");
  });

  it("[BUDGET-1] counts bytes in the same way", () => {
    const budget = new Budget(rates, 0);
    expect([budget.drawBytes(2_000, 0), budget.drawBytes(1_000, 0), budget.drawBytes(1, 0)]).toEqual([
      "within",
      "warn",
      "over",
    ]);
  });

  it("[BUDGET-1] never tires of who stays within the rate", () => {
    const budget = new Budget(rates, 0);
    for (let second = 1; second <= 100; second += 1) {
      expect(budget.drawBytes(1_000, second * 1_000)).toBe("within");
      expect(drawMessages(budget, 10)).toBe("10 0 within");
    }
  });

  it("[BUDGET-1] saves up no more than two seconds' worth", () => {
    const budget = new Budget(rates, 0);
    budget.drawBytes(0, 3_600_000);
    expect(drawMessages(budget, 21)).toBe("20 1 warn");
  });

  it("[BUDGET-2] lets who comes back send what the time away would have allowed", () => {
    const budget = new Budget(rates, 0);
    drawMessages(budget, 20);
    budget.returned(10_000);
    expect(drawMessages(budget, 100)).toBe("100 0 within");
    expect(budget.drawMessage()).toBe("warn");
  });

  it("is not there at 0", () => {
    const budget = new Budget({ bytesPerSecond: 0, messagesPerSecond: 0 }, 0);
    expect(budget.drawBytes(1e9, 0)).toBe("within");
    expect(drawMessages(budget, 10_000)).toBe("10000 0 within");
  });
});
