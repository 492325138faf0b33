import type { Move } from "../../protocol/index.ts";
import type { JoinedPlayer } from "./joined-player.ts";
import type { SessionContext } from "./session-context.ts";

/** A player who was put back this often is noted: it tries to cheat, or its game is broken. */
const offences = 50;

/** A request to stand elsewhere: checked against the speed limit, the world, then by the plugin. [MOVE-1] */
export function movePlayer(context: SessionContext, player: JoinedPlayer, move: Move): void {
  // Where it stands is for whoever plays it next to say. [HAND-6]
  if (player.held) return player.holdMove(move);
  const from = player.position;
  const to = { x: move.x, y: move.y, z: move.z, heading: move.heading };
  const { world, host, clock } = context;
  player.place.moveSequence = move.sequence;
  if (player.place.spendUntold(from, to)) return player.tellPlace();
  const isFine =
    player.moveBudget.allows(from, to, clock.monotonicMs()) &&
    world?.admits(player, to) !== false &&
    host.move(player, from, to);
  // The game has put it elsewhere while it was asked: there it is, and its client has been told.
  if (player.position !== from) return;
  if (isFine) {
    player.moveBudget.draw(from, to);
    player.position = to;
    world?.moved(player, to);
    return;
  }
  player.refusedMoves += 1;
  if (player.refusedMoves === offences) {
    context.metrics.moveOffenders += 1;
    context.log.warn({ event: "move-offender", player: player.number }, `a player was put back ${offences} times`);
  }
  // [MOVE-2]
  context.metrics.movesRefused += 1;
  player.tellPlace();
}
