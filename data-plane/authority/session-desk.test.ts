import { afterEach, describe, expect, it } from "vitest";
import { LogBook } from "../testing/test-cluster.ts";
import { until } from "../testing/until.ts";
import { type SessionAnswer, SessionCallError, type SessionRequest } from "./session-call.ts";
import { SessionDesk, type SessionDeskOptions } from "./session-desk.ts";

let desk: SessionDesk | undefined;

afterEach(() => desk?.stop());

/** A desk whose calls a test answers. */
function deskWith(options: Partial<SessionDeskOptions> = {}) {
  const log = new LogBook();
  const heard: string[] = [];
  const calls: (readonly SessionRequest<Uint8Array>[])[] = [];
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

async function answerAll(
  requests: readonly SessionRequest<Uint8Array>[],
): Promise<readonly SessionAnswer<Uint8Array>[]> {
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
  throw new SessionCallError("nothing listens there", "away");
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

  describe("while the next try is far off", () => {
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

    /** Somebody is asked about at 100 s, and the master is not there. */
    async function inVain(answer: () => Promise<readonly SessionAnswer<Uint8Array>[]> = away) {
      const clock = { nowMs: 100_000 };
      const made = deskWith({ nowMs: () => clock.nowMs, retryMs: [60_000, 60_000] });
      made.master.answer = answer;
      made.desk.ask("p", enter);
      await until("the try", () => made.log.lines.length === 1);
      clock.nowMs += 10_000;
      return { ...made, clock };
    }

    it("is asked again at once when there is something that the master has made since the last one", async () => {
      const { desk: made, heard, calls, master } = await inVain();
      master.answer = answerAll;
      made.noteSign(12_000);
      await turn();
      expect(calls, "what is older says nothing").toHaveLength(1);
      made.noteSign(9_000);
      await until("the answer", () => heard.length === 1);
    });

    it("is asked once for all that the master has made within a second, should it be gone again", async () => {
      const { desk: made, calls, clock } = await inVain();
      for (const ageMs of [3_000, 3_000, 2_500]) {
        made.noteSign(ageMs);
        await turn();
      }
      expect(calls).toHaveLength(2);
      clock.nowMs += 1_000;
      made.noteSign(0);
      await turn();
      expect(calls).toHaveLength(3);
    });

    it("is asked again after a call that hung, when the master has made something since it began", async () => {
      const { desk: made, heard, calls, master, clock } = await inVain();
      const hangs = Promise.withResolvers<never>();
      master.answer = () => hangs.promise;
      made.hurry();
      await until("the call", () => calls.length === 2);
      clock.nowMs += 4_000;
      made.noteSign(0);
      await turn();
      expect(calls, "one call at a time").toHaveLength(2);
      clock.nowMs += 11_000;
      master.answer = answerAll;
      hangs.reject(new SessionCallError("too slow", "away"));
      await until("the answer", () => heard.length === 1);
    });

    it("is asked beside a call that hangs once the master is there again, and what becomes of that call says nothing then", async () => {
      const { desk: made, heard, calls, master, log, clock } = await inVain();
      const hangs = Promise.withResolvers<never>();
      master.answer = () => hangs.promise;
      made.hurry();
      await until("the call", () => calls.length === 2);
      master.answer = answerAll;
      made.ask("q", enter);
      await turn();
      expect(calls, "one call at a time").toHaveLength(2);
      made.hurry();
      await until("the answer", () => heard.includes("q entered"));
      hangs.reject(new SessionCallError("too slow", "away"));
      await turn();
      // Not at once: it may be that very question that is the trouble.
      expect(calls).toHaveLength(3);
      clock.nowMs += 1_000;
      made.ask("r", enter);
      await until("the next answer", () => heard.includes("r entered"));
      await until("the other answer", () => heard.includes("p entered"));
      expect(log.lines.map(({ fields }) => fields["event"])).toEqual(["sessions-away", "sessions-back"]);
    });

    it("is asked again when its time comes after a try that failed, beside a call that hangs still", async () => {
      const { desk: made, heard, calls, master } = deskWith({ retryMs: [5, 5] });
      master.answer = away;
      made.ask("p", enter);
      await until("the first tries", () => calls.length > 1);
      master.answer = () => new Promise(() => undefined);
      const before = calls.length;
      await until("one that hangs", () => calls.length > before);
      made.ask("q", enter);
      master.answer = away;
      made.hurry();
      await until("tries beside it", () => calls.length > before + 3);
      master.answer = answerAll;
      await until("the answer", () => heard.includes("q entered"));
      expect(heard, "that call hangs still").toEqual(["q entered"]);
    });

    it("is asked by one more call for each sign that it is there, and by four at most, while all of them hang", async () => {
      const { desk: made, calls, master } = await inVain();
      master.answer = () => new Promise(() => undefined);
      for (let at = 0; at < 1_000; at += 1) made.ask(`q${at}`, enter);
      const open: number[] = [];
      for (let sign = 0; sign < 6; sign += 1) {
        made.hurry();
        await turn();
        await turn();
        open.push(calls.length - 1);
      }
      expect(open).toEqual([1, 2, 3, 4, 4, 4]);
    });

    it("is not asked sooner of a master that is there and refuses, whatever it makes", async () => {
      const { desk: made, calls } = await inVain(async () => {
        throw new SessionCallError("too many", "answered");
      });
      made.noteSign(0);
      await turn();
      expect(calls).toHaveLength(1);
    });
  });

  it("is given up when the master does not take it, and takes nothing else along", async () => {
    const { desk: made, heard, master, log } = deskWith();
    master.answer = async (requests) => {
      if (requests.some(({ playerId }) => playerId === "bad"))
        throw new SessionCallError("no", "refused", "INVALID_FIELD");
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

it("says when too much waits", async () => {
  const { desk: made, calls } = deskWith({ maxSayings: 1 });
  expect(made.tell("p", enter)).toBe(true);
  expect(made.tell("q", enter)).toBe(false);
  expect(made.ask("q", enter)).toBeUndefined();
  await until("the call", () => calls.length === 1);
});
