import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { stepSession } from "../../protocol/handover/session.ts";
import { decodePlayerState, maxSavedBytes } from "./player-state.ts";
import { Body, elsewhere, playerId, savesWith, stateOf, textOf, turn } from "./testing/saving-player.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("a player that joins", () => {
  it("[HAND-3] is asked about, and has what was saved before it is in the game", async () => {
    const { master, saves, told, join, keep } = savesWith();
    const first = join(saves.begin(playerId, 1));
    master.answer();
    keep(first, "gold");
    master.answer();
    await turn();
    expect(told).toEqual(["1 loads undefined", "gold saved"]);
    const record = saves.begin(playerId, 2);
    const ready = saves.ready(record, 1_500);
    master.answer();
    await ready;
    expect(record.placement).toEqual({ x: 1, y: 2, z: 3, heading: 4 });
    join(record);
    expect(told.at(-1)).toBe("2 loads gold");
  });

  it("waits no longer than it may, and not at all where nobody loads", async () => {
    const { saves } = savesWith();
    let isReady = false;
    void saves.ready(saves.begin(playerId, 1), 1_500)?.then(() => (isReady = true));
    await vi.advanceTimersByTimeAsync(1_499);
    expect(isReady).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(isReady).toBe(true);
    const without = savesWith({ load: undefined });
    expect(without.saves.ready(without.saves.begin(playerId, 1), 1_500)).toBeUndefined();
  });

  it("[HAND-10] [HAND-16] that joins while the master is away is told what was saved when it is back; nothing is overwritten unread", async () => {
    const { master, saves, told, join, keep } = savesWith();
    master.state = { ...master.state, save: { generation: 0, version: 1, state: stateOf("old") } };
    const body = join(saves.begin(playerId, 1));
    keep(body, "too early");
    await turn();
    expect([told, master.asked]).toEqual([[], ["enter"]]);
    master.answer();
    keep(body, "merged");
    master.answer();
    await turn();
    expect(told).toEqual(["1 loads old", "too early unsaved", "merged saved"]);
    expect(master.saved).toBe("merged");
  });

  it("keeps what it saved meanwhile where nothing had been saved", async () => {
    const { master, saves, told, join, keep } = savesWith();
    keep(join(saves.begin(playerId, 1)), "first");
    master.answer();
    master.answer();
    await turn();
    expect(told).toEqual(["1 loads undefined", "first saved"]);
  });

  it("is not asked about where nothing asks for it, until it is saved", async () => {
    const { master, saves, told, join, keep } = savesWith({ load: undefined, entersAll: () => false });
    const body = join(saves.begin(playerId, 1));
    expect(master.asked).toEqual([]);
    keep(body, "gold");
    master.answer();
    master.answer();
    await turn();
    expect([told, master.saved]).toEqual([["gold saved"], "gold"]);
  });

  it("[SEC-77] plays on without, where what was saved cannot be read, and that stays as it is", async () => {
    const { master, saves, told, log, join, keep, leave } = savesWith();
    const state = Uint8Array.of(99);
    master.state = { ...master.state, save: { generation: 0, version: 1, state } };
    const body = join(saves.begin(playerId, 1));
    keep(body, "early");
    master.answer();
    await turn();
    expect(told).toEqual(["early unsaved"]);
    const record = saves.begin(playerId, 2);
    master.answer();
    const again = join(record);
    keep(again, "fresh");
    leave(again);
    await turn();
    master.answer();
    expect(told).toEqual(["early unsaved", "1 is closed", "fresh unsaved"]);
    expect(master.state.save?.state).toBe(state);
    expect(log.lines.map(({ fields }) => fields["event"])).toEqual(["save-unreadable", "save-unreadable"]);
  });
});

describe("a save", () => {
  it("[HAND-8] is refused to a session that a newer one has left behind, which has to go", async () => {
    const { master, saves, told, join, keep } = savesWith();
    const body = join(saves.begin(playerId, 1));
    master.answer();
    master.say(elsewhere, { type: "enter", generation: 2 });
    keep(body, "late");
    await turn();
    expect(told).toEqual(["1 loads undefined", "1 is closed", "late superseded"]);
    master.answer();
    expect(master.state.save).toBeUndefined();
  });

  it("that is on its way when a newer session enters elsewhere is told so", async () => {
    const { master, saves, told, join, keep } = savesWith();
    const body = join(saves.begin(playerId, 1));
    master.answer();
    keep(body, "late");
    // The fence is lost on its way.
    master.state = stepSession(master.state, {
      type: "request",
      clusterId: elsewhere,
      message: { type: "enter", generation: 2 },
    }).state;
    master.answer();
    await turn();
    expect(told).toEqual(["1 loads undefined", "1 is closed", "late superseded"]);
  });

  it("goes on under the generation that an abort of a handover has given", async () => {
    const { master, saves, told, join, keep } = savesWith();
    const body = join(saves.begin(playerId, 1));
    master.answer();
    keep(body, "moving");
    master.state = { ...master.state, generation: 3 };
    body.seat = { generation: 3 };
    master.answer();
    await turn();
    expect([told, master.asked]).toEqual([["1 loads undefined"], []]);
    await vi.advanceTimersByTimeAsync(1_000);
    master.answer();
    await turn();
    expect([told.at(-1), master.state.save?.generation]).toEqual(["moving saved", 3]);
  });

  it("waits while a handover decides about the player, and fences are for that to understand", async () => {
    let governed = true;
    const handovers = { governs: () => governed, cancel: () => undefined, newest: () => undefined };
    const { master, saves, told, join, keep } = savesWith({ handovers: () => handovers });
    const body = join(saves.begin(playerId, 1));
    master.answer();
    keep(body, "a");
    master.tell({ type: "fence", playerId, generation: 2 });
    expect([master.asked, told]).toEqual([[], ["1 loads undefined"]]);
    governed = false;
    await vi.advanceTimersByTimeAsync(250);
    expect(master.asked).toEqual(["save"]);
  });

  it("is at most so long, and is of a player that is here", async () => {
    const { saves, join } = savesWith();
    const body = join(saves.begin(playerId, 1));
    expect(() => saves.save(body, new Uint8Array(maxSavedBytes + 1))).toThrow(RangeError);
    expect(await saves.save(new Body(1), new Uint8Array(1))).toBe("unsaved");
  });
});

describe("a player that leaves", () => {
  it("is saved with what its last hook gives and where it stood, at once", async () => {
    const { master, saves, told, join, keep, leave } = savesWith();
    const body = join(saves.begin(playerId, 1));
    master.answer();
    keep(body, "before");
    master.answer();
    body.position = { x: 7, y: 0, z: 0, heading: 0 };
    leave(body, "last");
    await turn();
    let settled = false;
    void saves.settled().then(() => (settled = true));
    await turn();
    expect(settled).toBe(false);
    master.answer();
    await turn();
    expect([told.at(-1), settled]).toEqual(["last saved", true]);
    expect(decodePlayerState(master.state.save?.state ?? new Uint8Array(0))).toMatchObject({
      placement: { x: 7 },
      fragment: "north",
      saved: Uint8Array.from(Buffer.from("last")),
    });
  });

  it("is saved where it stood also when the game saves nothing", async () => {
    const { master, saves, counted, join, leave } = savesWith();
    const body = join(saves.begin(playerId, 1));
    master.answer();
    leave(body);
    await turn();
    master.answer();
    expect([master.saved, counted]).toEqual([undefined, ["saved"]]);
    expect(master.state.save).toBeDefined();
  });

  it("is saved when the master is back, and given up after a while", async () => {
    const { master, saves, told, join, leave } = savesWith();
    const body = join(saves.begin(playerId, 1));
    leave(body, "kept");
    await vi.advanceTimersByTimeAsync(59_000);
    master.answer();
    master.answer();
    await turn();
    expect([told, master.saved]).toEqual([["kept saved"], "kept"]);
    const next = join(saves.begin(playerId, 2));
    leave(next, "lost");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(told.at(-1)).toBe("lost unsaved");
    expect(master.asked).toEqual([]);
    await saves.settled();
  });

  it("and many others leave no more to be saved than is allowed: the oldest is given up", async () => {
    const limits = { intervalMs: 0, lateMs: 60_000, maxLateBytes: 150 };
    const { saves, told, join, leave } = savesWith({ limits });
    leave(join(saves.begin(playerId, 1)), "x".repeat(60));
    await turn();
    expect(told).toEqual([]);
    leave(join(saves.begin(playerId, 2)), "y".repeat(60));
    await turn();
    expect(told).toEqual([`${"x".repeat(60)} unsaved`]);
  });
});

describe("a handover", () => {
  it("brings what was saved, and takes it away with all that was to be saved", async () => {
    const { master, saves, told, keep } = savesWith();
    const body = new Body(5);
    saves.take(body, Buffer.from("brought"));
    expect(textOf(saves.pack(body))).toBe("brought");
    keep(body, "changed");
    keep(body, "again");
    expect(master.asked).toEqual(["save"]);
    expect([saves.isEntered(body), saves.enteringOf(playerId)]).toEqual([true, undefined]);
    expect(textOf(saves.pack(body))).toBe("again");
    keep(body, "while it stands still");
    expect(textOf(saves.moved(body))).toBe("while it stands still");
    await turn();
    expect([told, master.asked]).toEqual([["changed saved", "again saved", "while it stands still unsaved"], []]);
    expect(saves.pack(body)).toBeUndefined();
    await saves.settled();
  });

  it("comes to nothing where a newer session has the player: then nothing of it is saved", async () => {
    const { master, saves, told, keep } = savesWith();
    const body = new Body(5);
    saves.take(body, undefined);
    keep(body, "kept");
    saves.pack(body);
    saves.overtaken(body);
    await turn();
    expect([told, master.asked, saves.goneWith(playerId, 5)]).toEqual([["kept superseded"], [], undefined]);
    await saves.settled();
  });
});
