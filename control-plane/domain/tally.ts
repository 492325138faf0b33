const intervalMs = 10_000;

/** Adds up, by name, what happens too often to be logged each time. Kept in memory. */
export class Tally {
  readonly #counts = new Map<string, { readonly loggedAtMs: number; count: number }>();

  /** Counts `count` more; what to log now: everything since the last time, at most once in 10 s for a name. */
  add(name: string, count: number, nowMs: number): number | undefined {
    const known = this.#counts.get(name);
    const sum = (known?.count ?? 0) + count;
    if (known !== undefined && nowMs - known.loggedAtMs < intervalMs && nowMs >= known.loggedAtMs) {
      known.count = sum;
      return undefined;
    }
    this.#counts.set(name, { loggedAtMs: nowMs, count: 0 });
    return sum;
  }
}
