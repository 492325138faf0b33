import { encodeStreams } from "../../protocol/index.ts";
import type { StreamPosition } from "../../protocol/handover/streams.ts";
import type { JoinedPlayer } from "./joined-player.ts";
import type { Session } from "./session.ts";
import { encodeWelcomeOf } from "./welcome-frame.ts";

/**
 * Puts a client that has not been here before, or not on this session, on a player whose streams go on: WELCOME, STREAMS and RESUME_TOKEN, then
 * what it has missed. [ARRIVE-5]
 *
 * @param again what the client has missed at its position
 */
export function takeOver(
  session: Session,
  player: JoinedPlayer,
  position: StreamPosition,
  again: readonly Uint8Array[],
): void {
  const { streams, tenure } = player;
  if (streams === undefined) throw new Error("a player without streams cannot be taken over");
  player.hearOffer(session.hello?.features ?? 0);
  streams.acknowledge(position.received >>> 0);
  streams.report();
  const told = encodeStreams({ tenure, received: streams.lastInput, fresh: false });
  session.takeUp(player, [encodeWelcomeOf(session.context, player), told, player.issueToken()], again, true);
}
