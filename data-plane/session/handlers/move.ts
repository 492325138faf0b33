import { encodePosition, type Move } from "../../../protocol/index.ts";
import type { Session } from "../session.ts";

/** A request to stand elsewhere: checked against the speed limit, then by the plugin. [MOVE-1] */
export function handleMove(session: Session, move: Move): void {
  const { player, context } = session;
  if (player === undefined) return;
  const from = player.position;
  const to = { x: move.x, y: move.y, z: move.z, heading: move.heading };
  if (player.moveBudget.draw(from, to, context.clock.monotonicMs()) && context.host.move(player, from, to)) {
    player.position = to;
    return;
  }
  // [MOVE-2]
  context.metrics.movesRefused += 1;
  session.send("control", encodePosition({ sequence: move.sequence, ...from }));
}
