import { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import { duplexPair } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, it } from "vitest";
import { WebSocketServer } from "ws";
import { WebSocketPlayerSocket } from "./websocket-player-socket.ts";

/** A masked frame of a client's, without a payload. */
const control = (opcode: number): Uint8Array => Uint8Array.of(0x80 | opcode, 0x80, 0, 0, 0, 0);
const ping = control(9);

it("[SLOW-1] [WS-6] says when it has written a pong with nothing else under way: it is that which may make no headway", async () => {
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
  const told: string[] = [];
  const { promise, resolve } = Promise.withResolvers<WebSocketPlayerSocket>();
  server.handleUpgrade(request, own, Buffer.alloc(0), (webSocket) => {
    resolve(new WebSocketPlayerSocket(webSocket, own, "203.0.113.7"));
  });
  const socket = await promise;
  socket.maxFrameBytes = 100;
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
