/** Most bytes of one transaction, unless it is of one row alone: the database has to have taken it within a few seconds. */
export const batchBytes = 1_000_000;

/** How many of the first go together, by their lengths in bytes: at least one, if there is any. */
export function fittingTogether(lengths: readonly number[]): number {
  let sum = 0;
  const excess = lengths.findIndex((bytes, index) => {
    sum += bytes;
    return index > 0 && sum > batchBytes;
  });
  return excess === -1 ? lengths.length : excess;
}

/**
 * How many rows go to the database at once. A failure does not say what it was about: after one it is half of what was sent, so that what is too
 * long gets through in the end, and after each success twice as many again.
 */
export class BatchSize {
  readonly #most: number;
  #rows: number;

  /** @param failures in a row so far: whoever has forgotten how many rows the database took still knows how often it has not */
  constructor(most: number, failures: number) {
    this.#most = most;
    this.#rows = Math.max(1, most >> Math.min(failures, 30));
  }

  get rows(): number {
    return this.#rows;
  }

  noteFailure(sent: number): void {
    this.#rows = Math.max(1, Math.floor(sent / 2));
  }

  noteSuccess(): void {
    this.#rows = Math.min(this.#most, this.#rows * 2);
  }
}
