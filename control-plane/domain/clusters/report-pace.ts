/** Reports that a shard wants to hear in a second, at most. */
export const wantedReportsPerSecond = 100;

/** However many clusters there are, each reports at least so often while it has something to report. */
export const longestReportIntervalMs = 15_000;

/** The part of its interval for which a cluster waits with news, unless it is told how long. */
const newsPart = 0.1;

/** How often a cluster is to report. */
export interface ReportPace {
  readonly reportIntervalMs: number;
  /** Least time between two reports, where it is more than a tenth of the interval. */
  readonly gapMs: number | undefined;
}

/**
 * The pace at which `busy` clusters, those that have reported lately, stay within what the shard wants to hear; never faster
 * than `leastIntervalMs`. Beyond 1,500 busy clusters a shard hears more than it wants: then the region needs more shards.
 */
export function dictatePace(busy: number, leastIntervalMs: number): ReportPace {
  const shareMs = Math.ceil((busy * 1_000) / wantedReportsPerSecond);
  const reportIntervalMs = Math.min(longestReportIntervalMs, Math.max(leastIntervalMs, shareMs));
  const gapMs = Math.min(reportIntervalMs, shareMs);
  return { reportIntervalMs, gapMs: gapMs > reportIntervalMs * newsPart ? gapMs : undefined };
}

/**
 * Counts the clusters that have reported within the last interval or two. Kept in memory: an object that forgets it has been
 * idle, or learns it anew within an interval.
 */
export class BusyClusters {
  #startMs = Number.NEGATIVE_INFINITY;
  #before = new Set<string>();
  #now = new Set<string>();

  /** A cluster reports. Returns how many do. */
  note(clusterId: string, nowMs: number): number {
    const ageMs = nowMs - this.#startMs;
    if (ageMs >= longestReportIntervalMs || ageMs < 0) {
      this.#before = ageMs < 2 * longestReportIntervalMs && ageMs >= 0 ? this.#now : new Set();
      this.#now = new Set();
      this.#startMs = nowMs;
    }
    this.#now.add(clusterId);
    return Math.max(this.#before.size, this.#now.size);
  }
}
