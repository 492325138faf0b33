import { describe, expect, it } from "vitest";
import { maxWaiters, SaveLine, type SaveOutcome } from "./save-line.ts";

function lineOf(intervalMs = 1_000) {
  const told: string[] = [];
  const line = new SaveLine(intervalMs);
  const put = (name: string): void =>
    line.put({ state: Buffer.from(name), waiters: [(outcome: SaveOutcome) => told.push(`${name} ${outcome}`)] });
  const send = (generation: number, nowMs: number): string | undefined => {
    const sent = line.send(generation, nowMs);
    return sent && `${Buffer.from(sent.state).toString()} ${sent.generation}.${sent.version}`;
  };
  return { line, told, put, send };
}

describe("[HAND-8] the saves of a session", () => {
  it("go one at a time, the latest of those that wait, and never faster than their interval", () => {
    const { line, told, put, send } = lineOf();
    expect(line.waitMs(0)).toBeUndefined();
    put("a");
    expect([line.waitMs(0), send(5, 0)]).toEqual([0, "a 5.1"]);
    put("b");
    put("c");
    expect([line.waitMs(10), send(5, 10)]).toEqual([undefined, undefined]);
    expect(line.saved(5, 1)).toBe(true);
    expect(told).toEqual(["a saved"]);
    expect(line.waitMs(400)).toBe(600);
    expect(send(5, 1_000)).toBe("c 5.2");
    expect(line.saved(5, 2)).toBe(true);
    expect(told).toEqual(["a saved", "b saved", "c saved"]);
    expect(line.busy).toBe(false);
  });

  it("hold a bounded number of those who wait, however long the master is away", () => {
    const { line, told, put, send } = lineOf();
    put("sent");
    send(5, 0);
    for (let index = 0; index < maxWaiters; index += 1) put(`${index}`);
    expect(told).toEqual([]);
    put("last");
    expect(told).toEqual(["0 unsaved"]);
    line.saved(5, 1);
    send(5, 1_000);
    line.saved(5, 2);
    expect(told).toHaveLength(2 + maxWaiters);
    expect([told[1], told.at(-1)]).toEqual(["sent saved", "last saved"]);
  });

  it("are not acknowledged by word of another one", () => {
    const { line, told, put, send } = lineOf();
    put("a");
    send(5, 0);
    expect([line.saved(4, 9), line.saved(5, 0), line.saved(6, 1)]).toEqual([false, false, false]);
    expect(told).toEqual([]);
    expect(line.saved(5, 3)).toBe(true);
  });

  it("count anew under another generation, and what was on its way goes again under it", () => {
    const { line, put, send } = lineOf(0);
    put("a");
    send(5, 0);
    line.saved(5, 1);
    put("b");
    expect(send(5, 0)).toBe("b 5.2");
    line.takeBack();
    expect(send(7, 0)).toBe("b 7.1");
    put("c");
    line.takeBack();
    expect(send(7, 0)).toBe("c 7.2");
  });

  it("tell everybody who waits when nothing comes of them, and can be gone on with elsewhere", () => {
    const { line, told, put, send } = lineOf();
    put("a");
    send(5, 0);
    put("b");
    const given = line.give();
    expect([Buffer.from(given?.state ?? []).toString(), line.busy, line.heldBytes]).toEqual(["b", false, 0]);
    for (const tell of given?.waiters ?? []) tell("superseded");
    put("c");
    line.end("unsaved");
    expect(told).toEqual(["a superseded", "b superseded", "c unsaved"]);
    expect(line.newest).toEqual(Buffer.from("c"));
  });
});
