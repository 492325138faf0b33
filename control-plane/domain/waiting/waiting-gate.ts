import { type ClusterFacts, unmetBy, wantsOf } from "../allocation/selector.ts";
import { isAbsent } from "./waiting-calls.ts";
import type { Place } from "./waiting-line.ts";
import type { QueueWish } from "./waiting-queue.ts";

/** Who is first in line for clusters that are large enough for so many at once. */
export interface FirstInLine {
  readonly size: number;
  readonly sinceMs: number;
}

/** That somebody waits: what a queue tells the shards, so that nobody who comes later is served before. */
export interface QueueGate {
  readonly queue: string;
  readonly wish: QueueWish;
  /** Since when the first in line, who comes when called, waits. */
  readonly sinceMs: number;
  /** The same for each size of cluster: see {@link firstInLine}. Not in gates of a release before this one. */
  readonly firsts?: readonly FirstInLine[];
  /** How many players wait who come when called: see {@link playersWaiting}. Not in gates of a release before this one, which count as one. */
  readonly waiting?: number;
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

/** For so long a shard believes that somebody waits, from when the queue said so. */
export const gateMs = 20_000;

/** Most queues that a shard keeps in mind. Stops a crowd of selectors from making every seat costly. Which ones: see {@link leastAwaited}. */
export const maxGates = 64;

/**
 * Who is first, of those who come when called: of all; of those who need less than that one does; and so on. A party is first only where it
 * could ever be: others do not wait for it at clusters that are too small.
 */
export function firstInLine(places: readonly Place[], nowMs: number): readonly FirstInLine[] {
  const firsts: FirstInLine[] = [];
  let below = Number.POSITIVE_INFINITY;
  for (const place of places) {
    if (below === 1) break;
    const { size, joinedAtMs: sinceMs } = place;
    if (size >= below || isAbsent(place, nowMs)) continue;
    firsts.push({ size, sinceMs });
    below = size;
  }
  return firsts;
}

/** How many players wait who come when called. Each member of a party counts: it took as many accounts to make it. */
export function playersWaiting(places: readonly Place[], nowMs: number): number {
  return places.reduce((players, place) => players + (isAbsent(place, nowMs) ? 0 : place.size), 0);
}

/**
 * Which gate goes where there is one too many: that of the queue in which the fewest players wait, and of several such that of who came
 * last. So whoever would push a queue out with queues of their own needs, in each of these, as many accounts as players wait there.
 */
export function leastAwaited(gates: Iterable<QueueGate>, latest: QueueGate): QueueGate {
  let least = latest;
  for (const gate of gates) {
    const more = (gate.waiting ?? 1) - (least.waiting ?? 1);
    if (more < 0 || (more === 0 && gate.sinceMs > least.sinceMs)) least = gate;
  }
  return least;
}

/** Since when the first in line waits who could ever be on a cluster of that capacity (0: no limit); `undefined` where nobody could. */
export function awaitedSinceMs(
  { firsts, sinceMs }: Pick<QueueGate, "firsts" | "sinceMs">,
  capacity: number,
): number | undefined {
  if (firsts === undefined) return sinceMs;
  return firsts.find(({ size }) => capacity === 0 || size <= capacity)?.sinceMs;
}

/**
 * Whether a cluster's seats are for others: for those who wait for such a cluster, and came before. Whoever has no pass has only
 * just come.
 */
export function isSpokenFor(
  cluster: { readonly clusterId: string; readonly capacity: number; readonly facts: ClusterFacts },
  gates: Iterable<QueueGate>,
  pass: QueuePass | undefined,
  nowMs: number,
): boolean {
  for (const gate of gates) {
    if (gate.untilMs <= nowMs) continue;
    if (pass?.queue === gate.queue) {
      if (gate.kept.includes(cluster.clusterId) && pass.clusterId !== cluster.clusterId) return true;
      continue;
    }
    const sinceMs = awaitedSinceMs(gate, cluster.capacity);
    const isBefore = sinceMs !== undefined && (pass === undefined || pass.sinceMs > sinceMs);
    if (isBefore && wants(gate.wish, cluster)) return true;
  }
  return false;
}

function wants(wish: QueueWish, cluster: { readonly clusterId: string; readonly facts: ClusterFacts }): boolean {
  const { clusterId, region } = wish;
  if (clusterId !== undefined && clusterId !== cluster.clusterId) return false;
  if (region !== undefined && !cluster.clusterId.startsWith(`${region}.`)) return false;
  return unmetBy(wantsOf(wish), cluster.facts) === undefined;
}
