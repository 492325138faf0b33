import { describe, expect, it } from "vitest";
import {
  type CloseCode,
  encodeAck,
  encodeCancel,
  encodeClose,
  encodeKinds,
  encodeMessage,
  encodeReject,
  encodeRequest,
  encodeResponse,
  encodeResumed,
  encodeResumeToken,
  encodeState,
  encodeWelcome,
  features,
  responseStatuses,
} from "../../protocol/index.ts";
import { openConnection, resumeConnection } from "./opening.ts";
import type { SustenetError } from "./error.ts";
import { GameSession } from "./game-session.ts";
import { contextOf } from "./testing/connection-context.ts";
import { ManualClock, settle } from "./testing/manual-clock.ts";
import { MemoryTransport } from "./testing/memory-transport.ts";
import { sampleWelcome } from "./testing/scripted-cluster.ts";
import { nextUncaughtError } from "./testing/uncaught-error.ts";

const cluster = {
  id: "c",
  name: "C",
  host: "127.0.0.1",
  port: 1,
  tls: { serverName: "c.invalid", caPem: "", sha256: "" },
};
const empty = new Uint8Array(0);
const graceMs = 10_000;
const token = (value: number): Uint8Array => encodeResumeToken({ graceMs, token: Uint8Array.of(value) });
const message = (command: number): Uint8Array => encodeMessage({ command, payload: empty });

/** What a cluster answers RESUME with: how much it has received, or why not; or nothing at all. */
type Answer = number | CloseCode | "no network" | "refused" | "cut";

async function setUp(
  answers: Answer[] = [],
  features = 7,
  stableMs = 0,
): Promise<{
  clock: ManualClock;
  transport: MemoryTransport;
  session: GameSession;
  events: string[];
  rejoins: number[];
}> {
  const clock = new ManualClock();
  const transport = new MemoryTransport();
  transport.onConnect = (link, index) => {
    const answer = index === 0 ? "welcome" : (answers.shift() ?? "no network");
    if (answer === "no network") return Promise.reject(new Error("no network"));
    if (answer === "refused") return Promise.reject(Object.assign(new Error("refused"), { code: "ECONNREFUSED" }));
    link.onJoin = () => {
      if (answer === "welcome") link.send(encodeWelcome({ ...sampleWelcome, features }), token(0));
      else if (answer === "cut") link.end();
      else if (typeof answer === "string") link.send(encodeReject(answer));
      else link.send(encodeResumed({ received: answer, timeMs: 5_000, tick: 1, tickHz: 30 }), token(index));
    };
    return undefined;
  };
  const context = contextOf(transport, clock);
  const rejoins: number[] = [];
  const opening = openConnection({ cluster, ticket: "t" }, context);
  await settle();
  const session = new GameSession(await opening, {
    clock,
    stableMs,
    rejoin: async (failure, attempt) => {
      rejoins.push(attempt);
      throw failure;
    },
    resumption: { open: (memory, signal) => resumeConnection(memory, context, signal), clock, random: () => 0 },
  });
  const events: string[] = [];
  session.on("message", ({ command }) => events.push(`message ${command}`));
  session.on("state", ({ command }) => events.push(`state ${command}`));
  session.on("resuming", ({ attempt, delayMs }) => events.push(`resuming ${attempt} in ${delayMs}`));
  session.on("resumed", () => events.push("resumed"));
  session.on("close", ({ code }) => events.push(`close ${code}`));
  await settle();
  return { clock, transport, session, events, rejoins };
}

/** What a link was sent, without PING. */
const saidTo = (transport: MemoryTransport): string[] =>
  transport.last.messages
    .filter(({ type }) => type !== "ping")
    .map((one) => ("command" in one ? `${one.type} ${one.command}` : one.type));

describe("a lost connection", () => {
  it("[RESUME-3] [RESUME-4] [RESUME-8] is taken up; both sides send what the other has missed", async () => {
    const { clock, transport, session, events, rejoins } = await setUp([1]);
    transport.last.send(message(10), message(11));
    session.send(1);
    session.send(2);
    await settle();
    transport.last.end();
    expect(session.state).toBe("resuming");
    expect(session.send(3)).toBe(true);
    expect(session.move({ x: 0, y: 0, z: 0, heading: 0 })).toBe(false);
    await clock.advance(99);
    expect(transport.links).toHaveLength(1);
    await clock.advance(1);
    expect(saidTo(transport)).toEqual(["hello", "resume", "ack", "message 2", "message 3"]);
    const [, resume] = transport.last.messages;
    expect(resume).toMatchObject({ type: "resume", received: 2, token: Uint8Array.of(0) });
    transport.last.send(message(12));
    expect(events).toEqual(["message 10", "message 11", "resuming 1 in 100", "resumed", "message 12"]);
    expect([session.state, rejoins]).toEqual(["joined", []]);
    expect(session.send(4)).toBe(true);
    expect(session.serverTimeMs()).toBe(5_000);
  });

  it("[RESUME-4] sends nothing between RESUMED and RESUME_TOKEN, and loses nothing that was sent there", async () => {
    const { clock, transport, session } = await setUp([0]);
    transport.onConnect = (link) => {
      link.onJoin = () => link.send(encodeResumed({ received: 0, timeMs: 0, tick: 0, tickHz: 1 }));
    };
    transport.last.end();
    session.send(1);
    await clock.advance(100);
    session.send(2);
    await settle();
    expect(saidTo(transport)).toEqual(["hello", "resume"]);
    transport.last.send(token(1));
    await settle();
    expect(saidTo(transport)).toEqual(["hello", "resume", "ack", "message 1", "message 2"]);
    transport.last.end();
    await clock.advance(100);
    expect(transport.last.messages.find(({ type }) => type === "resume")).toMatchObject({ token: Uint8Array.of(1) });
  });

  it("[RESUME-8] is tried again with growing waits, until it works", async () => {
    const { clock, transport, events } = await setUp(["no network", "cut", 0]);
    transport.last.end();
    await clock.advance(2_000);
    expect(events).toEqual(["resuming 1 in 100", "resuming 2 in 200", "resuming 3 in 400", "resumed"]);
  });

  it.each<CloseCode>(["RESUME_UNKNOWN", "SHUTTING_DOWN"])("[RESUME-6] is rejoined after %s", async (code) => {
    const { clock, transport, session, events, rejoins } = await setUp([code]);
    transport.last.end();
    await clock.advance(100);
    expect(rejoins).toEqual([1]);
    expect(events).toEqual(["resuming 1 in 100", "close CONNECTION_LOST"]);
    expect(session.state).toBe("closed");
  });

  it("[RESUME-8] is rejoined when the grace period is over", async () => {
    const { clock, transport, events, rejoins } = await setUp([]);
    transport.last.end();
    await clock.advance(graceMs);
    expect(rejoins).toEqual([1]);
    expect(events.length).toBeGreaterThan(4);
    expect(events.length).toBeLessThanOrEqual(9);
  });

  it("[RESUME-8] is rejoined soon where nothing listens any more", async () => {
    const { clock, transport, events, rejoins } = await setUp([
      "refused",
      "no network",
      "refused",
      "refused",
      "refused",
    ]);
    transport.last.end();
    await clock.advance(4_000);
    expect(events.filter((event) => event.startsWith("resuming"))).toHaveLength(5);
    expect(rejoins).toEqual([1]);
  });

  it("[KINDS-4] is rejoined where the kinds of what there is to see have not come: nothing would tell them again", async () => {
    const fields = [
      { name: "number", type: "u32" },
      { name: "heading", type: "angle" },
    ] as const;
    const kinds = encodeKinds({ kinds: [{ id: 0, name: "player", fields }] });
    for (const isTold of [true, false]) {
      const { transport, events, rejoins } = await setUp([0], 7 | features.world);
      if (isTold) transport.last.send(kinds);
      transport.last.end();
      await settle();
      expect([rejoins, events]).toEqual(isTold ? [[], ["resuming 1 in 100"]] : [[1], ["close CONNECTION_LOST"]]);
    }
  });

  it("[RESUME-7] after CLOSE there is nothing to take up", async () => {
    const { transport, events, rejoins } = await setUp([0]);
    transport.last.send(encodeClose("IDLE"));
    await settle();
    expect([rejoins, events]).toEqual([[1], ["close IDLE"]]);
  });

  it("ends it when the game leaves meanwhile", async () => {
    const { clock, transport, session, events } = await setUp([0]);
    transport.last.end();
    await session.leave();
    await clock.advance(1_000);
    expect(events).toEqual(["resuming 1 in 100", "close NORMAL"]);
    expect(transport.links).toHaveLength(1);
  });

  it("[ACK-3] refuses to send more than it can keep, and takes more once that is acknowledged", async () => {
    const { transport, session } = await setUp();
    const payload = new Uint8Array(1_000);
    let sent = 0;
    for (; session.send(1, payload); sent += 1) await settle();
    expect(sent).toBe(65);
    transport.last.send(encodeAck({ received: 1 }));
    expect(session.send(1, payload)).toBe(true);
    expect(session.send(1, payload)).toBe(false);
  });

  it("[RESUME-8] that is lost again as soon as it is back is taken up ever later, as long as the cluster keeps the player", async () => {
    const { clock, transport, session, events } = await setUp(
      Array.from({ length: 12 }, () => 0),
      7,
      15_000,
    );
    const waits = async (): Promise<number> => {
      const sinceMs = clock.nowMs();
      transport.last.end();
      while (session.state === "resuming") await clock.advance(50);
      return clock.nowMs() - sinceMs;
    };
    const rows: number[] = [];
    for (let count = 0; count < 8; count++) rows.push(await waits());
    expect(rows).toEqual([100, 200, 400, 800, 1_250, 1_250, 1_250, 1_250]);
    expect(events.filter((event) => event === "resumed")).toHaveLength(8);
    await clock.advance(10_000);
    transport.last.send(message(1));
    await clock.advance(5_000);
    expect(await waits()).toBe(100);
  });

  it("counts what waits for the next one among what is queued", async () => {
    const { clock, transport, session } = await setUp([0]);
    transport.last.queuedBytes = 500;
    expect(session.queuedBytes).toBe(500);
    transport.last.end();
    expect(session.queuedBytes).toBe(0);
    session.send(1, new Uint8Array(96));
    expect(session.queuedBytes).toBe(100);
    await clock.advance(100);
    expect([session.state, session.queuedBytes]).toEqual(["joined", 0]);
    session.send(1, new Uint8Array(96));
    void session.leave();
    expect(session.queuedBytes).toBe(0);
  });

  it("[ACK-2] what came is acknowledged, at once when it is much, and soon in any case", async () => {
    const { clock, transport } = await setUp();
    const acks = (): number[] => transport.last.messages.flatMap((one) => (one.type === "ack" ? [one.received] : []));
    expect(acks()).toEqual([0]);
    transport.last.send(...Array.from({ length: 520 }, () => message(1)));
    await settle();
    expect(acks()).toEqual([0, 512]);
    await clock.advance(1_000);
    expect(acks()).toEqual([0, 512, 520]);
  });

  it("[ACK-2] what came is acknowledged along with what is sent, once it has waited for a while", async () => {
    const { clock, transport, session } = await setUp();
    const acks = (): number[] => transport.last.messages.flatMap((one) => (one.type === "ack" ? [one.received] : []));
    transport.last.send(message(1));
    await settle();
    session.send(1, empty);
    await settle();
    expect(acks()).toEqual([0]);
    await clock.advance(300);
    expect(acks()).toEqual([0]);
    session.send(1, empty);
    session.send(1, empty);
    await settle();
    expect(acks()).toEqual([0, 1]);
    await clock.advance(1_000);
    expect(acks()).toEqual([0, 1]);
  });

  it.each([
    ["[ACK-1] an ACK of what was not sent", encodeAck({ received: 1 })],
    ["[RESUME-3] RESUMED that answers nothing", encodeResumed({ received: 0, timeMs: 0, tick: 0, tickHz: 1 })],
  ])("%s is malformed", async (_name, frame) => {
    const { transport, events } = await setUp();
    transport.last.send(frame);
    await settle();
    expect(events).toEqual(["close BAD_FRAME"]);
  });

  it("[RESUME-3] RESUMED that counts what was not sent ends the session", async () => {
    const { clock, transport, events } = await setUp([7]);
    transport.last.end();
    await clock.advance(100);
    expect(events.at(-1)).toBe("close CONNECTION_LOST");
  });

  it.each([
    ["STATE", encodeState({ command: 1, payload: empty })],
    ["REQUEST", encodeRequest({ id: 1, deadlineMs: 1, command: 1, payload: empty })],
    ["CANCEL", encodeCancel({ id: 1 })],
    ["ACK", encodeAck({ received: 0 })],
  ])("[HELLO-6] %s is malformed where its feature is not in force", async (_name, frame) => {
    const clock = new ManualClock();
    const transport = new MemoryTransport();
    transport.onConnect = (link) => {
      link.onJoin = () => link.send(encodeWelcome(sampleWelcome));
    };
    const context = { transport, clock, clientName: "t", connectTimeoutMs: 1, joinTimeoutMs: 1, leaveTimeoutMs: 1 };
    const opening = openConnection({ cluster, ticket: "t" }, { ...context, maxQueuedBytes: 65_536 });
    await settle();
    const session = new GameSession(await opening, { clock, stableMs: 0, rejoin: undefined });
    transport.last.send(frame);
    expect((await session.closed).code).toBe("BAD_FRAME");
  });
});

describe("a session that is left in what it is told", () => {
  it("leaves no timer behind", async () => {
    const { clock, transport, session } = await setUp();
    session.on("message", () => void session.leave());
    await settle();
    transport.last.send(message(1));
    transport.last.end();
    await settle();
    expect([session.state, clock.pending]).toEqual(["closed", 0]);
  });

  it("asks its game nothing more, whatever came with the answer to RESUME", async () => {
    const { clock, transport, session } = await setUp();
    const asked: number[] = [];
    session.onRequest((command) => {
      asked.push(command);
      return new Promise(() => undefined);
    });
    session.on("resumed", () => void session.leave());
    transport.onConnect = (link) => {
      link.onJoin = () => {
        const resumed = encodeResumed({ received: 0, timeMs: 5_000, tick: 1, tickHz: 30 });
        link.send(resumed, token(1), encodeRequest({ id: 1, deadlineMs: 1_000, command: 7, payload: empty }));
      };
    };
    transport.last.end();
    await clock.advance(100);
    transport.last.end();
    await settle();
    expect([session.state, asked, clock.pending]).toEqual(["closed", [], 0]);
  });
});

it("[RESUME-4] a cluster that sends token after token, and reads nothing, is left", async () => {
  const { transport, session, events } = await setUp();
  transport.last.queuedBytes = 65_536;
  transport.last.send(...Array.from({ length: 5_000 }, () => token(1)));
  await settle();
  expect([session.state, events]).toEqual(["joined", []]);
  transport.last.send(...Array.from({ length: 10_000 }, () => token(1)));
  await settle();
  expect([session.state, events]).toEqual(["closed", ["close QUEUE_FULL"]]);
});

describe("requests", () => {
  const answer = (id: number, status: number, payload: Uint8Array = empty): Uint8Array =>
    encodeResponse({ id, status, payload });

  it("[REQUEST-4] are answered, also over another connection", async () => {
    const { clock, transport, session } = await setUp([1]);
    const first = session.request(7, Uint8Array.of(1));
    await settle();
    transport.last.end();
    const second = session.request(8);
    await clock.advance(100);
    expect(saidTo(transport)).toEqual(["hello", "resume", "ack", "request 8"]);
    transport.last.send(answer(2, responseStatuses.OK), answer(1, responseStatuses.OK, Uint8Array.of(9)));
    expect([await first, await second]).toEqual([Uint8Array.of(9), empty]);
  });

  it("reject with codes of their own", async () => {
    const { clock, transport, session } = await setUp();
    const outcomes = [1, 2, 3].map((command) => session.request(command).catch((error: SustenetError) => error.code));
    const late = session.request(4, empty, { timeoutMs: 50 }).catch((error: SustenetError) => error.code);
    transport.last.send(answer(1, 1), answer(2, 2), answer(3, 3));
    expect(await Promise.all(outcomes)).toEqual(["REQUEST_FAILED", "REQUEST_UNHANDLED", "REQUEST_BUSY"]);
    await clock.advance(50);
    expect(await late).toBe("TIMEOUT");
    const open = session.request(5).catch((error: SustenetError) => error.code);
    void session.leave();
    expect(await open).toBe("CONNECTION_LOST");
    await expect(session.request(1, new Uint8Array(1_015))).rejects.toMatchObject({ code: "MESSAGE_TOO_LARGE" });
    await expect(session.request(256)).rejects.toMatchObject({ code: "CONNECTION_LOST" });
  });

  it("refuse what is no request", async () => {
    const { session } = await setUp();
    await expect(session.request(256)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(session.request(1, empty, { timeoutMs: 0 })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("[HELLO-6] cannot be made to a cluster that does not know them", async () => {
    const { session } = await setUp([], 3);
    await expect(session.request(1)).rejects.toMatchObject({ code: "UNSUPPORTED" });
  });

  it("[REQUEST-4] are called off by either side, and the other is told", async () => {
    const { transport, session } = await setUp();
    const controller = new AbortController();
    const outcome = session
      .request(7, empty, { signal: controller.signal })
      .catch((error: SustenetError) => error.code);
    await settle();
    controller.abort();
    expect(await outcome).toBe("CLOSED");
    await settle();
    expect(transport.last.messages.filter(({ type }) => type === "cancel")).toEqual([{ type: "cancel", id: 1 }]);
    const signals: AbortSignal[] = [];
    session.onRequest((_command, _payload, signal) => {
      signals.push(signal);
      return new Promise(() => undefined);
    });
    transport.last.send(encodeRequest({ id: 1, deadlineMs: 1_000, command: 1, payload: empty }));
    await settle();
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    transport.last.send(encodeCancel({ id: 1 }));
    await settle();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  });

  it("[FRAME-3] of the cluster fail, each by itself, where the game's answer is longer than the cluster takes", async () => {
    const { transport, session } = await setUp();
    expect(session.welcome.maxFrameBytes).toBe(1_024);
    session.onRequest((command) => new Uint8Array(command === 1 ? 1_018 : 1_019));
    const uncaught = nextUncaughtError();
    for (const id of [1, 2]) {
      transport.last.send(encodeRequest({ id, deadlineMs: 1_000, command: id, payload: empty }));
    }
    await settle();
    const answers = transport.last.messages.flatMap((one) =>
      one.type === "response" ? [[one.id, one.status, one.payload.length]] : [],
    );
    expect(answers).toEqual([
      [1, responseStatuses.OK, 1_018],
      [2, responseStatuses.FAILED, 0],
    ]);
    await expect(uncaught).resolves.toMatchObject({ code: "MESSAGE_TOO_LARGE" });
  });

  it("[REQUEST-4] of the cluster are answered by the game", async () => {
    const { transport, session } = await setUp();
    const ask = (id: number): Uint8Array => encodeRequest({ id, deadlineMs: 1_000, command: id, payload: empty });
    transport.last.send(ask(1));
    const off = session.onRequest((command) => (command === 2 ? Uint8Array.of(2) : undefined));
    transport.last.send(ask(2), ask(3));
    await settle();
    off();
    transport.last.send(ask(4));
    await settle();
    const answers = transport.last.messages.flatMap((one) => (one.type === "response" ? [[one.id, one.status]] : []));
    expect(answers).toEqual([
      [1, responseStatuses.UNHANDLED],
      [2, responseStatuses.OK],
      [3, responseStatuses.UNHANDLED],
      [4, responseStatuses.UNHANDLED],
    ]);
  });
});

it("[LATEST-1] state is told apart from messages, and waits for its first handler", async () => {
  const { transport, session, events } = await setUp();
  transport.last.send(encodeState({ command: 5, payload: empty }), message(6));
  expect(events).toEqual(["state 5", "message 6"]);
  expect(session.state).toBe("joined");
});
