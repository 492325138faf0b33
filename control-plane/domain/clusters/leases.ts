import { type KeptState, stateAfter } from "./cluster-states.ts";

/** How long a cluster may be silent, and what its silence means. */
export interface LeasePolicy {
  /** Without a sign of life for this long a cluster is suspect: offered to nobody. */
  readonly leaseMs: number;
  /** How long one whose link broke is still offered where there is no other: it may be back in a moment. */
  readonly linkGraceMs: number;
  /** Without one for this long it is gone: its seats are free, and it has to register again. */
  readonly goneMs: number;
}

/** A cluster as far as its lease goes. Times in ms. */
export interface LeaseHolder {
  readonly clusterId: string;
  readonly state: KeptState;
  /** Last sign of life: registration, report, link, or answered ping. */
  readonly renewedAtMs: number;
  /** When its link broke, if there was no sign of life since; else 0. */
  readonly linkLostAtMs: number;
  /** Whether players can reach it, as far as the master knows. */
  readonly isReached: boolean;
}

const longestLinkGraceMs = 5_000;

/** The policy that belongs to a lease of `leaseMs`. */
export function createLeasePolicy(leaseMs: number): LeasePolicy {
  return { leaseMs, linkGraceMs: Math.min(longestLinkGraceMs, leaseMs), goneMs: leaseMs * 20 };
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
  readonly changes: ReadonlyMap<string, KeptState>;
  /** True while the master suspects itself: silent clusters stay allocatable. */
  readonly frozen: boolean;
}

/** Whether a cluster seems to be away: its lease has ended, or its link broke. */
export function isSilent(
  holder: Pick<LeaseHolder, "renewedAtMs" | "linkLostAtMs">,
  nowMs: number,
  policy: LeasePolicy,
): boolean {
  return holder.linkLostAtMs > 0 || !isLeaseLive(holder.renewedAtMs, nowMs, policy);
}

/** The state that each cluster should be in now. */
export function sweepLeases(holders: readonly LeaseHolder[], nowMs: number, policy: LeasePolicy): LeaseSweep {
  const present = holders.filter((holder) => holder.state !== "gone" && nowMs - holder.renewedAtMs < policy.goneMs);
  const silent = present.filter((holder) => isSilent(holder, nowMs, policy));
  const frozen = isMassSilence(silent.length, present.length);
  const suspects = new Set(frozen ? [] : silent.map((holder) => holder.clusterId));
  const alive = new Set(present.map((holder) => holder.clusterId));
  const changes = new Map<string, KeptState>();
  for (const { clusterId, state, isReached } of holders) {
    const event = !alive.has(clusterId) ? "given-up" : suspects.has(clusterId) ? "silent" : "sign";
    const next = stateAfter(state, event, isReached);
    if (next !== state) changes.set(clusterId, next);
  }
  return { changes, frozen };
}
