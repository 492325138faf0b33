import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { Dialler, type Endpoint } from "./endpoint.ts";
import { Link } from "./link.ts";
import { type FrameHandler, maskedFrame, WebSocketScanner } from "./scanner.ts";
import type { Wire } from "./wire.ts";

export const opcodes = { binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** Plain WebSocket: a message of the game is a binary message. */
export function createWebSocketWire(endpoint: Endpoint): Wire {
  const dialler = new Dialler(endpoint);
  return {
    prepare: async () => {},
    join: async () => {
      const { socket, rest } = await upgrade(await dialler.dial(), "/");
      const joined = openWebSocket(socket, (link, bytes, start, end) => link.count(bytes, start, end));
      joined.push(rest);
      return joined;
    },
    message: (payload) => maskedFrame(opcodes.binary, payload),
    attendMs: undefined,
    attend: () => {},
    goodbye: maskedFrame(opcodes.close, Buffer.of(0x03, 0xe8)),
  };
}

/** Asks for a WebSocket, with the header fields that a client of Node or a browser sends. */
export async function upgrade(socket: Socket, path: string): Promise<{ socket: Socket; rest: Buffer }> {
  const lines = [
    `GET ${path} HTTP/1.1`,
    "Host: 127.0.0.1",
    "Connection: Upgrade",
    "Upgrade: websocket",
    `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}`,
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    "",
    "",
  ];
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  let head = Buffer.alloc(0);
  const onData = (piece: Buffer): void => {
    head = Buffer.concat([head, piece]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) return;
    const text = head.toString("latin1", 0, end);
    if (text.startsWith("HTTP/1.1 101 ")) resolve(head.subarray(end + 4));
    else reject(new Error(`no WebSocket: ${text.split("\r\n", 1)[0]}`));
  };
  const onClose = (): void => reject(new Error("closed before the WebSocket was open"));
  socket.on("data", onData).once("error", reject).once("close", onClose);
  socket.write(lines.join("\r\n"));
  try {
    const rest = await promise;
    return { socket, rest };
  } finally {
    socket.off("data", onData).off("error", reject).off("close", onClose);
  }
}

/** A link over an open WebSocket; pings are answered, binary messages handed on. */
export function openWebSocket(
  socket: Socket,
  onMessage: (link: Link, bytes: Buffer, start: number, end: number) => void,
): Link {
  return new Link(socket, new WebSocketScanner(), (link): FrameHandler => (opcode, bytes, start, end) => {
    if (opcode === opcodes.binary) onMessage(link, bytes, start, end);
    else if (opcode === opcodes.ping) link.write(maskedFrame(opcodes.pong, bytes.subarray(start, end)));
    else if (opcode === opcodes.close) link.fault ??= "the server closed the WebSocket";
  });
}
