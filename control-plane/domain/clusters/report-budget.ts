import { maxReportSeats } from "../../../protocol/index.ts";
import { FadingMap } from "../fading-map.ts";

/** Most reports of one cluster in a second. One that waits for its acknowledgements comes nowhere near. */
export const maxReportsPerSecond = 50;

/**
 * Counts each cluster's reports, so that one that floods its shard pays for it alone. Kept in memory: an object that forgets it has
 * been idle.
 */
export class ReportBudget {
  readonly #windows = new FadingMap({ everyMs: 1_000, create: (startMs) => ({ startMs, used: 0 }), hasFaded: isOver });

  /** Whether the cluster may report now. */
  take(clusterId: string, nowMs: number): boolean {
    const window = this.#windows.get(clusterId, nowMs);
    if (isOver(window, nowMs)) Object.assign(window, { startMs: nowMs, used: 0 });
    window.used += 1;
    return window.used <= maxReportsPerSecond;
  }
}

function isOver({ startMs }: { readonly startMs: number }, nowMs: number): boolean {
  return nowMs - startMs >= 1_000 || nowMs < startMs;
}

/** Most joins, at once, for which the shard gave no seat: those of one full report, as after a change of the number of shards. */
export const maxUnbackedJoins = maxReportSeats;
/** How many more in every second after that. */
export const unbackedJoinsPerSecond = 200;

/**
 * Counts joins that no seat of the shard backs: each is looked up at a player's session. An honest cluster reports some only
 * when its shard knows less than before. Kept in memory.
 */
export class JoinBudget {
  readonly #spent = new FadingMap({
    everyMs: (1_000 * maxUnbackedJoins) / unbackedJoinsPerSecond,
    create: (atMs) => ({ atMs, joins: 0 }),
    hasFaded: (spent, nowMs) => joinsLeft(spent, nowMs) === 0,
  });

  /** Whether the cluster may report so many now. What it may not costs it nothing: it can come again. */
  take(clusterId: string, joins: number, nowMs: number): boolean {
    if (joins === 0) return true;
    const spent = this.#spent.get(clusterId, nowMs);
    const before = joinsLeft(spent, nowMs);
    if (before + joins > maxUnbackedJoins) return false;
    Object.assign(spent, { atMs: nowMs, joins: before + joins });
    return true;
  }
}

/** How much of what was spent still counts. */
function joinsLeft({ atMs, joins }: { readonly atMs: number; readonly joins: number }, nowMs: number): number {
  const elapsedMs = Math.max(0, nowMs - atMs);
  return Math.max(0, joins - (elapsedMs * unbackedJoinsPerSecond) / 1_000);
}
