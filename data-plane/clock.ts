/** The time, passed in so that tests can hold it. */
export interface Clock {
  /** Milliseconds that never go back; origin of its own. For durations and deadlines. */
  readonly monotonicMs: () => number;
  /** Milliseconds since 1970. For what a ticket says. */
  readonly wallMs: () => number;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
};
