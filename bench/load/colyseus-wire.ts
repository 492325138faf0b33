import { Agent as HttpAgent, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { z } from "zod";
import { cipher } from "../contenders/contender.ts";
import { Dialler, type Endpoint } from "./endpoint.ts";
import type { Link } from "./link.ts";
import { maskedFrame } from "./scanner.ts";
import { openWebSocket, opcodes, upgrade } from "./websocket-wire.ts";
import type { Wire } from "./wire.ts";

/** First bytes of Colyseus 0.18's messages, from its `Protocol`. */
const codes = { joinRoom: 10, error: 11, leaveRoom: 12, roomDataBytes: 17 } as const;

/** Type of the game's messages. */
const messageType = 1;

const reservationSchema = z.object({ roomId: z.string(), processId: z.string(), sessionId: z.string() });

type Reservation = z.infer<typeof reservationSchema>;

/** What Colyseus's own SDK says on the wire: a seat by HTTP, then a WebSocket that takes it. */
export function createColyseusWire(endpoint: Endpoint): Wire {
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
        if (code === codes.roomDataBytes) link.count(bytes, start + 2, end);
        else if (code === codes.error) reject(new Error("Colyseus refused the player"));
        else if (code === codes.joinRoom) {
          link.write(maskedFrame(opcodes.binary, Buffer.of(codes.joinRoom)));
          resolve(link);
        }
      });
      socket.once("close", () => reject(new Error("closed before the player was in the room")));
      joined.push(rest);
      return promise;
    },
    message: (payload) =>
      maskedFrame(opcodes.binary, Buffer.concat([Buffer.of(codes.roomDataBytes, messageType), payload])),
    attendMs: undefined,
    attend: () => {},
    goodbye: maskedFrame(opcodes.binary, Buffer.of(codes.leaveRoom)),
  };
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
    path: "/matchmake/joinOrCreate/echo",
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
