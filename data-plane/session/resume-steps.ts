import { type CloseCode, encodeResumed, encodeStreams, features, type Resume } from "../../protocol/index.ts";
import type { JoinedPlayer } from "./joined-player.ts";
import { playerNumberOf } from "./resume-token.ts";
import type { Session } from "./session.ts";

/**
 * Takes a connection from RESUME to RESUMED, or to REJECT, in this order. Whatever is wrong with the token, the answer is
 * the same: a stranger learns nothing. [RESUME-6]
 */
export function runResume(session: Session, resume: Resume): void {
  const { context } = session;
  if (context.stopping()) return session.reject("SHUTTING_DOWN");
  const player = findPlayer(session, resume.token);
  // It has gone on to another cluster: who has it sends its client there. [REDIRECT-2]
  if (player !== undefined && !player.connected) return session.takeUp(player, [], []);
  const again = player?.streams?.unreceived(resume.received);
  if (player?.streams === undefined || again === undefined) return refuse(session, player);
  player.streams.acknowledge(resume.received);
  const resumed = encodeResumed({
    received: player.streams.report(),
    timeMs: context.clock.monotonicMs(),
    tick: context.tick() >>> 0,
    tickHz: context.settings.tickHz,
  });
  const { tenure, streams } = player;
  const told = encodeStreams({ tenure, received: streams.lastInput, fresh: false });
  session.takeUp(
    player,
    player.has(features.handover) ? [resumed, told, player.issueToken()] : [resumed, player.issueToken()],
    again,
  );
}

function findPlayer({ context, hello }: Session, token: Uint8Array): JoinedPlayer | undefined {
  const number = playerNumberOf(token);
  if (number === undefined) return undefined;
  const player = context.players.byNumber(number) ?? context.players.departed(number);
  if (player === undefined || !(player.connected || player.held) || !player.useToken(token)) return undefined;
  const { minVersion = 0, maxVersion = 0 } = hello ?? {};
  return player.version >= minVersion && player.version <= maxVersion ? player : undefined;
}

/** Its own player that cannot go on would only be in the way of the one that comes afresh. */
function refuse(session: Session, player: JoinedPlayer | undefined): void {
  const code: CloseCode = "RESUME_UNKNOWN";
  session.reject(code);
  if (player?.dropped === true) player.end("DROPPED");
}
