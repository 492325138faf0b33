import type { WorldMapView } from "../../../protocol/index.ts";
import { isLeaving } from "./world-carriers.ts";
import { type Disagreement, disagreementsOf } from "./world-disagreements.ts";
import { viewOf, type WorldState } from "./world-map.ts";
import { overlapsOf } from "./world-overlaps.ts";
import { goodStanding } from "./world-standing.ts";

/** Why a cluster takes nothing over, or, if it is full, only what no other can. */
export const worldReasons = ["suspect", "draining", "locked", "full"] as const;
export type WorldReason = (typeof worldReasons)[number];

/** A world as operators see it: beside the map, what is odd about it and who could carry more. */
export interface WorldOverview extends WorldMapView {
  /** Pairs of fragments of different clusters that have a place in common, as far as they are shown: see `overlapsOf`. */
  readonly overlaps: readonly (readonly [string, string])[];
  /** There may be other such pairs. */
  readonly moreOverlaps: boolean;
  /** Fragments about whose bounds clusters disagree, as far as they are shown: see `disagreementsOf`. */
  readonly disagreements: readonly Disagreement[];
  /** Fragments whose cluster only stands in: nobody could take them over. [WORLD-7] */
  readonly provisional: readonly string[];
  /** What operators have assigned, also where it is not in force now. */
  readonly assigned: readonly { readonly fragment: string; readonly clusterId: string }[];
  /** All clusters that have announced themselves. */
  readonly announced: readonly {
    readonly clusterId: string;
    readonly fragments: readonly string[];
    readonly reasons: readonly WorldReason[];
  }[];
}

export function overviewOf(state: WorldState): WorldOverview {
  const view = viewOf(state);
  const { pairs, mayBeMore } = overlapsOf(view);
  return {
    ...view,
    overlaps: pairs,
    moreOverlaps: mayBeMore,
    disagreements: disagreementsOf(state),
    provisional: [...state.provisional].toSorted(),
    assigned: Array.from(state.assignments, ([fragment, clusterId]) => ({ fragment, clusterId })),
    announced: state.announcements.map((announcement) => {
      const { clusterId, fragments, standing = goodStanding } = announcement;
      const holds = { ...standing, draining: standing.draining || isLeaving(announcement) };
      return {
        clusterId,
        fragments: fragments.map(({ name }) => name),
        reasons: worldReasons.filter((reason) => holds[reason]),
      };
    }),
  };
}
