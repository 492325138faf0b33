import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { stepSession } from "../../protocol/handover/session.ts";
import {
  type Body,
  elsewhere,
  here,
  playerId,
  requestOf,
  savesWith,
  stateOf,
  textOf,
  turn,
} from "./testing/saving-player.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("[HAND-10] a player that joins again on the same cluster", () => {
  it("goes on from what its session before has left, saved or not, and saves that", async () => {
    const { master, saves, told, join, leave } = savesWith();
    const older = join(saves.begin(playerId, 1));
    master.answer();
    const record = saves.begin(playerId, 2);
    master.answer();
    // As the older session is replaced, its last hook saves.
    leave(older, "last");
    const newer = join(record);
    await turn();
    expect(told).toEqual(["1 loads undefined", "2 loads last"]);
    master.answer();
    await turn();
    expect([told.at(-1), master.saved, master.state.save?.generation]).toEqual(["last saved", "last", 2]);
    expect(textOf(saves.pack(newer))).toBe("last");
    await saves.settled();
  });

  it("does so also when the older one's save is fenced off on its way", async () => {
    const { master, saves, told, join, keep } = savesWith();
    const older = join(saves.begin(playerId, 1));
    master.answer();
    keep(older, "on its way");
    const record = saves.begin(playerId, 2);
    // The entry overtakes the save.
    master.waiting.reverse();
    master.answer();
    join(record);
    master.answer();
    await turn();
    expect(told).toEqual(["1 loads undefined", "1 is closed", "2 loads on its way", "on its way saved"]);
  });

  it("saves on when the answer to the older one's save comes late", async () => {
    const { master, saves, told, join, keep } = savesWith();
    const older = join(saves.begin(playerId, 1));
    master.answer();
    keep(older, "older");
    const record = saves.begin(playerId, 2);
    const [late] = master.waiting.splice(0, 1);
    master.answer();
    keep(join(record), "newer");
    if (late !== undefined) master.say(here, late.message);
    master.answer();
    await vi.advanceTimersByTimeAsync(1_000);
    master.answer();
    await turn();
    expect([told.at(-1), master.saved]).toEqual(["newer saved", "newer"]);
  });

  it("goes on from the save when somebody else had it in between", async () => {
    const { master, saves, told, join, keep } = savesWith();
    const older = join(saves.begin(playerId, 1));
    master.answer();
    keep(older, "forked");
    master.waiting.length = 0;
    master.state = {
      ...master.state,
      generation: 2,
      holder: elsewhere,
      save: { generation: 2, version: 1, state: stateOf("theirs") },
    };
    const record = saves.begin(playerId, 3);
    master.answer();
    await turn();
    expect(told).toEqual(["1 loads undefined", "1 is closed", "forked superseded"]);
    join(record);
    expect(told.at(-1)).toBe("3 loads theirs");
  });

  it("has one entry asked at a time, and knows by each answer who had it last", async () => {
    const { master, saves, told, join, keep } = savesWith();
    const older = join(saves.begin(playerId, 1));
    master.answer();
    keep(older, "last");
    master.waiting.length = 0;
    saves.abandon(saves.begin(playerId, 2), (body) => void (body.seat = { generation: 2 }));
    const record = saves.begin(playerId, 3);
    expect(master.asked).toEqual(["enter"]);
    // It has been taken, and its answer is lost.
    const [question] = master.waiting;
    if (question !== undefined) master.state = stepSession(master.state, requestOf(question.message)).state;
    expect(master.state.generation).toBe(2);
    master.answer();
    expect([record.phase, master.asked]).toEqual(["entering", ["enter"]]);
    master.answer();
    expect(master.state.generation).toBe(3);
    join(record);
    master.answer();
    await turn();
    expect([told.at(-1), master.saved]).toEqual(["last saved", "last"]);
  });

  it("asks for the newest ticket of those that wait, and for none before it any more: these do not get in", () => {
    const { master, saves } = savesWith();
    const records = [1, 2, 3].map((generation) => saves.begin(playerId, generation));
    master.answer();
    master.answer();
    expect([records.map(({ phase }) => phase), master.state.generation]).toEqual([
      ["entered", "superseded", "entered"],
      3,
    ]);
  });
});

describe("[HAND-23] a join that comes to nothing", () => {
  const goOnAs =
    (generation: number) =>
    (body: Body): void => {
      body.seat = { generation };
    };

  it("leaves the session before in the game, and what it has not saved is saved by the new authority", async () => {
    const { master, saves, told, join, keep } = savesWith();
    const older = join(saves.begin(playerId, 1));
    master.answer();
    keep(older, "on its way");
    const record = saves.begin(playerId, 2);
    const [save] = master.waiting.splice(0, 1);
    master.answer();
    saves.abandon(record, goOnAs(2));
    if (save !== undefined) master.say(here, save.message);
    master.answer();
    await turn();
    keep(older, "later");
    await vi.advanceTimersByTimeAsync(1_000);
    master.answer();
    await turn();
    expect(told).toEqual(["1 loads undefined", "on its way saved", "later saved"]);
    expect(master.saved).toBe("later");
    expect(master.state).toMatchObject({ generation: 2, holder: here, save: { generation: 2 } });
  });

  it("does so also when that is answered later: it may have been taken", async () => {
    const { master, saves, told, join, keep } = savesWith();
    const older = join(saves.begin(playerId, 1));
    master.answer();
    saves.abandon(saves.begin(playerId, 2), goOnAs(2));
    expect([master.asked, saves.enteringOf(playerId)]).toEqual([["enter"], 2]);
    keep(older, "kept");
    master.answer();
    await vi.advanceTimersByTimeAsync(1_000);
    master.answer();
    await turn();
    expect([told.at(-1), master.saved, saves.enteringOf(playerId)]).toEqual(["kept saved", "kept", undefined]);
  });

  it.each(["before the join", "before the answer", "after the answer"])(
    "saves what the session before leaves when it ends %s",
    async (when) => {
      const { master, saves, told, join, leave } = savesWith();
      const older = join(saves.begin(playerId, 1));
      master.answer();
      master.waiting.length = 0;
      if (when === "before the join") leave(older, "last");
      await turn();
      const record = saves.begin(playerId, 2);
      if (when === "before the answer") leave(older, "last");
      await turn();
      // The save of the older one comes behind the entry.
      master.waiting.sort((a, b) => a.message.type.localeCompare(b.message.type));
      master.answer();
      if (when === "after the answer") leave(older, "last");
      saves.abandon(record, goOnAs(2));
      await turn();
      master.answer();
      await turn();
      expect([told.at(-1), master.saved, master.state.save?.generation]).toEqual(["last saved", "last", 2]);
      await saves.settled();
    },
  );

  it("ends the session before when somebody else had it in between", async () => {
    const { master, saves, told, join } = savesWith();
    join(saves.begin(playerId, 1));
    master.answer();
    saves.abandon(saves.begin(playerId, 3), goOnAs(3));
    master.state = { ...master.state, generation: 2, holder: elsewhere };
    master.answer();
    await turn();
    expect(told).toEqual(["1 loads undefined", "1 is closed"]);
  });

  it("can be tried again with the same ticket until it is answered", async () => {
    const { master, saves, told, join, keep } = savesWith();
    const older = join(saves.begin(playerId, 1));
    master.answer();
    keep(older, "kept");
    const [save] = master.waiting.splice(0);
    saves.abandon(saves.begin(playerId, 2), goOnAs(2));
    const [entry] = master.waiting;
    if (entry !== undefined) master.state = stepSession(master.state, requestOf(entry.message)).state;
    const again = saves.begin(playerId, 2);
    if (save !== undefined) master.say(here, save.message);
    master.answer();
    join(again);
    master.answer();
    await turn();
    expect(told).toEqual(["1 loads undefined", "2 loads kept", "kept saved"]);
  });

  it("ends who has come by a ticket from before it meanwhile", async () => {
    const { master, saves, told, join, leave } = savesWith();
    const older = join(saves.begin(playerId, 1));
    master.answer();
    saves.abandon(saves.begin(playerId, 3), goOnAs(3));
    const record = saves.begin(playerId, 2);
    leave(older, "last");
    join(record);
    for (let answers = 0; answers < 3; answers += 1) {
      master.answer();
      await turn();
    }
    expect([told.at(-1), master.saved, saves.enteringOf(playerId)]).toEqual(["last saved", "last", undefined]);
    expect(told).toContain("2 is closed");
    expect(record.phase).toBe("superseded");
  });

  it("asks for nothing any more where nobody was here before", () => {
    const { master, saves } = savesWith();
    saves.abandon(saves.begin(playerId, 3), goOnAs(3));
    expect([master.asked, saves.enteringOf(playerId)]).toEqual([[], undefined]);
  });

  it("leaves the session before alone when the master does not take the question", () => {
    const { master, saves, told, join } = savesWith();
    join(saves.begin(playerId, 1));
    master.answer();
    saves.abandon(saves.begin(playerId, 2), goOnAs(2));
    master.waiting[0]?.onGivenUp();
    expect([told, saves.enteringOf(playerId)]).toEqual([["1 loads undefined"], undefined]);
  });
});

it("[HAND-10] ignores word of a newer session that is the one that enters", () => {
  const { master, saves, told, join } = savesWith();
  join(saves.begin(playerId, 1));
  master.answer();
  const record = saves.begin(playerId, 2);
  master.tell({ type: "fence", playerId, generation: 2 });
  expect([told, record.phase]).toEqual([["1 loads undefined"], "entering"]);
  master.tell({ type: "fence", playerId, generation: 3 });
  expect([told.at(-1), record.phase]).toEqual(["1 is closed", "superseded"]);
});
