/** A call that is to come. */
export interface PluginTimer {
  /** It will not come; without effect when it has. */
  cancel(): void;
}

/** Stops a plugin that makes timers and forgets them from filling the memory. */
const maxTimers = 100_000;
/** The most that a timer of the system can wait. */
const maxDelayMs = 2_147_483_647;

/** The timers of one plugin. They end with the cluster, whatever the plugin does. */
export class PluginTimers {
  readonly #run: (callback: () => unknown) => unknown;
  readonly #stops = new Set<() => void>();
  #ended = false;

  /** @param run calls a callback and contains what it does */
  constructor(run: (callback: () => unknown) => unknown) {
    this.#run = run;
  }

  /** Once, after so many milliseconds. */
  after(delayMs: number, callback: () => unknown): PluginTimer {
    assertDelay(delayMs);
    const timer: PluginTimer = this.#add((stop) => {
      const timeout = setTimeout(() => {
        stop();
        void this.#run(callback);
      }, delayMs);
      return () => clearTimeout(timeout);
    });
    return timer;
  }

  /** Again and again; while the promise of one call is open the next ones are left out. */
  every(intervalMs: number, callback: () => unknown): PluginTimer {
    assertDelay(intervalMs);
    if (intervalMs < 1) throw new RangeError("an interval is at least 1 ms");
    let open = false;
    return this.#add(() => {
      const interval = setInterval(() => {
        if (open) return;
        const result = this.#run(callback);
        if (!(result instanceof Promise)) return;
        open = true;
        void result.finally(() => (open = false));
      }, intervalMs);
      return () => clearInterval(interval);
    });
  }

  /** No more calls, of these timers or of any to come. */
  end(): void {
    this.#ended = true;
    for (const stop of this.#stops) stop();
    this.#stops.clear();
  }

  #add(begin: (stop: () => void) => () => void): PluginTimer {
    if (this.#ended) return { cancel: () => undefined };
    if (this.#stops.size >= maxTimers) throw new RangeError(`a plugin has at most ${maxTimers} timers at a time`);
    const cancel = (): void => {
      end();
      this.#stops.delete(end);
    };
    const end = begin(cancel);
    this.#stops.add(end);
    return { cancel };
  }
}

function assertDelay(delayMs: number): void {
  if (!(delayMs >= 0 && delayMs <= maxDelayMs)) {
    throw new RangeError(`a delay is from 0 to ${maxDelayMs} ms, not ${delayMs}`);
  }
}
