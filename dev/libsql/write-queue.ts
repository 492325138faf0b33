import { StatementFault } from "./fault.ts";

interface Waiter {
  readonly attempt: () => boolean;
  readonly fail: (cause: Error) => void;
}

/** How often the first in line looks again, for locks that another process holds. */
const pollMs = 20;

/**
 * The line for SQLite's one write lock. The engine is synchronous and its own busy handler would stop the whole
 * process, so whoever finds the lock taken waits here, first come first served, until the holder says that it let go.
 */
export class WriteQueue {
  readonly #waiting: Waiter[] = [];
  #isPolling = false;

  /**
   * Runs `attempt`, and again each time that the lock may be free, until it no longer throws SQLITE_BUSY.
   * @param inLine false for what need not wait for those who wait already: readers, and whoever holds the lock.
   * @param maxWaitMs after which SQLITE_BUSY is let through.
   * @param signal ends the wait when the caller is gone.
   */
  run<T>(attempt: () => T, inLine: boolean, maxWaitMs: number, signal: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (signal.aborted) return reject(busyFault());
      const mustWait = inLine && this.#waiting.length > 0;
      if (!mustWait && this.#try(attempt, resolve, reject)) return;
      const waiter: Waiter = {
        attempt: () => {
          if (!this.#try(attempt, resolve, reject)) return false;
          stop();
          return true;
        },
        fail: (cause) => {
          stop();
          reject(cause);
          this.released();
        },
      };
      const busy = (): void => waiter.fail(busyFault());
      const deadline = setTimeout(busy, maxWaitMs);
      const stop = (): void => {
        clearTimeout(deadline);
        signal.removeEventListener("abort", busy);
        const index = this.#waiting.indexOf(waiter);
        if (index >= 0) this.#waiting.splice(index, 1);
      };
      signal.addEventListener("abort", busy);
      this.#waiting.push(waiter);
      this.#poll();
    });
  }

  /** Says that the lock may be free: lets those who wait try, in order, until one has to wait on. */
  released(): void {
    while (this.#waiting[0]?.attempt() === true);
  }

  /** Whether the attempt is over, with a result or with an error other than "busy". */
  #try<T>(attempt: () => T, resolve: (value: T) => void, reject: (cause: unknown) => void): boolean {
    try {
      resolve(attempt());
      return true;
    } catch (cause) {
      if (isBusy(cause)) return false;
      reject(cause);
      return true;
    }
  }

  #poll(): void {
    if (this.#isPolling) return;
    this.#isPolling = true;
    setTimeout(() => {
      this.#isPolling = false;
      this.released();
      if (this.#waiting.length > 0) this.#poll();
    }, pollMs);
  }
}

function busyFault(): StatementFault {
  return new StatementFault("SQLITE_BUSY", "SQLite error: database is locked");
}

/** SQLITE_BUSY_SNAPSHOT is not meant: waiting cannot cure it, only a new transaction can. */
function isBusy(cause: unknown): boolean {
  return (
    cause instanceof Error && "code" in cause && cause.code === "SQLITE_BUSY" && !(cause instanceof StatementFault)
  );
}
