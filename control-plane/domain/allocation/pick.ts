import type { AllocateRequest, AllocationPolicy } from "../../../protocol/index.ts";
import { maxLatencyMs } from "./latency.ts";
import { hasRoom, occupiedPlaces, type Occupancy } from "../clusters/seats.ts";

/** A cluster without a limit that reports no tick time counts as full at this many players. */
const nominalCapacity = 1_000;

/** A cluster without a limit counts as full when its ticks take this long: all the time between two of 30 a second. */
const nominalTickMs = 1_000 / 30;

/** By how much a full cluster must be nearer than an empty one to be as good, in ms. */
const fullLoadMs = 50;

/** What makes a cluster more or less loaded. */
export interface LoadSigns extends Occupancy {
  /** What its ticks take, as it reports; `null` when it does not. */
  readonly tickMs: number | null;
}

/** A cluster that may be chosen. */
export interface Candidate extends LoadSigns {
  readonly clusterId: string;
  /** Closed by an operator. */
  readonly locked: boolean;
  /** Emptying before it stops. */
  readonly draining: boolean;
  /** Of a world in which others carry all that it could. */
  readonly standby: boolean;
  /** Its address has not been reached yet. */
  readonly starting: boolean;
  /** Whether it has given signs of life lately enough to be offered. */
  readonly live: boolean;
  /** What the client measured to it. */
  readonly latencyMs: number | undefined;
  /** Why its room is not for this request: others wait for it, or it may not be filled faster. */
  readonly withheld?: "awaited" | "join-rate" | undefined;
}

/** The policy that a request asks for. */
export function policyOf(request: Pick<AllocateRequest, "policy" | "latencies">): AllocationPolicy {
  return request.policy ?? (Object.keys(request.latencies ?? {}).length > 0 ? "latency" : "load");
}

/**
 * How full a cluster is: 0 empty, 1 full; without a limit it may be more. Registries keep it beside each cluster to find the
 * least loaded ones.
 */
export function loadOf(cluster: LoadSigns): number {
  if (cluster.capacity > 0) return occupiedPlaces(cluster) / cluster.capacity;
  if (cluster.tickMs === null) return occupiedPlaces(cluster) / nominalCapacity;
  // Seats that are not in the game yet are in no tick time: without them, all would go to one cluster until its next report.
  return cluster.tickMs / nominalTickMs + Math.max(0, cluster.seats - cluster.joined) / nominalCapacity;
}

/** What is compared under a policy; less is better. */
export function scoreOf(candidate: LoadSigns & Pick<Candidate, "latencyMs">, policy: AllocationPolicy): number {
  const load = loadOf(candidate);
  switch (policy) {
    case "load":
      return load;
    case "packed":
      // Of those without a limit that have more than enough to do already, the one with the least.
      return load < 1 ? -load : load;
    case "distributed":
      return occupiedPlaces(candidate);
    case "latency":
      return latencyScore(candidate.latencyMs, load);
  }
}

/** What is compared where latency decides, in ms. */
export function latencyScore(latencyMs: number | undefined, load: number): number {
  return (latencyMs ?? maxLatencyMs) + fullLoadMs * load;
}

/** Why a cluster cannot be given, or `undefined` when it can. */
export function exclusionOf(
  candidate: Pick<Candidate, "locked" | "draining" | "standby" | "starting" | "live" | "withheld"> & Occupancy,
  places = 1,
): "locked" | "draining" | "standby" | "starting" | "silent" | "full" | "awaited" | "join-rate" | undefined {
  if (candidate.locked) return "locked";
  if (candidate.draining) return "draining";
  if (candidate.standby) return "standby";
  if (candidate.starting) return "starting";
  if (!candidate.live) return "silent";
  return hasRoom(candidate, places) ? candidate.withheld : "full";
}

/** The best candidate that has so many places to give; one of several equals by chance. `random` is from 0 to below 1. */
export function pickCluster<C extends Candidate>(
  candidates: readonly C[],
  policy: AllocationPolicy,
  random: () => number,
  places = 1,
): C | undefined {
  let best: C | undefined;
  let bestScore = Number.POSITIVE_INFINITY;
  let ties = 0;
  for (const candidate of candidates) {
    if (exclusionOf(candidate, places) !== undefined) continue;
    const score = scoreOf(candidate, policy);
    if (score > bestScore) continue;
    ties = score < bestScore ? 1 : ties + 1;
    // Each of n equals ends up chosen with probability 1/n.
    if (random() * ties < 1) best = candidate;
    bestScore = score;
  }
  return best;
}
