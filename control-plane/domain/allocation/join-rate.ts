/**
 * How fast a cluster may be filled, as it declares: so many joins a second on average, in bursts of one second's worth. All that is
 * remembered is from when on the next join is allowed (a token bucket, counted in time).
 */
export interface JoinRate {
  readonly perSecond: number;
  /** In ms since 1970. */
  readonly nextAtMs: number;
}

/** How many may join now. */
export function joinsAllowed(rate: JoinRate | undefined, nowMs: number): number {
  if (rate === undefined) return Number.POSITIVE_INFINITY;
  if (nowMs < rate.nextAtMs) return 0;
  const { intervalMs, burst } = shapeOf(rate);
  return Math.min(burst, Math.floor((nowMs - rate.nextAtMs) / intervalMs) + 1);
}

/** When the next join is allowed after `joins` more. A party that is larger than a burst is let in whole, and waited out. */
export function nextJoinAtMs(rate: JoinRate, joins: number, nowMs: number): number {
  const { intervalMs, burst } = shapeOf(rate);
  // A full bucket holds no more than a burst, however long nobody came.
  const fullSinceMs = nowMs - (burst - 1) * intervalMs;
  return Math.max(rate.nextAtMs, fullSinceMs) + joins * intervalMs;
}

function shapeOf({ perSecond }: JoinRate): { readonly intervalMs: number; readonly burst: number } {
  return { intervalMs: 1_000 / perSecond, burst: Math.max(1, Math.floor(perSecond)) };
}
