/** A run at a fixed rate. */
export interface Pace {
  stop(): void;
  /** Longest time that an event came late, in milliseconds. */
  readonly worstLateMs: number;
}

/**
 * Calls `fire` so many times a second, evenly, whatever becomes of it (an open loop): what came late is made up for at
 * once, so that a slow server is offered as much as a fast one.
 */
export function startPace(perSecond: number, fire: (index: number) => void): Pace {
  const startMs = performance.now();
  let fired = 0;
  let worstLateMs = 0;
  const timer = setInterval(() => {
    const elapsedMs = performance.now() - startMs;
    const due = Math.floor((elapsedMs * perSecond) / 1_000);
    if (due > fired) worstLateMs = Math.max(worstLateMs, elapsedMs - (fired * 1_000) / perSecond);
    while (fired < due) fire(fired++);
  }, 1);
  return {
    stop: () => clearInterval(timer),
    get worstLateMs() {
      return worstLateMs;
    },
  };
}
