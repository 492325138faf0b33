import type { Box, Layout } from "./layout.ts";

/** A box on the other side of a border, and how far it is seen from. */
export interface BorderSide {
  readonly box: Box;
  /** How far players see there, in world units. */
  readonly range: number;
}

/** What one neighbour carries near this cluster's own part. */
export interface BorderSides {
  readonly sides: readonly BorderSide[];
  /** How far out of their boxes players may stand there. */
  readonly slack: number;
  /** Updates a second of the fastest of them. */
  readonly updateHz: number;
}

/**
 * What a neighbour carries that is near enough for anything here to be seen from there. [GHOST-1]
 *
 * @param layout `carried` is what this cluster carries
 * @param isTheirs whether the neighbour carries the fragment of a name
 * @param peopled names of the fragments that players of this cluster are in: some may have been given to another one, to which they have yet to go
 */
export function bordersOf(
  layout: Layout,
  isTheirs: (name: string) => boolean,
  peopled: ReadonlySet<string> = new Set(),
): BorderSides {
  const { fragments, rules } = layout;
  const slack = (rules.swapMargin + rules.handoverOverrun) * Math.sqrt(rules.dimensions);
  const own = fragments.filter(({ name, carried }) => carried || peopled.has(name));
  const near = fragments.filter(({ name, carried, box, levels }) => {
    if (carried || !isTheirs(name)) return false;
    // Who is here may stand as far out as who is there.
    const reach = levels[0].settings.viewRange * (1 + rules.viewHysteresis) + 2 * slack;
    return own.some((mine) => gap(mine.box, box) <= reach);
  });
  return {
    sides: near.map(({ box, levels }) => ({ box, range: levels[0].settings.viewRange })),
    slack,
    updateHz: Math.max(0, ...near.map(({ levels }) => levels[0].settings.updateHz)),
  };
}

/** The least distance between points of two boxes. */
function gap(a: Box, b: Box): number {
  const along = (axis: "x" | "y" | "z"): number => Math.max(0, a.min[axis] - b.max[axis], b.min[axis] - a.max[axis]);
  return Math.hypot(along("x"), along("y"), along("z"));
}
