import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  closeCodes,
  encodeClose,
  encodeHello,
  encodeJoin,
  encodeMessage,
  encodeMove,
  encodePing,
  encodePong,
  messageTypes,
} from "../../protocol/index.ts";
import { hello, rawFrame, type TestClient } from "../testing/test-client.ts";
import { startTestCluster, type TestCluster } from "../testing/test-cluster.ts";
import { until } from "../testing/until.ts";

let cluster: TestCluster;
let heard: string[];

beforeEach(async () => {
  heard = [];
  cluster = await startTestCluster({
    settings: { maxFrameBytes: 1_000 },
    plugin: {
      onMessage: (player, command, reader) => {
        heard.push(`${command}:${reader.remaining}`);
        player.send(command, reader.rest());
      },
    },
  });
});
afterEach(() => cluster.stop());

const message = (command: number, bytes: number): Uint8Array =>
  encodeMessage({ command, payload: new Uint8Array(bytes).fill(command) });

/** The body of a frame, without length and type. */
const bodyOf = (frame: Uint8Array): Buffer => Buffer.from(frame.subarray(3));

/** A frame whose length is exactly `length`: what is in it, then zeros. */
function padded(frame: Uint8Array, length: number): Uint8Array {
  const body = Buffer.concat([bodyOf(frame), Buffer.alloc(length - 1 - (frame.length - 3))]);
  return rawFrame(frame[2] ?? 0, body);
}

/** Why the connection was ended without a word; or what was said. */
async function cutOff(client: TestClient): Promise<string> {
  await client.gone();
  return [...client.types(), ...Object.keys(cluster.server.metrics.refusals)].join();
}

/** Expects CLOSE with PROTOCOL_ERROR, and nothing after it. */
async function protocolError(client: TestClient): Promise<void> {
  expect((await client.next("close")).code).toBe(closeCodes.PROTOCOL_ERROR.number);
  await client.gone();
  expect(client.received).toEqual([]);
  expect(cluster.server.metrics.departures).toEqual({ PROTOCOL_ERROR: 1 });
}

describe("pieces", () => {
  it("[FRAME-1] may be single bytes", async () => {
    const client = await cluster.connected();
    const opening = Buffer.concat([hello(), encodeJoin({ ticket: await cluster.master.ticket() })]);
    for (const byte of opening) {
      await new Promise<void>((resolve, reject) => {
        client.socket.write(Uint8Array.of(byte), (error) => (error ? reject(error) : resolve()));
      });
    }
    await client.next("welcome");
    for (const byte of Buffer.concat([message(7, 3), message(8, 0)])) client.socket.write(Uint8Array.of(byte));
    expect((await client.next("message")).command).toBe(7);
    expect((await client.next("message")).command).toBe(8);
  });

  it("[BUDGET-3] with very many frames are handled in several turns, others' in between", async () => {
    let inTurn = 0;
    let most = 0;
    let turns = 0;
    await cluster.stop();
    cluster = await startTestCluster({
      plugin: {
        onMessage: (_player, command) => {
          heard.push(String(command));
          inTurn += 1;
          if (inTurn > 1) return;
          setImmediate(() => {
            most = Math.max(most, inTurn);
            inTurn = 0;
            turns += 1;
          });
        },
      },
    });
    const client = await cluster.joined();
    client.send(...Array.from({ length: 2_000 }, (_, index) => message(index % 256, 0)));
    await until("all", () => heard.length === 2_000);
    expect(heard).toEqual(Array.from({ length: 2_000 }, (_, index) => String(index % 256)));
    expect(most).toBeLessThanOrEqual(256);
    expect(turns).toBeGreaterThanOrEqual(7);
  });

  it("[FRAME-1] may hold many frames", async () => {
    const client = await cluster.joined();
    client.send(...Array.from({ length: 200 }, (_, index) => message(index, index)));
    for (let index = 0; index < 200; index += 1) {
      const { command, payload } = await client.next("message");
      expect([command, payload.length]).toEqual([index, index]);
    }
  });
});

describe("lengths, just under and just over", () => {
  it("[FRAME-3] [FRAME-5] takes a HELLO of 256 bytes, with fields that it does not know", async () => {
    const client = await cluster.connected();
    client.send(padded(hello(), 256), encodeJoin({ ticket: await cluster.master.ticket() }));
    expect((await client.next("welcome")).version).toBe(1);
  });

  it("[FRAME-3] cuts off a HELLO of 257 bytes at its length, before the rest has come", async () => {
    const client = await cluster.connected();
    client.send(padded(hello(), 257).subarray(0, 2));
    expect(await cutOff(client)).toBe("FRAME_TOO_LARGE");
  });

  it("[FRAME-3] [FRAME-5] takes a JOIN of 4,096 bytes, with fields that it does not know", async () => {
    const client = await cluster.connected();
    client.send(hello(), padded(encodeJoin({ ticket: await cluster.master.ticket() }), 4_096));
    expect((await client.next("welcome")).version).toBe(1);
  });

  it("[FRAME-3] cuts off a JOIN of 4,097 bytes at its length", async () => {
    const client = await cluster.connected();
    client.send(hello(), padded(encodeJoin({ ticket: await cluster.master.ticket() }), 4_097).subarray(0, 2));
    expect(await cutOff(client)).toBe("FRAME_TOO_LARGE");
  });

  it("[JOIN-3] takes a ticket of 2,048 bytes", async () => {
    const ticket = await ticketOf(2_048);
    const client = await cluster.connected();
    client.join(ticket);
    expect((await client.next("welcome")).version).toBe(1);
  });

  it.each([0, 2_049])("[JOIN-3] cuts off a ticket of %i bytes", async (bytes) => {
    const client = await cluster.connected();
    const body = Buffer.alloc(2 + bytes, "a");
    body.writeUInt16LE(bytes, 0);
    client.send(hello(), rawFrame(messageTypes.join, body));
    expect(await cutOff(client)).toBe("BAD_VALUE");
  });

  it("[FRAME-3] takes a frame of maxFrameBytes from a player, and no longer one", async () => {
    const client = await cluster.joined();
    client.send(message(1, 998));
    expect((await client.next("message")).payload.length).toBe(998);
    client.send(message(2, 999).subarray(0, 2));
    await protocolError(client);
    expect(heard).toEqual(["1:998"]);
  });

  it("[HELLO-5] takes a client name of 64 bytes, and cuts off one of 65", async () => {
    const fine = await cluster.connected();
    const name = { minVersion: 1, maxVersion: 1, features: 0, client: "n".repeat(64) };
    fine.send(encodeHello(name), encodeJoin({ ticket: await cluster.master.ticket() }));
    await fine.next("welcome");
    const client = await cluster.connected();
    const body = Buffer.concat([bodyOf(encodeHello(name)), Buffer.from("n")]);
    body.writeUInt8(65, 10);
    client.send(rawFrame(messageTypes.hello, body));
    expect(await cutOff(client)).toBe("BAD_VALUE");
  });

  /** A good ticket of exactly so many bytes. */
  async function ticketOf(bytes: number): Promise<string> {
    // Base64 does not reach every length from one header: so several lengths of key id are tried.
    for (const kid of ["k", "kk", "kkk"]) {
      const key = await cluster.master.addKey(kid);
      for (let name = 1_000; name < 1_400; name += 1) {
        const ticket = await cluster.master.ticket({ name: "n".repeat(name) }, key).catch(() => "");
        if (ticket.length === bytes) return ticket;
      }
    }
    throw new Error(`no ticket of ${bytes} bytes`);
  }
});

describe("malformed, before the join", () => {
  it.each<[string, string, Uint8Array]>([
    ["[FRAME-2] a frame of length 0", "FRAME_EMPTY", Uint8Array.of(0, 0)],
    ["[FRAME-4] an unknown type", "UNEXPECTED_TYPE", rawFrame(0x3f)],
    ["[FRAME-5] a HELLO that is cut short", "TRUNCATED", rawFrame(1, bodyOf(hello()).subarray(0, 9))],
    ["[HELLO-1] another magic", "BAD_VALUE", rawFrame(1, Buffer.from("TSUS\u0001\u0001\0\0\0\0\0"))],
    ["[HELLO-2] version 0", "BAD_VALUE", rawFrame(1, Buffer.from("SUST\u0000\u0001\0\0\0\0\0"))],
    ["[HELLO-2] an impossible range", "BAD_VALUE", rawFrame(1, Buffer.from("SUST\u0002\u0001\0\0\0\0\0"))],
    [
      "[NUM-2] a client name that is not UTF-8",
      "BAD_UTF8",
      rawFrame(1, Buffer.from("5355535401010000000001ff", "hex")),
    ],
    ["[HELLO-1] [STATE-1] a JOIN first", "UNEXPECTED_TYPE", encodeJoin({ ticket: "t" })],
    [
      "[HELLO-1] [STATE-1] a MESSAGE first",
      "UNEXPECTED_TYPE",
      encodeMessage({ command: 1, payload: new Uint8Array() }),
    ],
    ["[STATE-1] a PING first", "UNEXPECTED_TYPE", encodePing({ timeMs: 1 })],
    ["[STATE-1] a WELCOME from a client", "UNEXPECTED_TYPE", rawFrame(messageTypes.welcome)],
    ["[JOIN-1] [STATE-1] a second HELLO", "UNEXPECTED_TYPE", Buffer.concat([hello(), hello()])],
    ["[JOIN-1] [STATE-1] a MOVE after HELLO", "UNEXPECTED_TYPE", Buffer.concat([hello(), rawFrame(messageTypes.move)])],
    ["[STATE-1] a CLOSE after HELLO", "UNEXPECTED_TYPE", Buffer.concat([hello(), encodeClose("NORMAL")])],
  ])("[FRAME-6] %s ends the connection without a word: %s", async (_what, reason, bytes) => {
    const client = await cluster.connected();
    client.send(bytes);
    expect(await cutOff(client)).toBe(reason);
    expect(cluster.log.lines.filter(({ fields }) => fields["reason"] === reason)).toHaveLength(1);
  });

  it("[JOIN-1] cuts off a frame right behind JOIN", async () => {
    const client = await cluster.connected();
    const ticket = await cluster.master.ticket();
    client.send(hello(), encodeJoin({ ticket }), encodePing({ timeMs: 1 }));
    expect(await cutOff(client)).toBe("EARLY_FRAME");
    const again = await cluster.connected();
    again.join(ticket);
    expect((await again.next("welcome")).version).toBe(1);
  });

  it.each([
    ["the head", [255, 0]],
    ["one byte", [9]],
  ])("[JOIN-1] cuts off even %s of a frame right behind JOIN, and keeps no room for the rest", async (_what, bytes) => {
    const client = await cluster.connected();
    client.send(hello(), encodeJoin({ ticket: await cluster.master.ticket() }), Uint8Array.from(bytes));
    expect(await cutOff(client)).toBe("EARLY_FRAME");
  });

  it("[JOIN-1] [STATE-1] cuts off whatever comes while the ticket is checked", async () => {
    const held = Promise.withResolvers<void>();
    cluster.master.holdKeySet = held.promise;
    const client = await cluster.connected();
    client.join(await cluster.master.ticket({}, await cluster.master.addKey("slow")));
    await until("the check", () => cluster.server.metrics.connections.verifying === 1);
    client.send(Uint8Array.of(5));
    expect(await cutOff(client)).toBe("EARLY_FRAME");
    held.resolve();
    expect(cluster.server.metrics.joins).toBe(0);
  });
});

describe("malformed, in the game", () => {
  const nan = Buffer.alloc(16);
  nan.writeFloatLE(Number.NaN, 2);
  const infinite = Buffer.alloc(16);
  infinite.writeFloatLE(Number.NEGATIVE_INFINITY, 10);
  const nanPing = Buffer.alloc(8);
  nanPing.writeDoubleLE(Number.NaN, 0);

  it.each<[string, Uint8Array]>([
    ["[FRAME-2] a frame of length 0", Uint8Array.of(0, 0)],
    ["[FRAME-4] an unknown type", rawFrame(0x20)],
    ["[FRAME-4] a type of the cluster's", rawFrame(messageTypes.position, bodyOf(encodeMove(move(1))))],
    ["[STATE-1] a HELLO", hello()],
    ["[STATE-1] a JOIN", encodeJoin({ ticket: "t" })],
    ["[FRAME-5] a MOVE that is cut short", rawFrame(messageTypes.move, bodyOf(encodeMove(move(1))).subarray(1))],
    ["[FRAME-5] a MOVE with a byte too many", rawFrame(messageTypes.move, Buffer.alloc(17))],
    ["[FRAME-5] a MESSAGE without a command", rawFrame(messageTypes.message)],
    ["[NUM-1] a MOVE to NaN", rawFrame(messageTypes.move, nan)],
    ["[NUM-1] a MOVE to infinity", rawFrame(messageTypes.move, infinite)],
    ["[NUM-1] a PING at NaN", rawFrame(messageTypes.ping, nanPing)],
    ["[FRAME-5] a PONG that is cut short", rawFrame(messageTypes.pong, Buffer.alloc(15))],
    ["[NUM-2] a CLOSE whose text is not UTF-8", rawFrame(messageTypes.close, Buffer.from("00000000000001ff", "hex"))],
  ])("[FRAME-6] %s is answered by PROTOCOL_ERROR, and nothing after it is heard", async (_what, bytes) => {
    const bystander = await cluster.joined();
    const client = await cluster.joined();
    client.send(message(1, 0), bytes, message(2, 0));
    expect((await client.next("message")).command).toBe(1);
    await protocolError(client);
    expect(heard).toEqual(["1:0"]);
    bystander.send(message(3, 0));
    expect((await bystander.next("message")).command).toBe(3);
  });

  function move(x: number): Parameters<typeof encodeMove>[0] {
    return { sequence: 1, x, y: 0, z: 0, heading: 0 };
  }
});

describe("random bytes", () => {
  /** A small generator with a seed, so that what fails once fails again (xorshift32). */
  function createRandom(seed: number): (below: number) => number {
    let state = seed;
    return (below) => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) % below;
    };
  }

  it("[FRAME-6] from strangers and players cost nobody else anything", async () => {
    const random = createRandom(2_463_534_242);
    const bystander = await cluster.joined();
    const types = [...Object.values(messageTypes), 0x00, 0x3f, 0x41, 0xff];
    const clients: TestClient[] = [];
    for (let count = 0; count < 40; count += 1) {
      const client = count % 2 === 0 ? await cluster.connected() : await cluster.joined();
      clients.push(client);
      const frames = Array.from({ length: 30 }, () =>
        rawFrame(
          types[random(types.length)] ?? 0,
          Uint8Array.from({ length: random(40) }, () => random(256)),
        ),
      );
      const bytes = Buffer.concat(frames);
      for (let offset = 0; offset < bytes.length;) {
        const end = offset + 1 + random(200);
        client.send(bytes.subarray(offset, end));
        offset = end;
      }
    }
    await until("the end of them all", () => clients.every((client) => client.closed));
    bystander.send(message(3, 0));
    expect((await bystander.next("message")).command).toBe(3);
    expect(cluster.log.lines.filter(({ level }) => level === "error")).toEqual([]);
    await until("their places", () => cluster.server.metrics.connections.closing === 0);
    expect(cluster.server.metrics.connections).toEqual({
      handshake: 0,
      hello: 0,
      join: 0,
      verifying: 0,
      joined: 1,
      closing: 0,
    });
  });
});

describe("in order", () => {
  it("[PING-1] answers PING with PONG before it answers later frames", async () => {
    const client = await cluster.joined();
    client.send(encodePing({ timeMs: 12.5 }), message(1, 0), encodePing({ timeMs: -0.25 }));
    await until("three answers", () => client.received.length === 3);
    // No PONG behind the answer to a later frame; earlier answers may come after it.
    expect(client.types()).toEqual(["pong", "pong", "message"]);
    const [first, second] = client.received;
    expect([first, second]).toEqual([
      { type: "pong", echoMs: 12.5, timeMs: expect.any(Number) },
      { type: "pong", echoMs: -0.25, timeMs: expect.any(Number) },
    ]);
  });

  it("[PING-4] ignores a PONG that answers nothing", async () => {
    const client = await cluster.joined();
    client.send(encodePong({ echoMs: 1, timeMs: 2 }), message(1, 0));
    expect((await client.next("message")).command).toBe(1);
    expect(client.received).toEqual([]);
  });

  it("[MESSAGE-1] hands on messages in their order, each once", async () => {
    const client = await cluster.joined();
    for (let index = 0; index < 256; index += 1) {
      client.send(message(index, index % 3));
      if (index % 50 === 0) await client.next("message");
    }
    await until("all of them", () => heard.length === 256);
    expect(heard).toEqual(Array.from({ length: 256 }, (_, index) => `${index}:${index % 3}`));
  });

  it("[CLOSE-1] [CLOSE-2] lets a player go who says goodbye, at once, and hears nothing more", async () => {
    const client = await cluster.joined();
    client.send(encodeClose("NORMAL"), message(1, 0));
    await client.gone();
    expect(client.ended).toBe(true);
    expect(client.received).toEqual([]);
    expect(heard).toEqual([]);
    expect(cluster.server.metrics.departures).toEqual({ NORMAL: 1 });
  });

  it("[CLOSE-2] counts a connection that ends without CLOSE as dropped", async () => {
    const client = await cluster.joined();
    client.close();
    await until("its departure", () => cluster.server.metrics.connections.joined === 0);
    expect(cluster.server.metrics.departures).toEqual({ DROPPED: 1 });
  });
});
