import {
  type CloseCode,
  encodeReject,
  encodeResumed,
  encodeStreams,
  features,
  type Resume,
} from "../../protocol/index.ts";
import type { JoinedPlayer } from "./joined-player.ts";
import { playerNumberOf } from "./resume-token.ts";
import type { Session } from "./session.ts";
import type { SessionContext } from "./session-context.ts";

/**
 * Takes a connection from RESUME to RESUMED, or to REJECT, in this order. Whatever is wrong with the token, the answer is
 * the same: a stranger learns nothing. [RESUME-6]
 */
export function runResume(session: Session, resume: Resume): void {
  const { context } = session;
  if (context.stopping()) return session.reject("SHUTTING_DOWN");
  const player = findPlayer(session, resume.token);
  if (player !== undefined && !player.connected) {
    // It has gone on to another cluster: who has it sends its client there. [REDIRECT-2]
    player.awaitWay(resume.received);
    return session.takeUp(player, [], []);
  }
  const answer = player === undefined ? undefined : answerResume(context, player, resume.received);
  if (player === undefined || answer === undefined) return refuse(session, player);
  session.takeUp(player, answer.frames, answer.again);
}

/** Answers a client that has waited to be sent on, and whose player is played here after all. [REDIRECT-2] */
export function answerLate(context: SessionContext, player: JoinedPlayer): void {
  const { awaitsFrom, line } = player;
  if (awaitsFrom === undefined || !line.isOpen) return;
  const answer = answerResume(context, player, awaitsFrom);
  if (answer === undefined) player.end("DROPPED", encodeReject("RESUME_UNKNOWN"));
  else player.answerLate(answer.frames, answer.again);
}

/** @returns what says that the session goes on, and then what the client has missed; `undefined` when it cannot [RESUME-5] */
function answerResume(
  { clock, tick, settings }: SessionContext,
  player: JoinedPlayer,
  received: number,
): { readonly frames: readonly Uint8Array[]; readonly again: readonly Uint8Array[] } | undefined {
  const { streams, tenure } = player;
  const again = streams?.unreceived(received);
  if (streams === undefined || again === undefined) return undefined;
  streams.acknowledge(received);
  const resumed = encodeResumed({
    received: streams.report(),
    timeMs: clock.monotonicMs(),
    tick: tick() >>> 0,
    tickHz: settings.tickHz,
  });
  const told = encodeStreams({ tenure, received: streams.lastInput, fresh: false });
  const frames = player.has(features.handover) ? [resumed, told, player.issueToken()] : [resumed, player.issueToken()];
  return { frames, again };
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
