import { describe, expect, it } from "vitest";
import { noFullReport, stepOfFullReport } from "./full-report.ts";

const part = (sequence: number, of: number, index: number, last = false) => ({
  full: true,
  sequence,
  part: { of, index, last },
});

describe("a full report in parts", () => {
  it("is complete with its last part, when each has followed the one before", () => {
    const first = stepOfFullReport(noFullReport, part(7, 7, 0));
    expect(first).toEqual({ kind: "changes", progress: { of: 7, next: 1 }, begins: true });
    const second = stepOfFullReport(first.progress, part(8, 7, 1));
    expect(second).toEqual({ kind: "changes", progress: { of: 7, next: 2 }, begins: false });
    expect(stepOfFullReport(second.progress, part(9, 7, 2, true))).toMatchObject({ kind: "complete", begins: false });
  });

  it("goes on after a report of changes", () => {
    const progress = { of: 7, next: 1 };
    const step = stepOfFullReport(progress, { full: false, sequence: 8 });
    expect(step).toEqual({ kind: "changes", progress, begins: false });
  });

  it.each([
    ["a part is missing", part(9, 7, 2, true)],
    ["a part is of another report", part(9, 8, 1, true)],
    ["it is the first one of a report that began before", part(9, 7, 0, true)],
  ])("is not complete when %s", (_, report) => {
    const step = stepOfFullReport({ of: 7, next: 1 }, report);
    expect(step).toEqual({ kind: "changes", progress: noFullReport, begins: false });
  });

  it("begins anew with a new first part", () => {
    expect(stepOfFullReport({ of: 7, next: 3 }, part(12, 12, 0)).progress).toEqual({ of: 12, next: 1 });
  });

  it("of one part is complete at once, in either form", () => {
    expect(stepOfFullReport(noFullReport, part(3, 3, 0, true))).toMatchObject({ kind: "complete", begins: true });
    expect(stepOfFullReport({ of: 1, next: 1 }, { full: true, sequence: 3 })).toMatchObject({ kind: "complete" });
  });
});
