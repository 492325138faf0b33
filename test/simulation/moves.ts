/** Everything that can happen next in a world. */
import { noteDeliveries } from "./deliveries.ts";
import { noteFaults } from "./faults.ts";
import { noteGame } from "./game.ts";
import type { Move, Note, Scope } from "./move.ts";
import { notePatience } from "./patience.ts";
import { noteRepairs } from "./repairs.ts";
import type { World } from "./world.ts";

/** The possible moves, in an order in which, left alone, a world settles. */
export function movesOf(world: World, scope: Scope): Move[] {
  const moves: Move[] = [];
  const note =
    (kind: Move["kind"]): Note =>
    (name, run) =>
      moves.push({ kind, name, run });
  noteDeliveries(world, note("delivery"));
  noteRepairs(world, scope, note("repair"));
  notePatience(world, note("patience"));
  noteGame(world, scope, note("game"));
  noteFaults(world, scope, note("fault"));
  return moves;
}
