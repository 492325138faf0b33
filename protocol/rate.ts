/** At most so many a second on average, after a while without so many at once: a token bucket, counted in time. Kept in memory. */
export class Rate {
  readonly #intervalMs: number;
  readonly #burst: number;
  /** From when on the next one is allowed. */
  #nextAtMs = Number.NEGATIVE_INFINITY;

  constructor(perSecond: number, burst: number) {
    this.#intervalMs = 1_000 / perSecond;
    this.#burst = burst;
  }

  /** Whether so many more, one unless said otherwise, are allowed now, all or none. Those that are not cost nothing. */
  take(nowMs: number, count = 1): boolean {
    // A full bucket holds no more than a burst, however long there was none.
    const nextAtMs = Math.max(this.#nextAtMs, nowMs - (this.#burst - 1) * this.#intervalMs);
    if (nextAtMs + (count - 1) * this.#intervalMs > nowMs) return false;
    this.#nextAtMs = nextAtMs + count * this.#intervalMs;
    return true;
  }

  /** Whether it is as if none had ever been taken: it may be forgotten. */
  isFull(nowMs: number): boolean {
    return this.#nextAtMs <= nowMs - (this.#burst - 1) * this.#intervalMs;
  }
}
