import { hasRoom, occupiedPlaces, type Occupancy } from "./seats.ts";

/** A cluster without a limit counts as full at this many players when it is compared with one that has a limit. */
const nominalCapacity = 1_000;

/** A cluster that may be chosen. */
export interface Candidate extends Occupancy {
  readonly clusterId: string;
  /** Closed by an operator. */
  readonly locked: boolean;
  /** Emptying before it stops. */
  readonly draining: boolean;
  /** Whether it has given signs of life lately enough to be offered. */
  readonly live: boolean;
}

/** How full a cluster is: 0 empty, 1 full. Registries keep it beside each cluster to find the least loaded ones. */
export function loadOf(cluster: Occupancy): number {
  return occupiedPlaces(cluster) / (cluster.capacity === 0 ? nominalCapacity : cluster.capacity);
}

/** Why a cluster cannot be given, or `undefined` when it can. */
export function exclusionOf(candidate: Candidate): "locked" | "draining" | "silent" | "full" | undefined {
  if (candidate.locked) return "locked";
  if (candidate.draining) return "draining";
  if (!candidate.live) return "silent";
  return hasRoom(candidate) ? undefined : "full";
}

/** The least loaded candidate that can be given; one of the least loaded by chance. `random` is from 0 to below 1. */
export function pickCluster<C extends Candidate>(candidates: readonly C[], random: () => number): C | undefined {
  let best: C | undefined;
  let bestLoad = Number.POSITIVE_INFINITY;
  let ties = 0;
  for (const candidate of candidates) {
    if (exclusionOf(candidate) !== undefined) continue;
    const load = loadOf(candidate);
    if (load > bestLoad) continue;
    ties = load < bestLoad ? 1 : ties + 1;
    // Each of n equals ends up chosen with probability 1/n.
    if (random() * ties < 1) best = candidate;
    bestLoad = load;
  }
  return best;
}
