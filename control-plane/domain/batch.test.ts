import { describe, expect, it } from "vitest";
import { batchBytes, BatchSize, fittingTogether } from "./batch.ts";

describe("[REC-4] a batch", () => {
  it.each([
    ["of nothing is nothing", [], 0],
    ["is of all that fit", [1, 2, 3], 3],
    ["is just as long as it may be", [batchBytes - 2, 2, 1], 2],
    ["leaves out what would make it longer", [batchBytes - 2, 3], 1],
    ["is of one alone that is longer", [batchBytes + 1, 1], 1],
    ["has nothing behind what does not fit, however short", [1, batchBytes, 1], 1],
  ])("%s", (_, lengths, count) => {
    expect(fittingTogether(lengths)).toBe(count);
  });

  it("is half of what was sent after a failure, and twice as large after a success, up to its bound", () => {
    const size = new BatchSize(200, 0);
    expect(size.rows).toBe(200);
    size.noteFailure(30);
    expect(size.rows).toBe(15);
    for (let failures = 0; failures < 10; failures += 1) size.noteFailure(size.rows);
    expect(size.rows).toBe(1);
    for (let successes = 0; successes < 10; successes += 1) size.noteSuccess();
    expect(size.rows).toBe(200);
  });

  it.each([
    [0, 200],
    [1, 100],
    [7, 1],
    [40, 1],
  ])("after %i failures that are all that is known is %i", (failures, rows) => {
    expect(new BatchSize(200, failures).rows).toBe(rows);
  });
});
