import { FadingMap } from "../fading-map.ts";

const intervalMs = 10_000;
/** What was counted, and not told of, so long ago is of no interest any more. */
const forgetAfterMs = 3_600_000;

/** Adds up, by name, what happens too often to be logged each time. Kept in memory. */
export class Tally {
  readonly #counts = new FadingMap<{ loggedAtMs: number; count: number }>({
    everyMs: forgetAfterMs,
    create: () => ({ loggedAtMs: Number.NEGATIVE_INFINITY, count: 0 }),
    hasFaded: ({ loggedAtMs }, nowMs) => nowMs - loggedAtMs >= forgetAfterMs || nowMs < loggedAtMs,
  });

  /** Counts `count` more; what to log now: everything since the last time, at most once in 10 s for a name. */
  add(name: string, count: number, nowMs: number): number | undefined {
    const known = this.#counts.get(name, nowMs);
    known.count += count;
    if (nowMs - known.loggedAtMs < intervalMs && nowMs >= known.loggedAtMs) return undefined;
    const sum = known.count;
    Object.assign(known, { loggedAtMs: nowMs, count: 0 });
    return sum;
  }
}
