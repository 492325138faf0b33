import { type ClusterFacts, unmetBy, wantsOf } from "./selector.ts";
import type { QueueWish } from "./waiting-queue.ts";

/** That somebody waits: what a queue tells the shards, so that nobody who comes later is served before. */
export interface QueueGate {
  readonly queue: string;
  readonly wish: QueueWish;
  /** Since when the first in line, who comes when called, waits. */
  readonly sinceMs: number;
  /** Until when this holds unless the queue says so again. */
  readonly untilMs: number;
  /** Clusters whose seats are for parties of the queue. */
  readonly kept: readonly string[];
  /** When the queue said so: what it said before does not count any more. */
  readonly saidAtMs: number;
}

/** That it is somebody's turn. */
export interface QueuePass {
  readonly queue: string;
  /** Since when the place is held. */
  readonly sinceMs: number;
  /** A party's turn on this cluster, and on no other. */
  readonly clusterId?: string | undefined;
}

/** Most queues that a shard keeps in mind. Stops a crowd of selectors from making every seat costly. */
export const maxGates = 64;

/**
 * Whether a cluster's seats are for others: for those who wait for such a cluster, and came before. Whoever has no pass has only
 * just come.
 */
export function isSpokenFor(
  cluster: { readonly clusterId: string; readonly facts: ClusterFacts },
  gates: Iterable<QueueGate>,
  pass: QueuePass | undefined,
  nowMs: number,
): boolean {
  for (const gate of gates) {
    if (gate.untilMs <= nowMs) continue;
    if (pass?.queue === gate.queue) {
      if (gate.kept.includes(cluster.clusterId) && pass.clusterId !== cluster.clusterId) return true;
    } else if ((pass === undefined || pass.sinceMs > gate.sinceMs) && wants(gate.wish, cluster)) {
      return true;
    }
  }
  return false;
}

function wants(wish: QueueWish, cluster: { readonly clusterId: string; readonly facts: ClusterFacts }): boolean {
  const { clusterId, region } = wish;
  if (clusterId !== undefined && clusterId !== cluster.clusterId) return false;
  if (region !== undefined && !cluster.clusterId.startsWith(`${region}.`)) return false;
  return unmetBy(wantsOf(wish), cluster.facts) === undefined;
}
