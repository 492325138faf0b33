/** Counts durations in buckets of fixed bounds, as Prometheus reads them. */
export class Histogram {
  /** Upper bounds in seconds, ascending. */
  readonly bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;
  #count = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.#counts = bounds.map(() => 0);
  }

  get count(): number {
    return this.#count;
  }

  get sumSeconds(): number {
    return this.#sum;
  }

  observe(seconds: number): void {
    this.#sum += seconds;
    this.#count += 1;
    for (let index = 0; index < this.bounds.length; index += 1) {
      if (seconds > (this.bounds[index] ?? 0)) continue;
      this.#counts[index] = (this.#counts[index] ?? 0) + 1;
      return;
    }
  }

  /** For each bound, how many were at most that. */
  cumulative(): readonly { readonly bound: number; readonly count: number }[] {
    let count = 0;
    return this.bounds.map((bound, index) => ({ bound, count: (count += this.#counts[index] ?? 0) }));
  }

  /**
   * The bound below which at least this share of the durations lay; `Infinity` beyond the last.
   *
   * @param share from 0 to 1, as 0.99
   */
  quantile(share: number): number {
    const wanted = share * this.#count;
    return this.cumulative().find(({ count }) => count >= wanted)?.bound ?? Number.POSITIVE_INFINITY;
  }
}

/** Bounds for what has to fit into a tick: from a tenth of a millisecond to a second. */
export const tickBounds: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.0166, 0.025, 0.0333, 0.05, 0.1, 0.25, 0.5, 1,
];
