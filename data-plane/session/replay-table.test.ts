import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { ReplayTable } from "./replay-table.ts";

const skew = 5;
const a = {};
const b = {};

describe("ReplayTable", () => {
  it("[TICKET-8] lets an id be claimed once", () => {
    const table = new ReplayTable(10, skew);
    expect(table.claim("t", a, 100, 0)).toBe("claimed");
    expect(table.claim("t", b, 100, 0)).toBe("seen");
    expect(table.claim("t", a, 100, 0)).toBe("seen");
    expect(table.claim("u", b, 100, 0)).toBe("claimed");
  });

  it("[TICKET-8] takes a pending id back from the connection that claimed it, and a consumed one from nobody", () => {
    const table = new ReplayTable(10, skew);
    table.claim("t", a, 100, 0);
    table.release("t", b);
    expect(table.claim("t", b, 100, 0)).toBe("seen");
    table.release("t", a);
    expect(table.claim("t", b, 100, 0)).toBe("claimed");
    table.consume("t", b);
    table.release("t", b);
    expect(table.claim("t", a, 100, 0)).toBe("seen");
  });

  it("[TICKET-8] consumes only what the connection has claimed", () => {
    const table = new ReplayTable(10, skew);
    table.claim("t", a, 100, 0);
    table.consume("t", b);
    table.release("t", a);
    expect(table.claim("t", a, 100, 0)).toBe("claimed");
  });

  it("[TICKET-8] remembers until the ticket cannot be used any more, skew included, then forgets", () => {
    const table = new ReplayTable(10, skew);
    table.claim("t", a, 100.5, 0);
    table.consume("t", a);
    expect(table.claim("t", b, 100.5, 105.5)).toBe("seen");
    expect(table.claim("u", b, 200, 108)).toBe("claimed");
    expect(table.size).toBe(1);
  });

  it("[TICKET-8] refuses when it is full, and never forgets one that could still be used", () => {
    const table = new ReplayTable(2, skew);
    table.claim("t", a, 100, 0);
    table.claim("u", a, 200, 0);
    expect(table.claim("v", a, 300, 50)).toBe("full");
    expect(table.claim("t", b, 100, 50)).toBe("seen");
    expect(table.claim("v", a, 300, 107)).toBe("claimed");
    expect(table.claim("u", b, 200, 107)).toBe("seen");
    expect(table.claim("w", b, 300, 107)).toBe("full");
  });

  it("has room again after a pending id was given back", () => {
    const table = new ReplayTable(1, skew);
    table.claim("t", a, 100, 0);
    table.release("t", a);
    expect(table.claim("u", a, 100, 0)).toBe("claimed");
  });

  it("keeps nothing of a connection whose claim is final, for as long as its id is remembered", async () => {
    const table = new ReplayTable(10, skew);
    const claimBy = (holder: object): WeakRef<object> => {
      table.claim("t", holder, 100, 0);
      table.consume("t", holder);
      return new WeakRef(holder);
    };
    const connection = claimBy({});
    await collectGarbage();
    expect(connection.deref()).toBe(undefined);
    expect(table.claim("t", a, 100, 50)).toBe("seen");
  });
});

/** In full, and in a turn of its own: what a WeakRef was asked for, or made with, lives until the turn is over. */
async function collectGarbage(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  setFlagsFromString("--no-expose-gc");
  if (typeof collect !== "function") throw new Error("this engine has no gc()");
  collect();
}
