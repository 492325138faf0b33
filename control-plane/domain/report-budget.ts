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
