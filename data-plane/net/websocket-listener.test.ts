import { connect, type TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { ClientOptions } from "ws";
import {
  closeCodes,
  encodeAck,
  encodeClose,
  encodeHello,
  encodeJoin,
  encodeMessage,
  encodePing,
  encodeResume,
  features,
} from "../../protocol/index.ts";
import { hello, rawFrame } from "../testing/test-client.ts";
import { startTestCluster, type TestCluster } from "../testing/test-cluster.ts";
import { until } from "../testing/until.ts";
import { WebSocketClient } from "../testing/websocket-client.ts";

const upgrade = [
  "GET / HTTP/1.1",
  "Host: x",
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
  "Sec-WebSocket-Protocol: sustenet.v1",
];

let cluster: TestCluster;
const clients: WebSocketClient[] = [];
const sockets: TLSSocket[] = [];

const portOf = (): number => cluster.server.address?.webSocketPort ?? 0;
const refusals = (): Readonly<Record<string, number>> => cluster.server.metrics.refusals;

function begin(options?: ClientOptions, subprotocol?: string): WebSocketClient {
  const client = new WebSocketClient(portOf(), cluster.target, options, subprotocol);
  clients.push(client);
  return client;
}

async function joined(options?: ClientOptions): Promise<WebSocketClient> {
  const client = await begin(options).opened();
  client.join(await cluster.master.ticket());
  await client.next("welcome");
  return client;
}

/** A TLS connection that says its own bytes, and keeps what it hears. */
function raw(
  port = portOf(),
  { serverName: servername, caPem: ca } = cluster.target,
): { socket: TLSSocket; heard: () => Buffer; gone: () => boolean } {
  const socket = connect({ host: "127.0.0.1", port, servername, ca });
  sockets.push(socket);
  const chunks: Buffer[] = [];
  let gone = false;
  socket.on("data", (data: Buffer) => chunks.push(data));
  socket.on("error", () => undefined);
  socket.on("close", () => (gone = true));
  return { socket, heard: () => Buffer.concat(chunks), gone: () => gone };
}

/** The head of a client's WebSocket frame, with a mask of zeros. */
function head(first: number, length: number): Buffer {
  if (length < 126) return Buffer.from([first, 0x80 | length, 0, 0, 0, 0]);
  if (length < 65_536) return Buffer.from([first, 0xfe, length >> 8, length & 255, 0, 0, 0, 0]);
  return Buffer.from([
    first,
    0xff,
    0,
    0,
    0,
    0,
    length >>> 24,
    (length >> 16) & 255,
    (length >> 8) & 255,
    length & 255,
    0,
    0,
    0,
    0,
  ]);
}

/** A raw WebSocket after its upgrade. */
async function upgraded(peer = raw()): Promise<ReturnType<typeof raw>> {
  peer.socket.write(`${upgrade.join("\r\n")}\r\n\r\n`);
  await until("the upgrade", () => peer.heard().includes("101 Switching Protocols"));
  return peer;
}

const message = (command: number, bytes: number): Uint8Array =>
  encodeMessage({ command, payload: new Uint8Array(bytes).fill(command) });

beforeAll(async () => {
  cluster = await startTestCluster({
    settings: { wsPort: 0, maxFrameBytes: 1_000, wsOrigins: ["https://play.example.com"] },
    plugin: { onMessage: (player, command, reader) => void player.send(command, reader.rest()) },
  });
});
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  for (const socket of sockets.splice(0)) socket.destroy();
});
afterAll(() => cluster.stop());

describe("the upgrade", () => {
  it("is announced to the master", () => {
    expect(cluster.master.registrations.at(-1)?.wssUrl).toBe(`wss://127.0.0.1:${portOf()}`);
  });

  it("[WS-1] speaks the subprotocol sustenet.v1", async () => {
    const client = await joined();
    expect(client.socket.protocol).toBe("sustenet.v1");
  });

  it.each([
    ["without a subprotocol", ""],
    ["with another one", "sustenet.v2"],
  ])("[WS-1] is refused %s", async (_what, subprotocol) => {
    const before = refusals()["NO_SUBPROTOCOL"] ?? 0;
    const client = begin({}, subprotocol);
    await client.gone();
    expect(client.status).toBe(400);
    await until("the count", () => refusals()["NO_SUBPROTOCOL"] === before + 1);
  });

  it("[WS-1] is asked for when a request has none", async () => {
    const peer = raw();
    peer.socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await until("the end", peer.gone);
    expect(peer.heard().toString()).toContain("426 Upgrade Required");
    expect(refusals()["NO_UPGRADE"]).toBe(1);
  });

  it("[WS-2] takes a request of 8 KiB, and none beyond", async () => {
    const request = (bytes: number): string => {
      const text = `${upgrade.join("\r\n")}\r\nCookie: \r\n\r\n`;
      return text.replace("Cookie: ", `Cookie: ${"x".repeat(bytes - text.length)}`);
    };
    const small = raw();
    small.socket.write(request(8_192));
    await until("the upgrade", () => small.heard().includes("101 Switching Protocols"));
    // Neither method, version, separators nor line ends count.
    const uncounted = request(8_192).replaceAll(/^GET | HTTP\/1\.1|: |\r\n/g, "").length;
    const large = raw();
    large.socket.write(request(8_192 + (8_192 - uncounted)));
    await until("the end", large.gone);
    expect(large.heard().toString()).not.toContain("101");
  });

  it("[WS-7] is refused to pages of other origins, and open to ours and to those who are no browser", async () => {
    const stranger = begin({ headers: { origin: "https://evil.example.com" } });
    await stranger.gone();
    expect(stranger.status).toBe(403);
    await until("the count", () => refusals()["ORIGIN_NOT_ALLOWED"] === 1);
    await joined({ headers: { origin: "https://play.example.com" } });
    await joined();
  });

  it("[WS-5] does not take up compression", async () => {
    const client = await joined({ perMessageDeflate: true });
    expect(client.socket.extensions).toBe("");
  });
});

describe("messages", () => {
  it("[WS-3] carry one frame each, without its length", async () => {
    const client = await joined();
    client.send(message(7, 3), message(8, 0), encodePing({ timeMs: 5 }));
    expect(await client.next("message")).toEqual({ type: "message", command: 7, payload: Uint8Array.of(7, 7, 7) });
    expect(await client.next("message")).toMatchObject({ command: 8, payload: new Uint8Array(0) });
    expect(await client.next("pong")).toMatchObject({ echoMs: 5 });
  });

  it("[WS-3] leave in one write, however many they are", async () => {
    const client = await joined();
    const before = cluster.server.metrics.writes;
    client.socket.send(message(1, 0).subarray(2));
    await client.next("message");
    expect(cluster.server.metrics.writes).toBe(before + 1);
    const large = Array.from({ length: 50 }, (_, index) => message(index, 900));
    client.send(...large);
    for (let index = 0; index < 50; index += 1) {
      const { command, payload } = await client.next("message");
      expect([command, payload.length]).toEqual([index, 900]);
    }
  });

  it.each<[string, (client: WebSocketClient) => void]>([
    ["text", (client) => client.socket.send("hello")],
    ["an empty one", (client) => client.socket.send(new Uint8Array(0))],
    ["a frame of a type that is not known", (client) => client.send(rawFrame(0x20))],
  ])("[WS-3] [FRAME-6] are answered by PROTOCOL_ERROR if they are malformed: %s", async (_what, say) => {
    const client = await joined();
    say(client);
    expect((await client.next("close")).code).toBe(closeCodes.PROTOCOL_ERROR.number);
    expect(await client.gone()).toBe(1000);
  });

  it("[WS-4] may be as long as the state allows, in HELLO, JOIN and the game", async () => {
    const ticket = await cluster.master.ticket();
    const padded = (frame: Uint8Array, length: number): Uint8Array =>
      Buffer.concat([frame.subarray(2), new Uint8Array(length - (frame.length - 2))]);
    const client = await begin().opened();
    client.socket.send(padded(hello(), 256));
    client.socket.send(padded(encodeJoin({ ticket }), 4_096));
    await client.next("welcome");
    client.socket.send(message(1, 998).subarray(2));
    expect((await client.next("message")).payload.length).toBe(998);
    client.socket.send(message(1, 999).subarray(2));
    expect(await client.gone()).toBe(1009);
  });

  it("[WS-4] are cut off at their announced length, before their bytes have come: HELLO of 257", async () => {
    const before = refusals()["FRAME_TOO_LARGE"] ?? 0;
    const peer = await upgraded();
    peer.socket.write(head(0x82, 257));
    await until("the end", peer.gone);
    expect(refusals()["FRAME_TOO_LARGE"]).toBe(before + 1);
  });

  it("[WS-4] are cut off at their announced length: JOIN of 4,097, and more while the ticket is checked", async () => {
    const before = refusals()["FRAME_TOO_LARGE"] ?? 0;
    const peer = await upgraded();
    const first = hello().subarray(2);
    peer.socket.write(Buffer.concat([head(0x82, first.length), first, head(0x82, 4_097)]));
    await until("the end", peer.gone);
    expect(refusals()["FRAME_TOO_LARGE"]).toBe(before + 1);
    const early = refusals()["EARLY_FRAME"] ?? 0;
    const eager = await upgraded();
    const join = encodeJoin({ ticket: await cluster.master.ticket() }).subarray(2);
    eager.socket.write(
      Buffer.concat([head(0x82, first.length), first, head(0x82, join.length), join, head(0x82, 500)]),
    );
    await until("its end", eager.gone);
    expect(refusals()["EARLY_FRAME"]).toBe(early + 1);
  });

  it("[WS-5] may come in 64 fragments, and in no more", async () => {
    const client = await joined();
    const fragments = (count: number): void => {
      const [type = 0, ...body] = message(9, count - 2).subarray(2);
      client.socket.send(Uint8Array.of(type), { fin: false });
      for (const [index, byte] of body.entries())
        client.socket.send(Uint8Array.of(byte), { fin: index === body.length - 1 });
    };
    fragments(64);
    expect((await client.next("message")).payload.length).toBe(62);
    fragments(65);
    expect(await client.gone()).toBe(1008);
  });

  it("[WS-5] may come in 1,024 pieces, and in no more", async () => {
    const own = await startTestCluster({
      settings: { wsPort: 0 },
      plugin: { onMessage: (player, _command, reader) => void player.send(reader.remaining & 255) },
    });
    const peer = await upgraded(raw(own.server.address?.webSocketPort, own.target));
    for (const frame of [hello(), encodeJoin({ ticket: await own.master.ticket() })]) {
      peer.socket.write(Buffer.concat([head(0x82, frame.length - 2), frame.subarray(2)]));
    }
    await until("the game", () => own.server.metrics.connections.joined === 1);
    /** A message of so many bytes, each in a TLS record of its own behind that of the head. */
    const say = async (bytes: number): Promise<void> => {
      peer.socket.write(head(0x82, bytes));
      for (const byte of message(1, bytes - 2).subarray(2)) {
        await new Promise((resolve) => peer.socket.write(Uint8Array.of(byte), resolve));
      }
    };
    await say(1_024);
    // A message of one frame: MESSAGE, and what was left of the payload.
    await until("the answer", () => peer.heard().includes(Buffer.from([0x82, 2, 0x40, 1_022 & 255])));
    await say(1_025);
    await until("the end", peer.gone);
    expect(peer.heard().subarray(-4)).toEqual(Buffer.from([0x88, 2, 1008 >> 8, 1008 & 255]));
    await own.stop();
  });

  it("[WS-5] may not be compressed, nor unmasked", async () => {
    for (const bytes of [head(0xc2, 5), Buffer.from([0x82, 0x01, 0x01])]) {
      const before = refusals()["BAD_VALUE"] ?? 0;
      const peer = await upgraded();
      peer.socket.write(bytes);
      await until("the end", peer.gone);
      expect(refusals()["BAD_VALUE"]).toBe(before + 1);
    }
  });

  it("[WS-6] may have 16 pings between them, and no more", async () => {
    const client = await joined();
    const pongs: string[] = [];
    client.socket.on("pong", (data) => pongs.push(data.toString()));
    client.socket.ping("first");
    await until("a pong", () => pongs.includes("first"));
    for (let count = 0; count < 15; count += 1) client.socket.ping();
    client.send(message(1, 0));
    await client.next("message");
    for (let count = 0; count < 17; count += 1) client.socket.ping();
    expect((await client.next("close")).code).toBe(closeCodes.PROTOCOL_ERROR.number);
  });
});

describe("the end", () => {
  it("[WS-8] comes with 1000 after the last frame: CLOSE, or REJECT", async () => {
    const ticket = await cluster.master.ticket({ boot: 1 });
    const rejected = await begin().opened();
    rejected.join(ticket);
    expect((await rejected.next("reject")).code).toBe(closeCodes.STALE_BOOT.number);
    expect(await rejected.gone()).toBe(1000);
    const leaver = await joined();
    leaver.send(encodeClose("NORMAL"));
    expect(await leaver.gone()).toBe(1000);
  });

  it("is a drop when the page goes away", async () => {
    const before = cluster.server.metrics.connections.joined;
    const client = await joined();
    client.socket.close(1001);
    await client.gone();
    await until("its departure", () => cluster.server.metrics.connections.joined === before);
    expect(cluster.server.metrics.departures["DROPPED"]).toBeGreaterThan(0);
  });

  it("comes for whoever does not read", async () => {
    const client = await joined();
    const { joined: others } = cluster.server.metrics.connections;
    client.socket.pause();
    for (let count = 0; count < 20_000; count += 1) client.send(message(1, 990));
    await until("its end", () => cluster.server.metrics.connections.joined === others - 1, 15_000);
    expect(cluster.server.metrics.departures["SLOW_CONSUMER"]).toBe(1);
  });
});

describe("a session", () => {
  const capable = encodeHello({
    minVersion: 1,
    maxVersion: 1,
    features: features.resume | features.state,
    client: "x",
  });

  it("[RESUME-3] goes on over WebSocket where it began over TLS and TCP, and the other way round", async () => {
    const first = await cluster.connected();
    first.send(capable, encodeJoin({ ticket: await cluster.master.ticket() }));
    await first.next("welcome");
    let { token } = await first.next("resumeToken");
    first.send(message(1, 3));
    await first.next("message");
    first.close();
    const second = await begin().opened();
    second.send(capable, encodeResume({ received: 0, token }));
    expect(await second.next("resumed")).toMatchObject({ received: 1 });
    ({ token } = await second.next("resumeToken"));
    expect((await second.next("message")).payload).toEqual(Uint8Array.of(1, 1, 1));
    second.send(encodeAck({ received: 1 }), message(2, 1));
    expect((await second.next("message")).command).toBe(2);
    second.socket.close(1000);
    await second.gone();
    const third = await cluster.connected();
    third.send(capable, encodeResume({ received: 1, token }));
    expect(await third.next("resumed")).toMatchObject({ received: 2 });
    expect((await third.next("message")).command).toBe(2);
    third.send(encodeClose("NORMAL"));
    await third.gone();
  });
});

describe("deadlines and places", () => {
  it("[WS-2] [NET-2] end an upgrade that takes too long, and a HELLO that does not come, however busily they drip", async () => {
    const own = await startTestCluster({
      settings: { wsPort: 0 },
      limits: { handshakeTimeoutMs: 400, joinTimeoutMs: 400 },
    });
    const port = own.server.address?.webSocketPort ?? 0;
    const { serverName: servername, caPem: ca } = own.target;
    const open = (): TLSSocket => {
      const socket = connect({ host: "127.0.0.1", port, servername, ca });
      socket.on("error", () => undefined);
      sockets.push(socket);
      return socket;
    };
    const dripping = open();
    dripping.write("GET / HTTP/1.1\r\nX: ");
    const silent = new WebSocketClient(port, own.target);
    const dripper = setInterval(() => dripping.write("x"), 20);
    await silent.opened();
    const pinger = setInterval(() => silent.socket.ping(), 100);
    await until("both ends", () => dripping.destroyed && silent.closeCode !== undefined);
    clearInterval(dripper);
    clearInterval(pinger);
    expect(own.server.metrics.refusals).toEqual({ HANDSHAKE_TIMEOUT: 1, JOIN_TIMEOUT: 1 });
    await own.stop();
  });

  it("[NET-1] are shared with the other listener", async () => {
    const own = await startTestCluster({ settings: { wsPort: 0, maxUnauthenticatedPerIp: 2 } });
    const port = own.server.address?.webSocketPort ?? 0;
    const first = await new WebSocketClient(port, own.target).opened();
    await own.connected();
    const third = new WebSocketClient(port, own.target);
    await third.gone();
    expect(own.server.metrics.refusals).toEqual({ TOO_MANY_FROM_ADDRESS: 1 });
    first.join(await own.master.ticket());
    await first.next("welcome");
    const fourth = await new WebSocketClient(port, own.target).opened();
    for (const client of [first, fourth]) client.close();
    await own.stop();
  });
});

it("says which port is taken, by the name of its setting", async () => {
  const starting = startTestCluster({ settings: { wsPort: portOf() } });
  await expect(starting).rejects.toThrow("set another [cluster] ws_port");
});
