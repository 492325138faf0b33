import { describe, expect, it } from "vitest";
import { Wakeup } from "./wakeup.ts";

function createFixture(setBefore: number | null = null) {
  const calls: string[] = [];
  const alarm = { atMs: setBefore, fails: false };
  const wakeup = new Wakeup({
    getAlarm: async () => {
      calls.push("get");
      return alarm.atMs;
    },
    setAlarm: async (atMs) => {
      calls.push("set");
      if (alarm.fails) throw new Error("not stored");
      alarm.atMs = atMs;
    },
  });
  return { wakeup, alarm, calls };
}

describe("Wakeup", () => {
  it("sets the alarm to the earliest time, and asks nothing as long as it comes early enough", async () => {
    const { wakeup, alarm, calls } = createFixture();
    await wakeup.by([30, undefined, 20]);
    expect(alarm.atMs).toBe(20);
    await wakeup.by([20, 25]);
    expect(calls).toEqual(["get", "set"]);
    await wakeup.by([10]);
    expect(alarm.atMs).toBe(10);
  });

  it("leaves an alarm that was set before, when it comes early enough", async () => {
    const { wakeup, alarm, calls } = createFixture(5);
    expect(wakeup.isSet).toBe(false);
    await wakeup.by([10]);
    expect(wakeup.isSet).toBe(true);
    expect(alarm.atMs).toBe(5);
    expect(calls).toEqual(["get"]);
  });

  it("sets none where nothing is due", async () => {
    const { wakeup, calls } = createFixture();
    await wakeup.by([undefined]);
    await wakeup.by([]);
    expect(calls).toEqual([]);
  });

  it("keeps the earlier of two that are wanted at the same time", async () => {
    const { wakeup, alarm } = createFixture();
    await Promise.all([wakeup.by([10]), wakeup.by([20])]);
    expect(alarm.atMs).toBe(10);
  });

  it("looks again after it has come, and after it could not be stored", async () => {
    const { wakeup, alarm } = createFixture();
    await wakeup.by([10]);
    alarm.atMs = null;
    wakeup.forget();
    await wakeup.by([50]);
    expect(alarm.atMs).toBe(50);
    alarm.fails = true;
    await expect(wakeup.by([40])).rejects.toThrow("not stored");
    alarm.fails = false;
    await wakeup.by([45]);
    expect(alarm.atMs).toBe(45);
  });
});
