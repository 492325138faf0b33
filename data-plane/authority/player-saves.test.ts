import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { stepSession } from "../../protocol/handover/session.ts";
import { openSession, type SessionState } from "../../protocol/handover/session-state.ts";
import type { FromSession, ToSession } from "../../protocol/handover/messages.ts";
import { LogBook } from "../testing/test-cluster.ts";
import type { KeptPlayer, PlayerRecord } from "./player-record.ts";
import { PlayerSaves, type SavesOptions } from "./player-saves.ts";
import { decodePlayerState, encodePlayerState, maxSavedBytes } from "./player-state.ts";

const here = "here";
const elsewhere = "elsewhere";
const playerId = "p";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A player's session as the master steps it, and the way there: what is asked waits until the test lets it through. */
class Master {
  state: SessionState<Uint8Array> = { ...openSession<Uint8Array>(playerId), issued: 1_000 };
  readonly waiting: { readonly message: ToSession<Uint8Array>; dropped: boolean; readonly onGivenUp: () => void }[] =
    [];
  readonly #listeners: ((playerId: string, message: FromSession<Uint8Array>) => void)[] = [];

  readonly desk: SavesOptions<Body>["desk"] = {
    listen: (listener) => void this.#listeners.push(listener),
    ask: (_playerId, message, onGivenUp = () => undefined) => {
      const waiting = { message, dropped: false, onGivenUp };
      this.waiting.push(waiting);
      return { drop: () => void (waiting.dropped = true) };
    },
  };

  /** Everything that waits is asked, and answered. */
  answer(): void {
    for (const { message, dropped } of this.waiting.splice(0)) if (!dropped) this.say(here, message);
  }

  /** A cluster asks; if it is this one, it hears the answer. */
  say(clusterId: string, message: ToSession<Uint8Array>): void {
    if (message.type === "commit") throw new Error("not asked here");
    const { state, effects } = stepSession(this.state, { type: "request", clusterId, message });
    this.state = state;
    for (const effect of effects) {
      if (effect.type === "toCluster" && effect.clusterId === here) this.tell(effect.message);
    }
  }

  tell(message: FromSession<Uint8Array>): void {
    for (const listen of this.#listeners) listen(playerId, message);
  }

  get asked(): string[] {
    return this.waiting.filter(({ dropped }) => !dropped).map(({ message }) => message.type);
  }

  get saved(): string | undefined {
    const { save } = this.state;
    return save === undefined ? undefined : textOf(decodePlayerState(save.state).saved);
  }
}

class Body implements KeptPlayer {
  readonly id = playerId;
  seat: { generation: number };
  position = { x: 1, y: 2, z: 3, heading: 4 };
  connected = true;
  lane = { idle: async () => undefined };

  constructor(generation: number) {
    this.seat = { generation };
  }
}

function savesWith(options: Partial<SavesOptions<Body>> = {}) {
  const master = new Master();
  const log = new LogBook();
  const told: string[] = [];
  const counted: string[] = [];
  const bodies: Body[] = [];
  const saves = new PlayerSaves<Body>({
    desk: master.desk,
    nowMs: () => Date.now(),
    log,
    limits: { intervalMs: 1_000, lateMs: 60_000, maxLateBytes: 1_000_000 },
    entersAll: () => true,
    load: (body, read) => void told.push(`${body.seat.generation} loads ${textOf(read())}`),
    snapshot: ({ position }) => ({ placement: position, fragment: "north", values: {} }),
    fence: (_playerId, generation) => {
      for (const body of bodies) {
        if (!body.connected || body.seat.generation >= generation) continue;
        told.push(`${body.seat.generation} is closed`);
        leave(body);
      }
    },
    count: (outcome) => void counted.push(outcome),
    handovers: () => undefined,
    ...options,
  });
  /** Leaves, with what its last hook saves. */
  const leave = (body: Body, last?: string): void => {
    body.connected = false;
    saves.leaving(body);
    if (last !== undefined) keep(body, last);
    saves.left(body);
  };
  const keep = (body: Body, text: string): void => {
    void saves.save(body, Buffer.from(text)).then((outcome) => told.push(`${text} ${outcome}`));
  };
  const join = (record: PlayerRecord<Body>): Body => {
    const body = new Body(record.generation);
    bodies.push(body);
    saves.joined(record, body);
    return body;
  };
  return { master, log, told, counted, saves, join, leave, keep };
}

const textOf = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString();
const turn = async (): Promise<void> => void (await vi.advanceTimersByTimeAsync(0));

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

function requestOf(message: ToSession<Uint8Array>) {
  if (message.type === "commit") throw new Error("not asked here");
  return { type: "request", clusterId: here, message } as const;
}

function stateOf(text: string): Uint8Array {
  const placement = { x: 0, y: 0, z: 0, heading: 0 };
  const rest = { fragment: "", values: {}, carried: new Uint8Array(0), parts: new Map<string, Uint8Array>() };
  return encodePlayerState({ placement, saved: Buffer.from(text), ...rest });
}
