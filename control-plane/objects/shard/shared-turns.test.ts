import { describe, expect, it } from "vitest";
import { SharedTurns } from "./shared-turns.ts";

/** Turns that begin when the test says so. */
function createTurns() {
  const begins: (() => void)[] = [];
  const turns = new SharedTurns(() => new Promise((resolve) => begins.push(resolve)));
  return { turns, begins };
}

async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe("calls that are under way at the same time", () => {
  it("are done in one turn, in the order in which they came", async () => {
    const { turns, begins } = createTurns();
    const log: string[] = [];
    const work = async (name: string): Promise<void> => {
      await turns.next();
      // Comes to pass only when all that is ready at once has been done.
      setImmediate(() => log.push(`after ${name}`));
      log.push(name);
    };
    const done = ["first", "second", "third"].map(work);
    expect(begins).toHaveLength(1);
    expect(log).toEqual([]);
    begins[0]?.();
    await Promise.all(done);
    expect(log).toEqual(["first", "second", "third"]);
  });

  it("do not wait for one that comes when their turn has begun", async () => {
    const { turns, begins } = createTurns();
    const log: string[] = [];
    const first = turns.next().then(() => {
      log.push("first");
      void turns.next().then(() => log.push("late"));
    });
    begins[0]?.();
    await first;
    await settle();
    expect(log).toEqual(["first"]);
    expect(begins).toHaveLength(2);
    begins[1]?.();
    await settle();
    expect(log).toEqual(["first", "late"]);
  });
});
