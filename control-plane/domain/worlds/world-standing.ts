import type { KeptState } from "../clusters/cluster-states.ts";

/** Why a cluster is not given fragments, as far as its shard knows. [WORLD-7] */
export interface WorldStanding {
  /** Silent, as far as the master can tell. */
  readonly suspect: boolean;
  readonly draining: boolean;
  readonly locked: boolean;
  readonly full: boolean;
}

/** Nothing is known that speaks against it. */
export const goodStanding: WorldStanding = { suspect: false, draining: false, locked: false, full: false };

/** Load at which a cluster counts as full, and below which it does no longer: in between it stays what it was. */
const fullLoad = 1;
const roomyLoad = 0.9;

/**
 * The standing of a cluster now.
 *
 * @param load see `loadOf`
 * @param before its standing so far: one that is about full does not change it with every player
 */
export function standingOf(
  cluster: {
    readonly state: KeptState;
    readonly draining: boolean;
    readonly locked: boolean;
    readonly load: number;
  },
  before: WorldStanding,
): WorldStanding {
  const { state, draining, locked, load } = cluster;
  return { suspect: state === "suspect", draining, locked, full: load >= (before.full ? roomyLoad : fullLoad) };
}

export function isSameStanding(a: WorldStanding, b: WorldStanding): boolean {
  return a.suspect === b.suspect && a.draining === b.draining && a.locked === b.locked && a.full === b.full;
}
