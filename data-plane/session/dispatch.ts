import { type ClientMessage, decodeClientMessage, messageTypes, ProtocolError } from "../../protocol/index.ts";
import { handleClose } from "./handlers/close.ts";
import { handleHello } from "./handlers/hello.ts";
import { handleJoin } from "./handlers/join.ts";
import { handleMessage } from "./handlers/message.ts";
import { handleMove } from "./handlers/move.ts";
import { handlePing } from "./handlers/ping.ts";
import { handlePong } from "./handlers/pong.ts";
import type { Session, SessionState } from "./session.ts";

/** What each state may receive. Spec: docs/PROTOCOL.md, section 7. */
const allowed: Readonly<Record<SessionState, ReadonlySet<number>>> = {
  hello: new Set([messageTypes.hello]),
  join: new Set([messageTypes.join]),
  verifying: new Set(),
  joined: new Set([messageTypes.move, messageTypes.message, messageTypes.ping, messageTypes.pong, messageTypes.close]),
  closing: new Set(),
};

/**
 * Hands a frame to the handler of its type, if the state allows it. [STATE-1]
 *
 * @throws ProtocolError for what is malformed
 */
export function dispatch(session: Session, frame: Uint8Array): void {
  const [type = 0] = frame;
  const { state } = session;
  if (state === undefined || !allowed[state].has(type)) {
    throw new ProtocolError("UNEXPECTED_TYPE", `type ${type} is not allowed in this state`);
  }
  handle(session, decodeClientMessage(frame));
}

function handle(session: Session, message: ClientMessage): void {
  switch (message.type) {
    case "move":
      return handleMove(session, message);
    case "message":
      return handleMessage(session, message);
    case "ping":
      return handlePing(session, message);
    case "pong":
      return handlePong(session, message);
    case "hello":
      return handleHello(session, message);
    case "join":
      return handleJoin(session, message);
    case "close":
      return handleClose(session, message);
  }
}
