import type { FragmentArea } from "../../../protocol/index.ts";
import type { WorldState } from "./world-map.ts";

/** Most that are shown: whoever mends these sees the next. */
export const maxDisagreements = 100;

/** A fragment that two clusters announce with different bounds: a mistake in someone's configuration, or a change that one of them has yet to hear of. */
export interface Disagreement {
  readonly fragment: string;
  /** The one that carries it, if it is carried, and one that says something else. */
  readonly clusterIds: readonly [string, string];
}

/** Each fragment of a world about whose bounds clusters disagree, once; at most {@link maxDisagreements}. */
export function disagreementsOf({ announcements, carriers }: Pick<WorldState, "announcements" | "carriers">) {
  const told = new Map<string, { readonly area: FragmentArea; readonly clusterId: string }>();
  const carried = (clusterId: string, { name }: FragmentArea): boolean => carriers.get(name) === clusterId;
  for (const { clusterId, fragments } of announcements) {
    for (const area of fragments) if (carried(clusterId, area)) told.set(area.name, { area, clusterId });
  }
  const found = new Map<string, Disagreement>();
  for (const { clusterId, fragments } of announcements) {
    for (const area of fragments) {
      const first = told.get(area.name);
      if (first === undefined) told.set(area.name, { area, clusterId });
      else if (!found.has(area.name) && !isSameArea(first.area, area)) {
        found.set(area.name, { fragment: area.name, clusterIds: [first.clusterId, clusterId] });
        if (found.size === maxDisagreements) return [...found.values()];
      }
    }
  }
  return [...found.values()];
}

function isSameArea(a: FragmentArea, b: FragmentArea): boolean {
  return ([0, 1, 2] as const).every((axis) => a.min[axis] === b.min[axis] && a.max[axis] === b.max[axis]);
}
