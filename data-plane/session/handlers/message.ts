import type { Message } from "../../../protocol/index.ts";
import type { Session } from "../session.ts";

/**
 * A message of the game: the plugin's. The payload is a view on what node:tls handed over, which it does not use again, so
 * an asynchronous hook may keep reading it.
 */
export function handleMessage(session: Session, message: Message): void {
  const { player } = session;
  if (player !== undefined) session.context.host.message(player.lane, player, message.command, message.payload);
}
