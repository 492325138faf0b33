import { vi } from "vitest";

/** The real one, whatever clock a test has. */
const { setTimeout } = globalThis;

/** For what surely comes, on the slowest of machines as well: only a test that fails waits so long. */
const patienceMs = 30_000;

/** The longest pause: what a player may ask for in a minute is not used up by asking. */
const longestPauseMs = 750;

/**
 * Tries until `attempt` does not throw, and gives what it gave: often at first, then at a growing distance. Where the test has a clock of
 * its own, it goes on by each pause.
 *
 * @throws what `attempt` has thrown last, once it has failed for 30 seconds
 */
export async function eventually<T>(attempt: () => T | Promise<T>): Promise<T> {
  const startedAt = performance.now();
  let waitedMs = 0;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Math.max(waitedMs, performance.now() - startedAt) > patienceMs) throw error;
    }
    const pauseMs = Math.min(longestPauseMs, Math.round(20 + waitedMs / 4));
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    if (vi.isFakeTimers()) vi.advanceTimersByTime(pauseMs);
    waitedMs += pauseMs;
  }
}

/** The same, until `ask` gives something: neither `undefined` nor `false`. */
export async function eventuallySome<T>(ask: () => Promise<T | undefined | false>): Promise<T> {
  return eventually(async () => {
    const found = await ask();
    if (found === undefined || found === false) throw new Error("it has not come");
    return found;
  });
}
