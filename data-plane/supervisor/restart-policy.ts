import { Backoff } from "../backoff.ts";

/** When a process that ended by itself is started again. */
export interface RestartRules {
  /** First and longest wait. */
  readonly waitMs: readonly [number, number];
  /** How long it has to serve for its failures to be forgotten. */
  readonly stableMs: number;
  /** Failures in a row after which nobody tries any more. */
  readonly maxFailures: number;
}

export const defaultRestartRules: RestartRules = { waitMs: [250, 30_000], stableMs: 60_000, maxFailures: 10 };

/** Decides over one process; the time is passed in. */
export class RestartPolicy {
  readonly #rules: RestartRules;
  readonly #backoff: Backoff;
  #failures = 0;

  /** @param random from 0 to 1; for jitter */
  constructor(rules: RestartRules, random: () => number) {
    this.#rules = rules;
    this.#backoff = new Backoff(...rules.waitMs, random);
  }

  /**
   * The process has ended.
   *
   * @param servedMs how long players could connect to it
   * @returns how long to wait before the next start, or `undefined` to give up
   */
  ended(servedMs: number): number | undefined {
    if (servedMs >= this.#rules.stableMs) {
      this.#failures = 0;
      this.#backoff.reset();
    }
    this.#failures += 1;
    return this.#failures >= this.#rules.maxFailures ? undefined : this.#backoff.next();
  }
}
