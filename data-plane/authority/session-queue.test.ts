import { describe, expect, it } from "vitest";
import type { FromSession, ToSession } from "../../protocol/handover/messages.ts";
import { isAnswer, SessionQueue } from "./session-queue.ts";

function queueAt(options: { maxSayings?: number } = {}) {
  const clock = { ms: 0 };
  return { clock, queue: new SessionQueue({ nowMs: () => clock.ms, random: () => 1, ...options }) };
}

const enter = (playerId: string, generation = 1) => ({ playerId, message: { type: "enter" as const, generation } });
const save = (playerId: string, version: number, length = 4) => ({
  playerId,
  message: { type: "save" as const, generation: 1, version, state: new Uint8Array((length * 3) / 4) },
});
const forever = Number.POSITIVE_INFINITY;

describe("a call", () => {
  it("takes 32 at most, in the order in which they came, each once", () => {
    const { queue } = queueAt();
    for (let at = 0; at < 40; at += 1) queue.add(enter(`p${at}`), true, forever);
    expect(queue.take().map(({ playerId }) => playerId)).toEqual(Array.from({ length: 32 }, (_, at) => `p${at}`));
    expect(queue.take()).toHaveLength(8);
    expect(queue.take()).toEqual([]);
  });

  it("is no longer than the master takes, but for one message that is so by itself", () => {
    const { queue } = queueAt();
    const million = 1_024 * 1_024;
    for (let at = 0; at < 5; at += 1) queue.add(save(`p${at}`, 1, 1.5 * million), true, forever);
    queue.add(save("long", 1, 6 * million), true, forever);
    expect([queue.take().length, queue.take().length, queue.take().length, queue.take().length]).toEqual([2, 2, 1, 1]);
  });

  it("that is refused is tried again one by one, until the one is found that is not right", () => {
    const { queue } = queueAt();
    let givenUp = 0;
    queue.add(enter("a"), true, forever);
    queue.add(enter("b"), true, forever, () => (givenUp += 1));
    expect(queue.refused(queue.take())).toEqual([]);
    expect(queue.take().map(({ playerId }) => playerId)).toEqual(["a"]);
    const second = queue.take();
    expect(second.map(({ playerId }) => playerId)).toEqual(["b"]);
    expect(queue.refused(second)).toEqual(second);
    expect([queue.size, givenUp]).toEqual([1, 1]);
  });
});

describe("what is asked until it is answered", () => {
  it("is asked again after twice the time each, up to 30 s", () => {
    const { clock, queue } = queueAt();
    queue.add(enter("a"), true, forever);
    const waits: (number | undefined)[] = [];
    for (let round = 0; round < 7; round += 1) {
      const [saying] = queue.take();
      if (saying !== undefined) queue.taken(saying);
      expect(queue.take()).toEqual([]);
      waits.push(queue.waitMs());
      clock.ms += queue.waitMs() ?? 0;
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    queue.hear("a", { type: "entered", playerId: "a", generation: 1, previousGeneration: 0 });
    expect([queue.size, queue.waitMs()]).toEqual([0, undefined]);
  });

  it("is due at once when the call did not go well, and when the master is back", () => {
    const { queue } = queueAt();
    queue.add(enter("a"), true, forever);
    for (const saying of queue.take()) queue.lost(saying);
    for (const saying of queue.take()) queue.taken(saying);
    expect(queue.take()).toEqual([]);
    queue.hurry();
    expect(queue.take()).toHaveLength(1);
  });

  it("may be answered while it is on its way, also over the link", () => {
    const { queue } = queueAt();
    queue.add(save("a", 1), true, forever);
    const batch = queue.take();
    queue.hear("a", { type: "saved", playerId: "a", generation: 1, version: 1 });
    for (const saying of batch) queue.taken(saying);
    expect([queue.size, queue.waitMs()]).toEqual([0, undefined]);
  });
});

describe("what is only told", () => {
  it("is over once it has arrived, and is tried for so long", () => {
    const { clock, queue } = queueAt();
    queue.add(enter("a"), false, 2_000);
    for (const saying of queue.take()) queue.taken(saying);
    expect(queue.size).toBe(0);
    queue.add(enter("b"), false, 2_000);
    for (const saying of queue.take()) queue.lost(saying);
    clock.ms = 1_999;
    for (const saying of queue.take()) queue.lost(saying);
    clock.ms = 2_000;
    expect(queue.take()).toEqual([]);
    expect(queue.size).toBe(0);
  });
});

it("refuses what is too much, and forgets nothing for it", () => {
  const { queue } = queueAt({ maxSayings: 2 });
  expect(queue.add(enter("a"), true, forever)).toBeDefined();
  expect(queue.add(enter("b"), true, forever)).toBeDefined();
  expect(queue.add(enter("c"), true, forever)).toBeUndefined();
  expect(queue.take()).toHaveLength(2);
});

describe("an answer", () => {
  const playerId = "p";
  const enters: ToSession<unknown> = { type: "enter", generation: 5 };
  const saves: ToSession<unknown> = { type: "save", generation: 5, version: 3, state: "" };
  it.each<[string, boolean, ToSession<unknown>, FromSession<unknown>]>([
    ["entered", true, enters, { type: "entered", playerId, generation: 5, previousGeneration: 4 }],
    ["entered of another ticket", false, enters, { type: "entered", playerId, generation: 4, previousGeneration: 0 }],
    ["superseded", true, enters, { type: "superseded", playerId, generation: 5 }],
    ["a fence of this very entry", false, enters, { type: "fence", playerId, generation: 5 }],
    ["a newer fence", true, enters, { type: "fence", playerId, generation: 6 }],
    ["saved", true, saves, { type: "saved", playerId, generation: 5, version: 3 }],
    ["saved of a newer version", true, saves, { type: "saved", playerId, generation: 5, version: 4 }],
    ["saved of an older version", false, saves, { type: "saved", playerId, generation: 5, version: 2 }],
    ["save later", false, saves, { type: "saveLater", playerId, generation: 5 }],
    ["a fence", true, saves, { type: "fence", playerId, generation: 6 }],
    ["a fence of this very generation", false, saves, { type: "fence", playerId, generation: 5 }],
    ["an older fence", false, saves, { type: "fence", playerId, generation: 4 }],
  ])("%s: %s", (_what, expected, asked, message) => {
    expect(isAnswer(asked, message)).toBe(expected);
  });
});
