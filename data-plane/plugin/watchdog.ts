import { url as inspectorUrl } from "node:inspector";
import { Worker } from "node:worker_threads";
import type { HookWatch } from "./hook-names.ts";

/** What the watchdog's thread is started with. */
export interface WatchdogOrders {
  /** Shared with the main thread: {@link beatCell} and {@link markCell}. */
  readonly cells: SharedArrayBuffer;
  /** Names of the plugins, in order. */
  readonly plugins: readonly string[];
  readonly timeoutMs: number;
  readonly lookEveryMs: number;
}

/** Counts the main thread's turns. */
export const beatCell = 0;
/** Which hook runs. */
export const markCell = 1;

/** Beside this file, in the sources and in a built package. */
const threadFile = new URL(
  import.meta.url.endsWith(".ts") ? "./watchdog-thread.ts" : "./watchdog-thread.js",
  import.meta.url,
);

/**
 * Watches the main thread from a thread of its own. When the main thread has not turned for too long, as in a hook that
 * loops for ever, it says where on standard error and kills the process with SIGKILL: nothing gentler reaches a thread that
 * does not turn. A supervisor starts it again.
 *
 * A thread in the process and not the supervisor: so it also works where something else restarts the process, and it sees
 * memory that tells which hook is stuck.
 */
export class Watchdog implements HookWatch {
  readonly #cells = new Int32Array(new SharedArrayBuffer(8));
  #beats: NodeJS.Timeout | undefined;
  #thread: Worker | undefined;

  /**
   * Begins to watch. A process that is being debugged is left alone: it stands still at every breakpoint.
   *
   * @param timeoutMs how long the main thread may go without a turn
   */
  start(timeoutMs: number, plugins: readonly string[]): void {
    if (inspectorUrl() !== undefined) return;
    const lookEveryMs = Math.max(10, Math.min(1_000, timeoutMs / 10));
    const orders = { cells: this.#cells.buffer, plugins, timeoutMs, lookEveryMs };
    this.#beats = setInterval(() => Atomics.add(this.#cells, beatCell, 1), lookEveryMs / 2).unref();
    this.#thread = new Worker(threadFile, { workerData: orders, execArgv: [] });
    this.#thread.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#beats);
    await this.#thread?.terminate();
  }

  enter(mark: number): number {
    return Atomics.exchange(this.#cells, markCell, mark);
  }

  leave(previous: number): void {
    Atomics.store(this.#cells, markCell, previous);
  }
}
