import { monitorEventLoopDelay } from "node:perf_hooks";

const resolutionMs = 20;

/** Measures how late the event loop turns. It wakes the process every 20 ms: so it runs only where somebody reads it. */
export class LoopLag {
  readonly #delay = monitorEventLoopDelay({ resolution: resolutionMs });

  start(): void {
    this.#delay.enable();
  }

  stop(): void {
    this.#delay.disable();
  }

  /** In seconds, since the last reading. */
  read(): { readonly p50: number; readonly p99: number; readonly max: number } {
    const { max } = this.#delay;
    const lag = {
      p50: seconds(this.#delay.percentile(50)),
      p99: seconds(this.#delay.percentile(99)),
      max: seconds(max),
    };
    this.#delay.reset();
    return lag;
  }
}

/** The monitor's figures are nanoseconds and hold its own resolution; without any turn they are nonsense. */
function seconds(nanoseconds: number): number {
  return Number.isFinite(nanoseconds) ? Math.max(0, nanoseconds / 1e9 - resolutionMs / 1_000) : 0;
}
