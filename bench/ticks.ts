import { tickBounds } from "../data-plane/ops/histogram.ts";

/** How long ticks took, of several windows: what a server counted at the end of each, less what it had counted at its start. */
export class TickTimes {
  readonly #counts: number[] = tickBounds.map(() => 0);

  /** @param before for each bound, how many ticks had been within it; and `after` */
  add(before: readonly number[], after: readonly number[]): void {
    for (const [index, count] of after.entries()) {
      this.#counts[index] = (this.#counts[index] ?? 0) + count - (before[index] ?? 0);
    }
  }

  get count(): number {
    return this.#counts.at(-1) ?? 0;
  }

  /** The bound in milliseconds within which this share of the ticks lay that took a second or less; NaN without any. */
  quantileMs(share: number): number {
    if (this.count === 0) return Number.NaN;
    const index = this.#counts.findIndex((count) => count >= share * this.count);
    return (tickBounds[index] ?? Number.NaN) * 1_000;
  }
}
