import { localError, type SustenetError } from "./error.ts";

/** Time, passed in so that tests and simulations can supply their own. */
export interface Clock {
  /** Milliseconds, monotonic, any origin. */
  nowMs(): number;
  /** Milliseconds since 1970. */
  wallMs(): number;
  /** Calls `run` once, after `delayMs`; the returned function calls it off. */
  after(delayMs: number, run: () => void): () => void;
}

/** What `setTimeout` can wait for; more would fire at once. */
const maxTimerMs = 2 ** 31 - 1;

/** The runtime's own clock. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, Math.min(delayMs, maxTimerMs));
    return () => clearTimeout(timer);
  },
};

/**
 * Runs `run` with an end: after `timeoutMs` it rejects with `TIMEOUT`, or when `parent` aborts with `CLOSED`, whatever `run`
 * does by then. The signal that `run` gets tells it to clean up.
 */
export async function withDeadline<T>(
  clock: Clock,
  timeoutMs: number,
  doing: string,
  run: (signal: AbortSignal) => Promise<T>,
  parent?: AbortSignal,
): Promise<T> {
  const controller = new AbortController();
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const end = (error: SustenetError): void => {
    reject(error);
    controller.abort(error);
  };
  const callOff = (): void => end(localError("CLOSED"));
  if (parent?.aborted === true) throw localError("CLOSED");
  parent?.addEventListener("abort", callOff, { once: true });
  const cancel = clock.after(timeoutMs, () => end(localError("TIMEOUT", `${doing} took longer than ${timeoutMs} ms`)));
  try {
    return await Promise.race([run(controller.signal), ended]);
  } finally {
    cancel();
    parent?.removeEventListener("abort", callOff);
  }
}

/** Waits; rejects with `CLOSED` as soon as `signal` aborts. */
export async function wait(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const callOff = (): void => reject(localError("CLOSED"));
  if (signal?.aborted === true) throw localError("CLOSED");
  signal?.addEventListener("abort", callOff, { once: true });
  const cancel = clock.after(delayMs, () => resolve(undefined));
  try {
    await promise;
  } finally {
    cancel();
    signal?.removeEventListener("abort", callOff);
  }
}

/**
 * How long to wait before the `attempt`th try again, from 1: grows twofold from `baseMs` up to `maxMs`, and half of it is
 * random, so that many clients that failed together do not come back together.
 */
export function backoffMs(
  attempt: number,
  limits: { readonly baseMs: number; readonly maxMs: number },
  random: () => number,
): number {
  const fullMs = Math.min(limits.maxMs, limits.baseMs * 2 ** (attempt - 1));
  return (fullMs / 2) * (1 + random());
}

/** How long to wait where the other side has said not to come sooner: up to half as long again, so that all who were told the same do not come at once. */
export function notBeforeMs(retryAfterMs: number, random: () => number): number {
  return retryAfterMs * (1 + random() / 2);
}
