import { describe, expect, it, vi } from "vitest";
import { backoffMs, systemClock, wait, withDeadline } from "./clock.ts";
import { ManualClock, settle } from "./testing/manual-clock.ts";

describe("withDeadline", () => {
  it("gives the result and leaves no timer behind", async () => {
    const clock = new ManualClock();
    await expect(withDeadline(clock, 100, "it", async () => 5)).resolves.toBe(5);
    expect(clock.pending).toBe(0);
  });

  it("passes a failure on and leaves no timer behind", async () => {
    const clock = new ManualClock();
    const run = withDeadline(clock, 100, "it", async () => {
      throw new RangeError("own");
    });
    await expect(run).rejects.toThrow(RangeError);
    expect(clock.pending).toBe(0);
  });

  it("ends just at the deadline, not before, and tells the task", async () => {
    const clock = new ManualClock();
    let signal: AbortSignal | undefined;
    const outcome = vi.fn<(error: unknown) => void>();
    const run = withDeadline(clock, 100, "the task", (given) => {
      signal = given;
      return new Promise(() => undefined);
    });
    run.catch(outcome);
    await clock.advance(99);
    expect(outcome).not.toHaveBeenCalled();
    expect(signal?.aborted).toBe(false);
    await clock.advance(1);
    expect(outcome).toHaveBeenCalledWith(expect.objectContaining({ code: "TIMEOUT", advice: "retry" }));
    expect(signal?.aborted).toBe(true);
  });

  it("ends when its parent is called off, before or during", async () => {
    const clock = new ManualClock();
    const parent = new AbortController();
    const task = vi.fn<() => Promise<never>>(() => new Promise(() => undefined));
    const during = withDeadline(clock, 100, "it", task, parent.signal);
    parent.abort();
    await expect(during).rejects.toMatchObject({ code: "CLOSED" });
    await expect(withDeadline(clock, 100, "it", task, parent.signal)).rejects.toMatchObject({ code: "CLOSED" });
    expect(task).toHaveBeenCalledTimes(1);
    expect(clock.pending).toBe(0);
  });
});

describe("wait", () => {
  it("waits as long as it is told, and leaves no timer behind when it is called off", async () => {
    const clock = new ManualClock();
    const abort = new AbortController();
    const first = vi.fn<() => void>();
    void wait(clock, 50).then(first);
    const second = wait(clock, 50, abort.signal);
    await clock.advance(49);
    expect(first).not.toHaveBeenCalled();
    abort.abort();
    await expect(second).rejects.toMatchObject({ code: "CLOSED" });
    await expect(wait(clock, 50, abort.signal)).rejects.toMatchObject({ code: "CLOSED" });
    expect(clock.pending).toBe(1);
    await clock.advance(1);
    expect(first).toHaveBeenCalledOnce();
  });
});

describe("backoffMs", () => {
  const limits = { baseMs: 100, maxMs: 1_000 };

  it("grows twofold up to its maximum", () => {
    const full = [1, 2, 3, 4, 5, 6, 60].map((attempt) => backoffMs(attempt, limits, () => 0.999_999));
    expect(full.map(Math.round)).toEqual([100, 200, 400, 800, 1_000, 1_000, 1_000]);
  });

  it("is random in its upper half", () => {
    expect(backoffMs(3, limits, () => 0)).toBe(200);
    expect(backoffMs(3, limits, () => 0.5)).toBe(300);
  });
});

describe("systemClock", () => {
  it("fires once, and not after it was called off", async () => {
    const fired = vi.fn<() => void>();
    const cancelled = vi.fn<() => void>();
    systemClock.after(0, cancelled)();
    await new Promise<void>((resolve) => systemClock.after(1, () => (fired(), resolve())));
    await settle();
    expect(fired).toHaveBeenCalledOnce();
    expect(cancelled).not.toHaveBeenCalled();
  });

  it("does not fire at once what is further away than a timer reaches", async () => {
    const fired = vi.fn<() => void>();
    const cancel = systemClock.after(2 ** 40, fired);
    await new Promise((resolve) => setTimeout(resolve, 5));
    cancel();
    expect(fired).not.toHaveBeenCalled();
  });
});
