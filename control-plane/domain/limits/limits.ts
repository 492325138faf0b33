/** At most `max` events within any stretch of time that is `periodMs` long. */
export interface Limit {
  readonly max: number;
  readonly periodMs: number;
}

/** What is remembered of past events: how many in each slot of time, by the slot's beginning in ms. The oldest comes first. */
export type LimitWindow = readonly (readonly [startMs: number, count: number])[];

/** Into how many slots a period is cut: an event is forgotten at most a slot too late, never too early. */
const slotsPerPeriod = 12;

export type LimitVerdict =
  | { readonly allowed: true; readonly window: LimitWindow }
  /** When the next event would be allowed. */
  | { readonly allowed: false; readonly retryAfterMs: number };

/**
 * Counts an event, or refuses it. One that is refused does not count: who keeps trying is let in as soon as who waits, and nobody
 * is locked out for good. [SEC-34]
 */
export function spendLimit(window: LimitWindow, limit: Limit, nowMs: number): LimitVerdict {
  const slotMs = limit.periodMs / slotsPerPeriod;
  const live = window.filter(([startMs]) => leavesAtMs(startMs, slotMs, limit) > nowMs);
  let surplus = live.reduce((sum, [, count]) => sum + count, 0) - limit.max + 1;
  if (surplus > 0) {
    for (const [startMs, count] of live) {
      surplus -= count;
      if (surplus <= 0) return { allowed: false, retryAfterMs: leavesAtMs(startMs, slotMs, limit) - nowMs };
    }
    // Even with nothing counted it would be too many: the limit is 0.
    return { allowed: false, retryAfterMs: limit.periodMs };
  }
  const startMs = Math.floor(nowMs / slotMs) * slotMs;
  const last = live.at(-1);
  const next =
    last !== undefined && last[0] >= startMs
      ? [...live.slice(0, -1), [last[0], last[1] + 1] as const]
      : [...live, [startMs, 1] as const];
  return { allowed: true, window: next };
}

/** When the last event that a slot may hold is a period old. */
function leavesAtMs(startMs: number, slotMs: number, limit: Limit): number {
  return startMs + slotMs + limit.periodMs;
}
