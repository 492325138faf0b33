/**
 * Waiting times between attempts: each about twice the one before, up to a greatest, and each shortened by a random part so
 * that clusters that failed together do not come back together.
 */
export class Backoff {
  readonly #leastMs: number;
  readonly #greatestMs: number;
  readonly #random: () => number;
  #attempts = 0;

  /** @param random from 0 to 1 */
  constructor(leastMs: number, greatestMs: number, random: () => number) {
    this.#leastMs = leastMs;
    this.#greatestMs = greatestMs;
    this.#random = random;
  }

  /** How long to wait before the next attempt. */
  next(): number {
    const ceiling = Math.min(this.#greatestMs, this.#leastMs * 2 ** this.#attempts);
    this.#attempts += 1;
    return ceiling * (0.5 + this.#random() / 2);
  }

  /** An attempt went well: the next failure starts from the beginning. */
  reset(): void {
    this.#attempts = 0;
  }
}
