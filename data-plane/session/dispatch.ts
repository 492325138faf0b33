import {
  ByteReader,
  type ClientMessage,
  decodeClientMessage,
  decodeMove,
  features,
  messageTypes,
  ProtocolError,
} from "../../protocol/index.ts";
import { handleArrive } from "./handlers/arrive.ts";
import { handleClose } from "./handlers/close.ts";
import { handleHello } from "./handlers/hello.ts";
import { handleJoin } from "./handlers/join.ts";
import { handleMessage } from "./handlers/message.ts";
import { movePlayer } from "./player-move.ts";
import { handlePing } from "./handlers/ping.ts";
import { handlePong } from "./handlers/pong.ts";
import { handleResume } from "./handlers/resume.ts";
import type { Session, SessionState } from "./session.ts";

/** What each state may receive, and the feature that has to be in force for it. Spec: docs/PROTOCOL.md, section 7. */
const allowed: Readonly<Record<SessionState, ReadonlyMap<number, number>>> = {
  hello: new Map([[messageTypes.hello, 0]]),
  join: new Map([
    [messageTypes.join, 0],
    [messageTypes.resume, features.resume],
    [messageTypes.arrive, features.handover],
  ]),
  verifying: new Map(),
  joined: new Map([
    [messageTypes.move, 0],
    [messageTypes.message, 0],
    [messageTypes.ping, 0],
    [messageTypes.pong, 0],
    [messageTypes.close, 0],
    [messageTypes.request, features.requests],
    [messageTypes.response, features.requests],
    [messageTypes.cancel, features.requests],
    [messageTypes.ack, features.resume],
  ]),
  closing: new Map(),
};

/**
 * Hands a frame, which lies in `bytes` from `start` to `end`, to the handler of its type, if the state allows it. [STATE-1]
 *
 * @throws ProtocolError for what is malformed
 */
export function dispatch(session: Session, bytes: Uint8Array, start: number, end: number): void {
  const type = bytes[start] ?? 0;
  const { state, player } = session;
  // What nearly every frame is, always allowed to who has joined: no tables, and nothing made for it.
  if (state === "joined") {
    if (type === messageTypes.message) return handleMessage(session, bytes, start + 1, end);
    if (type === messageTypes.move && player !== undefined) {
      return movePlayer(session.context, player, decodeMove(new ByteReader(bytes, start + 1, end)));
    }
  }
  const feature = state === undefined ? undefined : allowed[state].get(type);
  const inForce = player?.features ?? offered(session);
  if (feature === undefined || (feature & inForce) !== feature) {
    throw new ProtocolError("UNEXPECTED_TYPE", `type ${type} is not allowed in this state`);
  }
  handle(session, decodeClientMessage(bytes.subarray(start, end)));
}

/** What the client offers and this cluster has, before a player is known. */
function offered({ hello, context }: Session): number {
  const all = hello?.features ?? 0;
  return context.arrivals() === undefined ? all & ~features.handover : all;
}

function handle(session: Session, message: ClientMessage): void {
  switch (message.type) {
    case "move":
    case "message":
      // Dealt with before they got here; a MOVE without a player moves nobody.
      return;
    case "ping":
      return handlePing(session, message);
    case "pong":
      return handlePong(session, message);
    case "hello":
      return handleHello(session, message);
    case "join":
      return handleJoin(session, message);
    case "resume":
      return handleResume(session, message);
    case "arrive":
      return handleArrive(session, message);
    case "request":
    case "response":
    case "cancel":
      return session.player?.requests.receive(message);
    case "ack":
      return session.player?.streams?.acknowledge(message.received);
    case "close":
      return handleClose(session, message);
  }
}
