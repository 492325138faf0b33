import { maxReportSeats } from "../../protocol/index.ts";

/** Most reports of one cluster in a second. One that waits for its acknowledgements comes nowhere near. */
export const maxReportsPerSecond = 50;

/**
 * Counts each cluster's reports, so that one that floods its shard pays for it alone. Kept in memory: an object that forgets it has
 * been idle.
 */
export class ReportBudget {
  readonly #windows = new Map<string, { readonly startMs: number; used: number }>();

  /** Whether the cluster may report now. */
  take(clusterId: string, nowMs: number): boolean {
    const window = this.#windows.get(clusterId);
    if (window === undefined || nowMs - window.startMs >= 1_000 || nowMs < window.startMs) {
      this.#windows.set(clusterId, { startMs: nowMs, used: 1 });
      return true;
    }
    window.used += 1;
    return window.used <= maxReportsPerSecond;
  }
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
  readonly #spent = new Map<string, { readonly atMs: number; readonly joins: number }>();

  /** Whether the cluster may report so many now. What it may not costs it nothing: it can come again. */
  take(clusterId: string, joins: number, nowMs: number): boolean {
    if (joins === 0) return true;
    const spent = this.#spent.get(clusterId);
    const elapsedMs = Math.max(0, nowMs - (spent?.atMs ?? nowMs));
    const before = Math.max(0, (spent?.joins ?? 0) - (elapsedMs * unbackedJoinsPerSecond) / 1_000);
    if (before + joins > maxUnbackedJoins) return false;
    this.#spent.set(clusterId, { atMs: nowMs, joins: before + joins });
    return true;
  }
}
