import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { endAlarm } from "../../control-plane/objects/alarm.ts";

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});

afterEach(() => {
  vi.useRealTimers();
});

/** An object whose alarm has come: none is set. */
function objectInItsAlarm() {
  let alarmAtMs: number | null = null;
  const background: Promise<void>[] = [];
  const scheduled: number[] = [];
  return {
    context: {
      storage: {
        getAlarm: async () => alarmAtMs,
        setAlarm: async (atMs: number) => void (alarmAtMs = atMs),
      },
      waitUntil: (work: Promise<void>) => void background.push(work),
    },
    schedule: async () => void scheduled.push(Date.now()),
    scheduled,
    alarmAtMs: () => alarmAtMs,
    settled: async () => Promise.all(background),
  };
}

describe("an alarm ends", () => {
  it("with its work, where that does not take long, and sets the next one once", async () => {
    const { context, schedule, scheduled, settled } = objectInItsAlarm();
    const { promise: work, resolve } = Promise.withResolvers<void>();
    const end = endAlarm(context, work, schedule);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(scheduled).toEqual([]);
    resolve();
    await end;
    await settled();
    expect(scheduled).toEqual([1_001_000]);
  });

  it("after a few seconds where its work hangs, and the next one is set anew when that is done", async () => {
    const { context, schedule, scheduled, settled } = objectInItsAlarm();
    const { promise: work, resolve } = Promise.withResolvers<void>();
    const end = endAlarm(context, work, schedule);
    await vi.advanceTimersByTimeAsync(10_000);
    await end;
    expect(scheduled).toEqual([1_005_000]);
    resolve();
    await settled();
    expect(scheduled).toEqual([1_005_000, 1_010_000]);
  });

  it("with what its work throws, where that does not take long", async () => {
    const { context, schedule, scheduled, alarmAtMs, settled } = objectInItsAlarm();
    await expect(endAlarm(context, Promise.reject(new Error("lost")), schedule)).rejects.toThrow("lost");
    await settled();
    expect([scheduled, alarmAtMs()]).toEqual([[], null]);
  });

  it.each(["its work", "setting the alarm"])(
    "and another comes within a minute where %s fails behind it",
    async (what) => {
      const { context, alarmAtMs, settled } = objectInItsAlarm();
      const { promise: work, resolve, reject } = Promise.withResolvers<void>();
      const schedule = vi.fn<() => Promise<void>>(async () => undefined);
      const end = endAlarm(context, work, schedule);
      await vi.advanceTimersByTimeAsync(10_000);
      await end;
      if (what === "its work") reject(new Error("lost"));
      else {
        schedule.mockRejectedValue(new Error("lost"));
        resolve();
      }
      await settled();
      expect(alarmAtMs()).toBe(1_070_000);
    },
  );

  it("and one that is set to come sooner stays, where its work fails behind it", async () => {
    const { context, schedule, alarmAtMs, settled } = objectInItsAlarm();
    const { promise: work, reject } = Promise.withResolvers<void>();
    const end = endAlarm(context, work, schedule);
    await vi.advanceTimersByTimeAsync(10_000);
    await end;
    await context.storage.setAlarm(1_015_000);
    reject(new Error("lost"));
    await settled();
    expect(alarmAtMs()).toBe(1_015_000);
  });
});
