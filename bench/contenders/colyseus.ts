import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type Client, Room, Server } from "@colyseus/core";
import { WebSocketTransport } from "@colyseus/ws-transport";
import {
  type Contender,
  messageKinds,
  roomName,
  type ServerOptions,
  stamp,
  startTicking,
  type TickWork,
  tlsOptions,
} from "./contender.ts";

const rooms = new Set<EchoRoom>();

class EchoRoom extends Room {
  // The game has no synchronised state here: no patches to look for.
  override patchRate = null;
  override autoDispose = false;
  /** Seats are reserved some time before they are taken in one of the measurements. */
  override seatReservationTimeout = 120;

  override onCreate(): void {
    rooms.add(this);
    this.onMessageBytes(messageKinds.game, (client: Client, bytes: Uint8Array) => {
      client.sendBytes(messageKinds.game, bytes);
    });
  }
}

/** Colyseus from npm over its own WebSocket transport, one room with everybody in it. */
export async function startColyseus(options: ServerOptions, encrypted: boolean): Promise<Contender> {
  const httpServer = encrypted ? createHttpsServer(tlsOptions(options)) : createHttpServer();
  const server = new Server({
    greet: false,
    gracefullyShutdown: false,
    transport: new WebSocketTransport({ server: httpServer }),
  });
  server.define(roomName, EchoRoom);
  let work: TickWork | undefined;
  startTicking(options.tickHz, (tick) => {
    if (work !== undefined) for (const room of rooms) send(room, work, tick);
  });
  await server.listen(0, "127.0.0.1", 4_096);
  const address = httpServer.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return {
    port: address.port,
    players: () => [...rooms].reduce((sum, room) => sum + room.clients.length, 0),
    setWork: (next) => (work = next),
  };
}

function send(room: EchoRoom, { messages, payloadBytes }: TickWork, tick: number): void {
  // Colyseus copies the payload: one buffer serves all.
  const payload = new Uint8Array(payloadBytes);
  let player = 0;
  for (const client of room.clients) {
    player += 1;
    for (let message = 0; message < messages; message++) {
      stamp(payload, 0, tick, player, message);
      client.sendBytes(messageKinds.game, payload);
    }
  }
}
