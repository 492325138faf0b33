/** How long a cluster may be silent, and what its silence means. */
export interface LeasePolicy {
  /** Without a sign of life for this long a cluster is suspect: offered to nobody. */
  readonly leaseMs: number;
  /** Without one for this long it is gone: its seats are free, and it has to register again. */
  readonly goneMs: number;
}

/** A cluster as far as its lease goes. Times in ms. */
export interface LeaseHolder {
  readonly clusterId: string;
  readonly state: ClusterState;
  /** Last sign of life: registration, report, link, or answered ping. */
  readonly renewedAtMs: number;
}

export const clusterStates = ["ready", "suspect", "gone"] as const;
export type ClusterState = (typeof clusterStates)[number];

/** The policy that belongs to a lease of `leaseMs`. */
export function createLeasePolicy(leaseMs: number): LeasePolicy {
  return { leaseMs, goneMs: leaseMs * 20 };
}

export function isLeaseLive(renewedAtMs: number, nowMs: number, policy: LeasePolicy): boolean {
  return nowMs - renewedAtMs < policy.leaseMs;
}

/**
 * Whether so many are silent at once that the fault is more likely the master's own: at least 3 and at least half. Then
 * nobody is suspected.
 */
export function isMassSilence(silent: number, total: number): boolean {
  return silent >= 3 && silent * 2 >= total;
}

/** What a look at all leases found. */
export interface LeaseSweep {
  /** Clusters whose state changes. */
  readonly changes: ReadonlyMap<string, ClusterState>;
  /** True while the master suspects itself: silent clusters stay allocatable. */
  readonly frozen: boolean;
}

/** The state that each cluster should be in now. */
export function sweepLeases(holders: readonly LeaseHolder[], nowMs: number, policy: LeasePolicy): LeaseSweep {
  const present = holders.filter((holder) => holder.state !== "gone" && nowMs - holder.renewedAtMs < policy.goneMs);
  const silent = present.filter((holder) => !isLeaseLive(holder.renewedAtMs, nowMs, policy));
  const frozen = isMassSilence(silent.length, present.length);
  const suspects = new Set(frozen ? [] : silent.map((holder) => holder.clusterId));
  const alive = new Set(present.map((holder) => holder.clusterId));
  const changes = new Map<string, ClusterState>();
  for (const { clusterId, state } of holders) {
    const next = !alive.has(clusterId) ? "gone" : suspects.has(clusterId) ? "suspect" : "ready";
    if (next !== state) changes.set(clusterId, next);
  }
  return { changes, frozen };
}
