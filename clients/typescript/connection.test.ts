import { describe, expect, it } from "vitest";
import {
  encodeClose,
  encodeMessage,
  encodePing,
  encodePong,
  encodePosition,
  encodeReject,
  encodeWelcome,
  type Welcome,
} from "../../protocol/index.ts";
import type { CloseEvent } from "./close-event.ts";
import type { ClusterConnection } from "./connection.ts";
import { type Joined, openConnection } from "./opening.ts";
import { localError, type SustenetError } from "./error.ts";
import { ManualClock, settle } from "./testing/manual-clock.ts";
import { MemoryTransport } from "./testing/memory-transport.ts";
import { sampleWelcome } from "./testing/scripted-cluster.ts";

const cluster = {
  id: "c",
  name: "C",
  host: "127.0.0.1",
  port: 1,
  tls: { serverName: "c.invalid", caPem: "", sha256: "" },
};

const place = { sequence: 1, x: 1, y: 2, z: 3, heading: 4 };

function setUp(): {
  clock: ManualClock;
  transport: MemoryTransport;
  open: (signal?: AbortSignal) => Promise<Joined>;
} {
  const clock = new ManualClock();
  const transport = new MemoryTransport();
  const context = {
    transport,
    clock,
    clientName: "test/1",
    connectTimeoutMs: 1_000,
    joinTimeoutMs: 2_000,
    leaveTimeoutMs: 300,
    maxQueuedBytes: 65_536,
  };
  return { clock, transport, open: (signal) => openConnection({ cluster, ticket: "t.i.c" }, context, signal) };
}

/** A joined connection, what it tells, and the cluster's end. */
async function setUpJoined(changes: Partial<Welcome> = {}): Promise<{
  clock: ManualClock;
  transport: MemoryTransport;
  connection: ClusterConnection;
  told: unknown[];
  closes: CloseEvent[];
}> {
  const { clock, transport, open } = setUp();
  const opening = open();
  await settle();
  transport.last.send(encodeWelcome({ ...sampleWelcome, ...changes }));
  const { connection } = await opening;
  const told: unknown[] = [];
  const closes: CloseEvent[] = [];
  connection.start({
    onMessage: ({ command }) => told.push(command),
    onState: ({ command }) => told.push(`state ${command}`),
    onPosition: ({ sequence }) => told.push(`position ${sequence}`),
    onWorld: ({ type }) => told.push(type),
    onRedirect: ({ id }) => told.push(`redirect ${id}`),
    onAhead: ({ id }) => told.push(`ahead ${id}`),
    onStay: (id) => told.push(`stay ${id}`),
    onLatency: () => told.push("latency"),
    onClose: (event) => closes.push(event),
  });
  await settle();
  return { clock, transport, connection, told, closes };
}

/** What `run` rejects with; undefined while it has not. */
function watch(run: Promise<unknown>): { error: SustenetError | undefined } {
  const watched: { error: SustenetError | undefined } = { error: undefined };
  run.catch((error: SustenetError) => (watched.error = error));
  return watched;
}

describe("joining", () => {
  it("[JOIN-1] sends HELLO and JOIN in one write, and nothing more until WELCOME", async () => {
    const { clock, transport, open } = setUp();
    const opening = open();
    await clock.advance(1_500);
    expect(transport.last.writes).toEqual([
      [
        { type: "hello", minVersion: 1, maxVersion: 1, features: 63, client: "test/1" },
        { type: "join", ticket: "t.i.c" },
      ],
    ]);
    transport.last.send(encodeWelcome(sampleWelcome));
    const { welcome } = await opening;
    expect(welcome).toEqual({ type: "welcome", ...sampleWelcome });
  });

  it("[FRAME-1] understands a WELCOME that comes byte by byte", async () => {
    const { transport, open } = setUp();
    const opening = open();
    await settle();
    for (const byte of encodeWelcome(sampleWelcome)) transport.last.send(Uint8Array.of(byte));
    await expect(opening).resolves.toMatchObject({ welcome: { playerNumber: 7 } });
  });

  it("[REJECT-1] rejects with the code of REJECT and ends", async () => {
    const { transport, open } = setUp();
    const opening = open();
    await settle();
    transport.last.send(encodeReject("BUSY", 750));
    await expect(opening).rejects.toMatchObject({
      code: "BUSY",
      origin: "cluster",
      advice: "allocate",
      retryAfterMs: 750,
    });
    expect(transport.last.state).not.toBe("open");
  });

  it.each([
    ["CLOSE", encodeClose("SHUTTING_DOWN")],
    ["PING", encodePing({ timeMs: 1 })],
    ["MESSAGE", encodeMessage({ command: 1, payload: new Uint8Array() })],
    ["POSITION", encodePosition(place)],
    ["PONG", encodePong({ echoMs: 0, timeMs: 0 })],
    ["an unknown type", Uint8Array.of(1, 0, 0x3f)],
    ["an empty frame", Uint8Array.of(0, 0)],
    ["a cut-off WELCOME", Uint8Array.of(2, 0, 3, 1)],
  ])("[WELCOME-1] refuses %s before WELCOME, and answers nothing", async (_, frame) => {
    const { transport, open } = setUp();
    const opening = open();
    await settle();
    transport.last.send(frame, encodeWelcome(sampleWelcome));
    await expect(opening).rejects.toMatchObject({ code: "BAD_FRAME", advice: "stop" });
    await settle();
    expect(transport.last.messages.map((message) => message.type)).toEqual(["hello", "join"]);
  });

  it.each([
    ["[HELLO-3] a version", { version: 2 }],
    ["[HELLO-3] a version", { version: 0 }],
    ["[HELLO-4] a feature", { features: 32 }],
  ])("%s that was not offered is refused: %o", async (_, changes) => {
    const { transport, open } = setUp();
    const opening = open();
    await settle();
    transport.last.send(encodeWelcome({ ...sampleWelcome, ...changes }));
    await expect(opening).rejects.toMatchObject({ code: "BAD_FRAME" });
  });

  it("ends with CONNECTION_LOST when the cluster closes without a word", async () => {
    const { transport, open } = setUp();
    const opening = open();
    await settle();
    transport.last.end();
    await expect(opening).rejects.toMatchObject({ code: "CONNECTION_LOST", advice: "allocate" });
  });

  it("ends with CONNECTION_LOST when the connection breaks before JOIN was sent", async () => {
    const { transport, open } = setUp();
    transport.onConnect = (link) => link.end();
    await expect(open()).rejects.toMatchObject({ code: "CONNECTION_LOST" });
    expect(transport.last.writes).toEqual([]);
  });

  it("passes on why there is no connection, and leaves no timer behind", async () => {
    const { clock, transport, open } = setUp();
    transport.onConnect = () => {
      throw localError("CERTIFICATE_MISMATCH");
    };
    await expect(open()).rejects.toMatchObject({ code: "CERTIFICATE_MISMATCH" });
    await settle();
    expect(clock.pending).toBe(0);
  });

  it("waits for the connection up to its deadline, and drops one that comes later", async () => {
    const { clock, transport, open } = setUp();
    const gate = Promise.withResolvers<undefined>();
    transport.onConnect = () => gate.promise;
    const opening = watch(open());
    await clock.advance(999);
    expect(opening.error).toBeUndefined();
    await clock.advance(1);
    expect(opening.error).toMatchObject({ code: "TIMEOUT", advice: "retry" });
    gate.resolve(undefined);
    await settle();
    expect(transport.last).toMatchObject({ state: "aborted", writes: [] });
    expect(clock.pending).toBe(0);
  });

  it("waits for WELCOME up to its deadline, whatever bytes drip in", async () => {
    const { clock, transport, open } = setUp();
    const opening = watch(open());
    await clock.advance(1_999);
    transport.last.send(encodeWelcome(sampleWelcome).subarray(0, 10));
    expect(opening.error).toBeUndefined();
    await clock.advance(1);
    expect(opening.error).toMatchObject({ code: "TIMEOUT" });
    expect(transport.last.state).toBe("aborted");
    expect(clock.pending).toBe(0);
  });

  it("stops at once when it is called off", async () => {
    const { clock, transport, open } = setUp();
    const abort = new AbortController();
    const opening = watch(open(abort.signal));
    await settle();
    abort.abort();
    await settle();
    expect(opening.error).toMatchObject({ code: "CLOSED" });
    expect(transport.last.state).toBe("aborted");
    expect(clock.pending).toBe(0);
  });

  it("keeps what comes in the same piece as WELCOME", async () => {
    const { transport, open } = setUp();
    const opening = open();
    await settle();
    const message = encodeMessage({ command: 9, payload: new Uint8Array() });
    transport.last.send(encodeWelcome(sampleWelcome), message, encodeClose("REPLACED"), message);
    const { connection } = await opening;
    const told: unknown[] = [];
    const unexpected = (): void => void told.push("unexpected");
    connection.start({
      onMessage: ({ command }) => told.push(command),
      onState: unexpected,
      onPosition: unexpected,
      onWorld: unexpected,
      onRedirect: unexpected,
      onAhead: unexpected,
      onStay: unexpected,
      onLatency: unexpected,
      onClose: ({ code }) => told.push(code),
    });
    expect(told).toEqual([9, "REPLACED"]);
  });
});

describe("a joined connection", () => {
  it("[PING-1] answers each PING with one PONG, bit for bit, before anything later", async () => {
    const { clock, transport, connection, told } = await setUpJoined();
    await clock.advance(10);
    const before = transport.last.messages.length;
    transport.last.send(
      encodePing({ timeMs: -0 }),
      encodePing({ timeMs: 0.1 }),
      encodeMessage({ command: 1, payload: new Uint8Array() }),
    );
    expect(told).toEqual([1]);
    connection.send(encodeMessage({ command: 2, payload: new Uint8Array() }));
    await settle();
    expect(transport.last.messages.slice(before)).toEqual([
      { type: "pong", echoMs: -0, timeMs: 10 },
      { type: "pong", echoMs: 0.1, timeMs: 10 },
      { type: "message", command: 2, payload: new Uint8Array() },
    ]);
  });

  it("[PING-2] pings at once and then at the interval that WELCOME dictates", async () => {
    const { clock, transport } = await setUpJoined({ pingIntervalMs: 400, idleTimeoutMs: 60_000 });
    await clock.advance(1_200);
    const pings = transport.last.messages.filter((message) => message.type === "ping");
    expect(pings.map(({ timeMs }) => timeMs)).toEqual([0, 400, 800, 1_200]);
  });

  it("does not let an interval of 0 make it spin", async () => {
    const { clock, transport } = await setUpJoined({ pingIntervalMs: 0, idleTimeoutMs: 60_000 });
    await clock.advance(100);
    expect(transport.last.messages.filter((message) => message.type === "ping")).toHaveLength(11);
  });

  it("[PING-3] ends after a silence of idleTimeoutMs, not before, and any byte counts", async () => {
    const { clock, transport, closes } = await setUpJoined({ idleTimeoutMs: 1_000 });
    await clock.advance(999);
    transport.last.send(Uint8Array.of(1));
    await clock.advance(999);
    expect(closes).toEqual([]);
    await clock.advance(1);
    expect(closes).toMatchObject([{ code: "CONNECTION_LOST", advice: "allocate", origin: "client" }]);
    expect(transport.last.state).toBe("aborted");
    expect(clock.pending).toBe(0);
  });

  it("[PING-4] tells of a PONG that answers its PING, and ignores others", async () => {
    const { clock, transport, connection, told } = await setUpJoined({ timeMs: 50_000 });
    expect(connection.rttMs).toBeUndefined();
    expect(connection.serverTimeMs()).toBe(50_000);
    await clock.advance(80);
    transport.last.send(encodePong({ echoMs: 12_345, timeMs: 1 }));
    expect(told).toEqual([]);
    transport.last.send(encodePong({ echoMs: 0, timeMs: 70_000 }));
    expect(told).toEqual(["latency"]);
    expect(connection.rttMs).toBe(80);
    expect(connection.serverTimeMs()).toBe(70_040);
  });

  it.each([
    ["WELCOME", encodeWelcome(sampleWelcome)],
    ["REJECT", encodeReject("FULL")],
    ["MOVE", Uint8Array.of(1, 0, 0x10)],
    ["a POSITION that is not finite", encodePositionWithNaN()],
    ["a POSITION with a byte too many", withTail(encodePosition(place))],
    ["ill-formed UTF-8", Uint8Array.of(9, 0, 5, 0, 0, 0, 0, 0, 0, 1, 0xff)],
    ["an empty frame", Uint8Array.of(0, 0)],
  ])("[FRAME-4] [FRAME-5] [FRAME-7] ends on %s, says PROTOCOL_ERROR and reads no further", async (_, frame) => {
    const { transport, told, closes } = await setUpJoined();
    transport.last.send(frame, encodeMessage({ command: 1, payload: new Uint8Array() }));
    expect(closes).toMatchObject([{ code: "BAD_FRAME", advice: "stop", origin: "client" }]);
    expect(told).toEqual([]);
    expect(transport.last.messages.at(-1)).toMatchObject({ type: "close", code: 0x0002 });
    expect(transport.last.state).toBe("closing");
  });

  it("[CLOSE-1] closes when CLOSE comes, and neither sends nor hears anything after it", async () => {
    const { clock, transport, connection, told, closes } = await setUpJoined();
    const before = transport.last.messages.length;
    transport.last.send(encodeClose("SHUTTING_DOWN", 500), encodePing({ timeMs: 1 }));
    transport.last.send(encodePing({ timeMs: 2 }), encodeMessage({ command: 1, payload: new Uint8Array() }));
    expect(closes).toMatchObject([
      { code: "SHUTTING_DOWN", number: 0x0100, advice: "allocate", retryAfterMs: 500, origin: "cluster" },
    ]);
    expect(connection.send(encodePing({ timeMs: 3 }))).toBe(false);
    await clock.advance(200);
    expect(transport.last.messages).toHaveLength(before);
    expect(told).toEqual([]);
    expect(transport.last.state).toBe("closing");
    transport.last.end();
    await settle();
    expect(closes).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  it("[CLOSE-3] understands a code of a later version by its high byte", async () => {
    const { transport, closes } = await setUpJoined();
    transport.last.send(Uint8Array.of(11, 0, 5, 0xfe, 0x01, 0, 1, 0, 0, 3, 0x6e, 0x65, 0x77));
    expect(closes).toEqual([
      {
        code: "UNKNOWN_CODE",
        number: 0x01fe,
        advice: "allocate",
        retryAfterMs: 256,
        text: "new",
        origin: "cluster",
      },
    ]);
  });

  it("[CLOSE-2] leaves with CLOSE behind what was sent, and waits for the end", async () => {
    const { transport, connection, closes } = await setUpJoined();
    connection.send(encodeMessage({ command: 5, payload: new Uint8Array() }));
    const leaving = connection.leave();
    expect(transport.last.writes.at(-1)).toMatchObject([
      { type: "message", command: 5 },
      { type: "close", code: 0x0000 },
    ]);
    expect(transport.last.state).toBe("closing");
    transport.last.end();
    await leaving;
    expect(closes).toMatchObject([{ code: "NORMAL", advice: "stop" }]);
  });

  it("does not wait for ever for a cluster that does not close", async () => {
    const { clock, transport, connection } = await setUpJoined();
    let left = false;
    void connection.leave().then(() => (left = true));
    await clock.advance(299);
    expect(left).toBe(false);
    await clock.advance(1);
    expect(left).toBe(true);
    expect(transport.last.state).toBe("aborted");
    expect(clock.pending).toBe(0);
  });

  it("gathers what is sent in one turn into one write", async () => {
    const { transport, connection } = await setUpJoined();
    const before = transport.last.writes.length;
    for (const command of [1, 2, 3]) connection.send(encodeMessage({ command, payload: new Uint8Array() }));
    expect(transport.last.writes).toHaveLength(before);
    await settle();
    connection.send(encodeMessage({ command: 4, payload: new Uint8Array() }));
    await settle();
    expect(transport.last.writes.slice(before)).toMatchObject([
      [{ command: 1 }, { command: 2 }, { command: 3 }],
      [{ command: 4 }],
    ]);
  });

  it("queues up to its bound and not a byte more, and goes on when there is room again", async () => {
    const { transport, connection } = await setUpJoined();
    const frame = encodeMessage({ command: 1, payload: new Uint8Array(96) });
    transport.last.queuedBytes = 65_536 - 200;
    expect(connection.send(frame)).toBe(true);
    expect(connection.queuedBytes).toBe(65_536 - 100);
    expect(connection.send(frame)).toBe(true);
    expect(connection.send(Uint8Array.of(1, 0, 7))).toBe(false);
    await settle();
    expect(connection.send(frame)).toBe(true);
  });

  it("ends when not even a PONG finds room", async () => {
    const { transport, closes } = await setUpJoined();
    transport.last.queuedBytes = 65_536;
    transport.last.send(encodePing({ timeMs: 1 }), encodePing({ timeMs: 2 }));
    expect(closes).toMatchObject([{ code: "QUEUE_FULL", advice: "allocate" }]);
    expect(transport.last.state).toBe("aborted");
  });
});

function encodePositionWithNaN(): Uint8Array {
  const frame = encodePosition(place);
  frame.set([0, 0, 0xc0, 0x7f], 5);
  return frame;
}

function withTail(frame: Uint8Array): Uint8Array {
  const longer = new Uint8Array(frame.length + 1);
  longer.set(frame);
  longer[0] = (frame[0] ?? 0) + 1;
  return longer;
}
