import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { HookLane } from "./hook-lane.ts";

let log: string[];
let lane: HookLane;

function createLane(after?: HookLane): HookLane {
  const rules = {
    timeoutMs: 1_000,
    onError: (hook: string, error: unknown) =>
      log.push(`${hook} failed: ${error instanceof Error ? error.message : String(error)}`),
    takes: () => false,
  };
  const owner = {
    id: "player",
    hold: (held: boolean) => log.push(held ? "hold" : "go on"),
    malformed: () => undefined,
  };
  return new HookLane(rules, owner, after);
}

beforeEach(() => {
  vi.useFakeTimers();
  log = [];
  lane = createLane();
});
afterEach(() => vi.useRealTimers());

/** A hook that notes its start and is done when told. */
function slow(name: string): { run: () => Promise<void>; done: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const run = async (): Promise<void> => {
    log.push(`${name} begins`);
    await promise;
    log.push(`${name} ends`);
  };
  return { run, done: resolve };
}

const settle = async (): Promise<void> => {
  await vi.advanceTimersByTimeAsync(0);
};

describe("HookLane", () => {
  it("runs synchronous hooks at once", () => {
    lane.run("a", () => log.push("a"));
    lane.run("b", () => log.push("b"));
    expect(log).toEqual(["a", "b"]);
    expect(lane.busy).toBe(false);
  });

  it("keeps the order while a promise is open", async () => {
    const first = slow("first");
    lane.run("a", first.run);
    lane.run("b", () => log.push("second"));
    const third = slow("third");
    lane.run("c", third.run);
    lane.run("d", () => log.push("fourth"));
    expect(log).toEqual(["first begins"]);
    first.done();
    await settle();
    expect(log).toEqual(["first begins", "first ends", "second", "third begins"]);
    third.done();
    await settle();
    expect(log.slice(-2)).toEqual(["third ends", "fourth"]);
    expect(lane.busy).toBe(false);
  });

  it("counts a thenable whose `then` throws as a failure, and goes on", async () => {
    const hostile = {
      // oxlint-disable-next-line unicorn/no-thenable -- that is what is tested
      then: () => {
        throw new Error("no promise");
      },
    };
    lane.run("a", () => hostile);
    lane.run("b", () => log.push("b"));
    await settle();
    expect(log).toEqual(["a failed: no promise", "b"]);
  });

  it("lets a hook end before what it brings about begins", () => {
    lane.run("a", () => {
      lane.run("b", () => log.push("b"));
      log.push("a ends");
    });
    expect(log).toEqual(["a ends", "b"]);
  });

  it("goes on after one that throws, rejects, or throws something odd", async () => {
    lane.run("a", () => {
      throw new Error("one");
    });
    lane.run("b", () => Promise.reject(new Error("two")));
    lane.run("c", () => log.push("third"));
    await settle();
    expect(log).toEqual(["a failed: one", "b failed: two", "third"]);
  });

  it("goes ahead when one is never done, and takes its late end for what it is", async () => {
    const never = slow("never");
    lane.run("a", never.run);
    const next = slow("next");
    lane.run("b", next.run);
    lane.run("c", () => log.push("last"));
    await vi.advanceTimersByTimeAsync(999);
    expect(log).toEqual(["never begins"]);
    await vi.advanceTimersByTimeAsync(1);
    expect(log.slice(1)).toEqual(["a failed: not done after 1000 ms; the next one goes ahead", "next begins"]);
    never.done();
    await settle();
    expect(log.at(-1)).toBe("never ends");
    next.done();
    await settle();
    expect(log.at(-1)).toBe("last");
  });

  it("holds the sender back at 64 waiting hooks, and lets it go on at 16", async () => {
    const gates = Array.from({ length: 66 }, (_, index) => slow(String(index)));
    for (const [index, gate] of gates.slice(0, 64).entries()) lane.run(String(index), gate.run);
    expect(log).not.toContain("hold");
    for (const gate of gates.slice(64)) lane.run("late", gate.run);
    expect(log.filter((line) => line === "hold")).toHaveLength(1);
    for (const gate of gates.slice(0, 48)) gate.done();
    await settle();
    expect(log).not.toContain("go on");
    for (const gate of gates.slice(48)) gate.done();
    await settle();
    expect(log.filter((line) => line === "go on")).toHaveLength(1);
    expect(lane.busy).toBe(false);
  });

  it("tells when it is idle", async () => {
    await lane.idle();
    const hook = slow("hook");
    lane.run("a", hook.run);
    void lane.idle().then(() => log.push("idle"));
    await settle();
    expect(log).not.toContain("idle");
    hook.done();
    await settle();
    expect(log.at(-1)).toBe("idle");
  });

  it("begins after the lane before it is done", async () => {
    const save = slow("save");
    lane.run("onLeave", save.run);
    const second = createLane(lane);
    second.run("onJoin", () => log.push("load"));
    await settle();
    expect(log).toEqual(["save begins"]);
    save.done();
    await settle();
    expect(log).toEqual(["save begins", "save ends", "load"]);
  });
});
