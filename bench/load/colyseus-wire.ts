import { Agent as HttpAgent, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { z } from "zod";
import { cipher, messageKinds, roomName } from "../contenders/contender.ts";
import { Dialler, type Endpoint } from "./endpoint.ts";
import type { Link } from "./link.ts";
import { maskedFrame } from "./scanner.ts";
import { openWebSocket, opcodes, upgrade } from "./websocket-wire.ts";
import type { Wire } from "./wire.ts";

/** First bytes of Colyseus 0.18's messages, from its `Protocol`. */
export const codes = {
  joinRoom: 10,
  error: 11,
  leaveRoom: 12,
  roomState: 14,
  roomStatePatch: 15,
  roomDataBytes: 17,
} as const;

/** Told of each message, its code at `start`, once the player is in the room. */
export type ColyseusHandler = (link: Link, bytes: Buffer, start: number, end: number) => void;

/** The messages of a game without state. */
const countData: ColyseusHandler = (link, bytes, start, end) => {
  if (bytes[start] === codes.roomDataBytes) link.count(bytes, start + 2, end);
};

const reservationSchema = z.object({ roomId: z.string(), processId: z.string(), sessionId: z.string() });

type Reservation = z.infer<typeof reservationSchema>;

/** What Colyseus's own SDK says on the wire: a seat by HTTP, then a WebSocket that takes it. */
export function createColyseusWire(endpoint: Endpoint, hear = countData): Wire {
  const dialler = new Dialler(endpoint);
  const reserve = createReserving(endpoint);
  const reserved: Reservation[] = [];
  return {
    prepare: async (count) => {
      while (endpoint.seats === "reserved" && reserved.length < count) reserved.push(await reserve());
    },
    join: async () => {
      const { processId, roomId, sessionId } = reserved.pop() ?? (await reserve());
      const socket = await dialler.dial();
      const { rest } = await upgrade(socket, `/${processId}/${roomId}?sessionId=${sessionId}`);
      const { promise, resolve, reject } = Promise.withResolvers<Link>();
      const joined = openWebSocket(socket, (link, bytes, start, end) => {
        const code = bytes[start];
        if (code === codes.error) reject(new Error("Colyseus refused the player"));
        if (code === codes.joinRoom) {
          link.write(maskedFrame(opcodes.binary, Buffer.of(codes.joinRoom)));
          resolve(link);
        }
        hear(link, bytes, start, end);
      });
      socket.once("close", () => reject(new Error("closed before the player was in the room")));
      joined.push(rest);
      return promise;
    },
    message: gameMessage,
    attendMs: undefined,
    attend: () => {},
    goodbye: maskedFrame(opcodes.binary, Buffer.of(codes.leaveRoom)),
  };
}

/** A message of the game, as a frame. */
export function gameMessage(payload: Uint8Array): Buffer {
  return maskedFrame(opcodes.binary, Buffer.concat([Buffer.of(codes.roomDataBytes, messageKinds.game), payload]));
}

/**
 * Reserves a seat over HTTP. `fresh` opens a connection for each, as the devices of different players must; otherwise
 * they share a few that stay open, which spares the server a handshake: the cheaper way is the one that a goal is held to.
 */
function createReserving(endpoint: Endpoint): () => Promise<Reservation> {
  const { encrypted, caPem, serverName, port, seats } = endpoint;
  const keepAlive = seats !== "fresh";
  const agent = encrypted
    ? new HttpsAgent({
        keepAlive,
        ca: caPem,
        servername: serverName,
        ciphers: cipher,
        minVersion: "TLSv1.3",
        maxCachedSessions: 0,
      })
    : new HttpAgent({ keepAlive });
  const request = encrypted ? httpsRequest : httpRequest;
  const headers = { accept: "application/json", "content-type": "application/json", "content-length": 2 };
  const options = {
    agent,
    port,
    host: "127.0.0.1",
    method: "POST",
    path: `/matchmake/joinOrCreate/${roomName}`,
    headers,
  };
  const ask = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const sent = request(options, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
        response.on("end", () => resolve(text));
      });
      // A connection that was kept may just have been closed over there: then it is asked again, over another one.
      sent.on("error", (error) => (sent.reusedSocket ? resolve(ask()) : reject(error)));
      sent.end("{}");
    });
  return async () => {
    const text = await ask();
    const parsed = reservationSchema.safeParse(parseJson(text));
    if (!parsed.success) throw new Error(`no seat: ${text.slice(0, 200)}`);
    return parsed.data;
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
