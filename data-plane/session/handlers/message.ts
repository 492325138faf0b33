import { ProtocolError } from "../../../protocol/index.ts";
import type { Session } from "../session.ts";

/**
 * A message of the game: the plugin's. Its body, command and payload, lies in `bytes` from `start` to `end`. That is what
 * node:tls handed over, which it does not use again, so an asynchronous hook may keep reading it.
 */
export function handleMessage(session: Session, bytes: Uint8Array, start: number, end: number): void {
  const { player } = session;
  // [FRAME-5]
  if (start >= end) throw new ProtocolError("TRUNCATED", "a message without a command");
  if (player !== undefined) session.context.host.message(player.lane, player, bytes, start, end);
}
