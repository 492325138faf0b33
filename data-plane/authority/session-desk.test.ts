import { afterEach, describe, expect, it } from "vitest";
import { MasterError } from "../master-link/master-client.ts";
import { LogBook } from "../testing/test-cluster.ts";
import { until } from "../testing/until.ts";
import { SessionDesk, type SessionDeskOptions } from "./session-desk.ts";
import type { SessionAnswer, SessionRequest } from "./session-wire.ts";

let desk: SessionDesk | undefined;

afterEach(() => desk?.stop());

/** A desk whose calls a test answers. */
function deskWith(options: Partial<SessionDeskOptions> = {}) {
  const log = new LogBook();
  const heard: string[] = [];
  const calls: (readonly SessionRequest[])[] = [];
  const master = { answer: answerAll };
  const made = new SessionDesk({
    call: async (requests) => {
      calls.push(requests);
      return master.answer(requests);
    },
    nowMs: () => performance.now(),
    random: () => 0.5,
    log,
    retryMs: [5, 20],
    ...options,
  });
  desk = made;
  made.listen((playerId, message) => heard.push(`${playerId} ${message.type}`));
  return { desk: made, log, heard, calls, master };
}

async function answerAll(requests: readonly SessionRequest[]): Promise<readonly SessionAnswer[]> {
  return requests.map(({ playerId, message }) => ({
    playerId,
    messages:
      message.type === "enter"
        ? [{ type: "entered", playerId, generation: message.generation, previousGeneration: 0 }]
        : message.type === "save"
          ? [{ type: "saved", playerId, generation: message.generation, version: message.version }]
          : [],
  }));
}

async function away(): Promise<never> {
  throw new MasterError("nothing listens there", 0, undefined);
}

const enter = { type: "enter", generation: 1 } as const;

describe("what is asked", () => {
  it("together travels together, and everybody hears what is answered", async () => {
    const { desk: made, heard, calls } = deskWith();
    for (let at = 0; at < 40; at += 1) made.ask(`p${at}`, enter);
    await until("the answers", () => heard.length === 40);
    expect(calls.map(({ length }) => length)).toEqual([32, 8]);
    expect(made.size).toBe(0);
  });

  it("waits while the master is away, is asked by one call at a time, and is answered when it is back; said once", async () => {
    const { desk: made, heard, calls, master, log } = deskWith();
    master.answer = away;
    for (let at = 0; at < 100; at += 1) made.ask(`p${at}`, enter);
    await until("some tries", () => calls.length > 6);
    expect([made.size, heard.length]).toEqual([100, 0]);
    master.answer = answerAll;
    await until("the answers", () => heard.length === 100);
    expect(log.lines.map(({ fields }) => fields["event"])).toEqual(["sessions-away", "sessions-back"]);
  });

  it("is answered later, over the link", async () => {
    const { desk: made, heard, calls, master } = deskWith();
    master.answer = async (requests) => requests.map(({ playerId }) => ({ playerId, messages: [] }));
    made.ask("p", enter);
    await until("the question", () => calls.length === 1);
    expect(made.size).toBe(1);
    made.hear("p", { type: "entered", playerId: "p", generation: 1, previousGeneration: 0 });
    expect([heard, made.size]).toEqual([["p entered"], 0]);
  });

  it("is asked again at once when there is a registration; dropped, not at all", async () => {
    const { desk: made, heard, calls, master } = deskWith();
    master.answer = async (requests) => requests.map(({ playerId }) => ({ playerId, messages: [], failed: true }));
    made.ask("a", enter);
    const other = made.ask("b", enter);
    await until("the question", () => calls.length === 1);
    master.answer = answerAll;
    other?.drop();
    made.hurry();
    await until("the answer", () => heard.length === 1);
    expect(heard).toEqual(["a entered"]);
  });

  it("is asked again at once when there is something that the master has made since it was away", async () => {
    let nowMs = 100_000;
    const { desk: made, heard, calls, master, log } = deskWith({ nowMs: () => nowMs, retryMs: [60_000, 60_000] });
    master.answer = away;
    made.ask("p", enter);
    await until("the try", () => log.lines.length === 1);
    master.answer = answerAll;
    nowMs += 10_000;
    made.noteSign(12_000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(calls, "what is older says nothing").toHaveLength(1);
    made.noteSign(9_000);
    await until("the answer", () => heard.length === 1);
  });

  it("is given up when the master does not take it, and takes nothing else along", async () => {
    const { desk: made, heard, master, log } = deskWith();
    master.answer = async (requests) => {
      if (requests.some(({ playerId }) => playerId === "bad"))
        throw new MasterError("no", 422, { code: "INVALID_FIELD" });
      return answerAll(requests);
    };
    let givenUp = false;
    made.ask("a", enter);
    made.ask("bad", enter, () => (givenUp = true));
    made.ask("b", enter);
    await until("the answers", () => heard.length === 2 && givenUp);
    expect([heard.toSorted(), made.size]).toEqual([["a entered", "b entered"], 0]);
    expect(log.lines.map(({ fields }) => fields["code"])).toEqual(["INVALID_FIELD"]);
  });
});

it("carries states as bytes, and says when too much waits", async () => {
  const { desk: made, calls } = deskWith({ maxSayings: 1 });
  const state = Uint8Array.of(0, 255);
  expect(made.tell("p", { type: "save", generation: 1, version: 1, state })).toBe(true);
  expect(made.tell("q", enter)).toBe(false);
  expect(made.ask("q", enter)).toBeUndefined();
  await until("the call", () => calls.length === 1);
  expect(calls[0]?.[0]?.message).toEqual({ type: "save", generation: 1, version: 1, state: "AP8=" });
  const saves: unknown[] = [];
  made.listen((_, message) => saves.push(message));
  const save = { generation: 1, version: 1, state: "AP8=" };
  made.hear("p", { type: "entered", playerId: "p", generation: 2, previousGeneration: 1, save });
  expect(saves).toMatchObject([{ save: { state: Uint8Array.of(0, 255) } }]);
});
