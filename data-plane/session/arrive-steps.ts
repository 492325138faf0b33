import { type Arrive, features } from "../../protocol/index.ts";
import type { JoinedPlayer } from "./joined-player.ts";
import type { Session } from "./session.ts";
import { continueStreams } from "./stream-return.ts";
import { takeOver } from "./take-over.ts";

/**
 * Takes a connection from ARRIVE to WELCOME, or to its end. Whatever is wrong, the answer is the same: a stranger learns nothing.
 * [ARRIVE-3] [ARRIVE-4]
 */
export async function runArrive(session: Session, { id, key, token, position }: Arrive): Promise<void> {
  const { context, hello } = session;
  if (hello === undefined) throw new Error("ARRIVE without HELLO");
  const arrived = await context.arrivals()?.arrive({ id, key, token, hello });
  if (session.state !== "verifying") return;
  if (arrived === undefined) return refuse(session);
  if ("refused" in arrived) return session.reject(arrived.refused, arrived.retryAfterMs);
  if ("redirect" in arrived) return session.sendOn(arrived.redirect);
  const { player } = arrived;
  const again = player.connected && suits(session, player) ? continueStreams(player, position) : undefined;
  if (again === undefined) return refuse(session);
  takeOver(session, player, position, again);
}

/** Whether the client still speaks what it spoke where it came from. */
function suits({ hello }: Session, { version, features: inForce }: JoinedPlayer): boolean {
  if (hello === undefined) return false;
  const { minVersion, maxVersion, features: offered } = hello;
  return version >= minVersion && version <= maxVersion && (inForce & ~(offered | features.ahead)) === 0;
}

function refuse(session: Session): void {
  session.reject(session.context.stopping() ? "SHUTTING_DOWN" : "ARRIVAL_UNKNOWN");
}
