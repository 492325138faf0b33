import type { Box, Layout } from "../fragments/layout.ts";
import type { Point } from "../plugin/entities.ts";

/**
 * Where a newcomer starts: at the cluster's spawn point, if that is in the fragment that its ticket names; else in the
 * middle of that fragment. Without a fragment that this cluster carries: at the spawn point, if that is in one, else in the middle
 * of the first.
 */
export function findSpawnPlace(layout: Layout, spawn: Point, ticketFragment: string): Point {
  const { fragments, locator } = layout;
  const at = fragments[locator.locate(spawn.x, spawn.y, spawn.z)];
  const named = fragments.find(({ name, carried }) => carried && name === ticketFragment);
  if (named === undefined ? at?.carried === true : at === named) return spawn;
  const wanted = named ?? fragments.find(({ carried }) => carried);
  return wanted === undefined ? spawn : middleOf(wanted.box, spawn.y);
}

/** Worlds of two dimensions have no bounds of height. */
function middleOf({ min, max }: Box, height: number): Point {
  const y = Number.isFinite(min.y) && Number.isFinite(max.y) ? (min.y + max.y) / 2 : height;
  return { x: (min.x + max.x) / 2, y, z: (min.z + max.z) / 2 };
}
