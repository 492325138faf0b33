import { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import { type Duplex, duplexPair } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, it } from "vitest";
import { WebSocketServer } from "ws";
import { until } from "../testing/until.ts";
import { WebSocketPlayerSocket } from "./websocket-player-socket.ts";

/** A masked frame of a client's, without a payload. */
const control = (opcode: number): Uint8Array => Uint8Array.of(0x80 | opcode, 0x80, 0, 0, 0, 0);
const ping = control(9);
/** One of MESSAGE with this command. */
const message = (command: number): Uint8Array => Uint8Array.of(0x82, 0x82, 0, 0, 0, 0, 0x40, command);

/** A WebSocket after its upgrade, at its cluster's side, and the stream that its client writes to. */
async function accepted(): Promise<{ socket: WebSocketPlayerSocket; client: Duplex; server: WebSocketServer }> {
  // What is written is under way until the other side has read what it has.
  const [own, client] = duplexPair({ readableHighWaterMark: 1 });
  const request = new IncomingMessage(new Socket());
  request.method = "GET";
  request.headers = {
    connection: "upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
  };
  const server = new WebSocketServer({ noServer: true, autoPong: false });
  const { promise, resolve } = Promise.withResolvers<WebSocketPlayerSocket>();
  server.handleUpgrade(request, own, Buffer.alloc(0), (webSocket) => {
    resolve(new WebSocketPlayerSocket(webSocket, own, "203.0.113.7"));
  });
  const socket = await promise;
  socket.maxFrameBytes = 100;
  return { socket, client, server };
}

it("[SLOW-1] [WS-6] says when it has written a pong with nothing else under way: it is that which may make no headway", async () => {
  const { socket, client, server } = await accepted();
  const told: string[] = [];
  socket.listen({
    onBytes: () => true,
    onFrame: () => true,
    onOwnWrite: () => told.push("own write"),
    onFault: () => told.push("fault"),
    onClose: () => told.push("closed"),
  });
  const says = async (bytes: Uint8Array): Promise<void> => {
    client.write(bytes);
    for (let turn = 0; turn < 4; turn += 1) await nextTurn();
  };
  // It has read the answer to its upgrade, and reads nothing more.
  client.read();
  await nextTurn();
  expect(socket.isWriting).toBe(false);
  await says(ping);
  expect([socket.isWriting, told]).toEqual([true, ["own write"]]);
  await says(ping);
  expect(told).toEqual(["own write"]);
  client.read();
  await nextTurn();
  socket.write(Uint8Array.of(1, 0, 7));
  await says(ping);
  expect([socket.isWriting, told], "it goes behind a frame").toEqual([true, ["own write"]]);
  socket.destroy();
  server.close();
});

it("[BUDGET-3] hands on 256 messages and control frames in one turn, and those after them in later ones, in order", async () => {
  const { socket, client, server } = await accepted();
  const turns: number[][] = [];
  let inTurn: number[] | undefined;
  const note = (command: number): void => {
    if (inTurn === undefined) {
      turns.push((inTurn = []));
      setImmediate(() => (inTurn = undefined));
    }
    inTurn.push(command);
  };
  socket.listen({
    onBytes: (count) => {
      if (count === 0) note(-1);
      return true;
    },
    onFrame: (bytes, start) => {
      note(bytes[start + 1] ?? 0);
      return true;
    },
    onOwnWrite: () => undefined,
    onFault: (error) => expect.unreachable(String(error)),
    onClose: () => undefined,
  });
  const says = Array.from({ length: 1_000 }, (_, index) => index % 200);
  const frames = says.flatMap((command) => [message(command), control(10)]);
  client.write(Buffer.concat(frames));
  await until("all", () => turns.flat().length === 2_000);
  expect(turns.flat().filter((command) => command >= 0)).toEqual(says);
  expect(Math.max(...turns.map(({ length }) => length))).toBeLessThanOrEqual(256);
  expect(turns.length).toBeLessThanOrEqual(50);
  socket.destroy();
  server.close();
});
