import { describe, expect, it } from "vitest";
import { closeCodeAdvice, closeCodeName, closeCodes } from "./codes.ts";
import { problems } from "./problems.ts";

const rows = Object.entries(closeCodes);

describe("codes of REJECT and CLOSE", () => {
  it("have numbers that differ and fit a u16", () => {
    const numbers = rows.map(([, row]) => row.number);
    expect(new Set(numbers).size).toBe(rows.length);
    for (const number of numbers) expect(number).toBeLessThanOrEqual(0xffff);
  });

  it("have texts that a str8 carries whole and that a log shows plainly", () => {
    for (const [name, row] of rows) {
      expect(row.text, name).toMatch(/^[\x20-\x7e]{1,255}$/);
    }
  });

  it("are found by their numbers", () => {
    for (const [name, row] of rows) expect(closeCodeName(row.number)).toBe(name);
    expect(closeCodeName(0x0004)).toBeUndefined();
    expect(closeCodeName(-1)).toBeUndefined();
  });

  it("[CLOSE-3] give their advice by the high byte, known or not", () => {
    expect(closeCodeAdvice(0x00ff)).toBe("stop");
    expect(closeCodeAdvice(0x0100)).toBe("allocate");
    expect(closeCodeAdvice(0x01ff)).toBe("allocate");
    expect(closeCodeAdvice(0x0200)).toBe("stop");
    expect(closeCodeAdvice(0xff01)).toBe("stop");
  });
});

describe("problems of the master", () => {
  it("have an error status and a title that is a sentence", () => {
    for (const [code, row] of Object.entries(problems)) {
      expect(code).toMatch(/^[A-Z][A-Z_]*[A-Z]$/);
      expect(row.status, code).toBeGreaterThanOrEqual(400);
      expect(row.status, code).toBeLessThan(600);
      expect(row.title, code).toMatch(/^[A-Z].*\.$/);
    }
  });

  it("tell nobody to repeat a request that the client must mend first", () => {
    const retried = Object.values(problems).filter((row) => row.advice === "retry");
    expect(new Set(retried.map((row) => row.status))).toEqual(new Set([409, 429, 500, 503]));
  });
});
