import type { WorldMapView } from "../../../protocol/index.ts";

/** Most pairs that are shown: each is a mistake in someone's configuration, and whoever mends these sees the next. */
export const maxOverlaps = 100;
/**
 * So many pairs are looked at at most, some tens of milliseconds. Any world that is laid out to be played in needs far fewer: only areas that cross
 * each other like the threads of a cloth, by the thousand, come to so many.
 */
const maxLooks = 4_000_000;

/** Pairs of fragments, of different clusters, that have a place in common: a mistake in someone's configuration. */
export interface Overlaps {
  readonly pairs: readonly (readonly [string, string])[];
  /** There may be others. */
  readonly mayBeMore: boolean;
}

type Area = WorldMapView["fragments"][number];
const axes = [0, 1, 2] as const;
type Axis = (typeof axes)[number];

/** Some of the {@link Overlaps} of a world, all of them where there are few: whoever announces areas decides how many there are. */
export function overlapsOf({ fragments }: Pick<WorldMapView, "fragments">): Overlaps {
  const along = sparsestAxis(fragments);
  const pairs: (readonly [string, string])[] = [];
  let looks = 0;
  /** What has begun, along the axis, and may not have ended. */
  let open: Area[] = [];
  for (const area of fragments.toSorted((a, b) => a.min[along] - b.min[along])) {
    open = open.filter((other) => other.max[along] > area.min[along]);
    for (const other of open) {
      looks += 1;
      if (looks > maxLooks) return { pairs, mayBeMore: true };
      if (other.clusterId === area.clusterId || !isOverlap(other, area)) continue;
      if (pairs.length === maxOverlaps) return { pairs, mayBeMore: true };
      pairs.push([other.name, area.name]);
    }
    open.push(area);
  }
  return { pairs, mayBeMore: false };
}

/** The axis along which the fewest areas lie beside each other. */
function sparsestAxis(areas: readonly Area[]): Axis {
  const crowds = axes.map((axis) => crowdAlong(areas, axis));
  return axes[crowds.indexOf(Math.min(...crowds))] ?? 0;
}

/** How many pairs have a place in common along one axis. */
function crowdAlong(areas: readonly Area[], axis: Axis): number {
  const begins = Float64Array.from(areas, ({ min }) => min[axis]).sort();
  const ends = Float64Array.from(areas, ({ max }) => max[axis]).sort();
  let ended = 0;
  let sum = 0;
  for (const [begun, at] of begins.entries()) {
    while ((ends[ended] ?? Infinity) <= at) ended += 1;
    sum += begun - ended;
  }
  return sum;
}

function isOverlap(a: Area, b: Area): boolean {
  return axes.every((axis) => a.min[axis] < b.max[axis] && b.min[axis] < a.max[axis]);
}
