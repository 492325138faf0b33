/** Ticks that are made up for at once after a delay; more are left out. */
const maxCatchUp = 5;

/** Which ticks of a fixed rate are due. Pure: the time is passed in. */
export class TickSchedule {
  readonly tickMs: number;
  readonly #originMs: number;
  #tick = 0;

  constructor(tickHz: number, nowMs: number) {
    this.tickMs = 1_000 / tickHz;
    this.#originMs = nowMs;
  }

  /** Number of the last tick that was due. */
  get tick(): number {
    return this.#tick;
  }

  /** Advances to `nowMs`: the ticks to run now, oldest first, and how many were left out. */
  advance(nowMs: number): { readonly first: number; readonly count: number; readonly skipped: number } {
    const target = Math.floor((nowMs - this.#originMs) / this.tickMs);
    const due = Math.max(0, target - this.#tick);
    const count = Math.min(due, maxCatchUp);
    this.#tick += due;
    return { first: this.#tick - count + 1, count, skipped: due - count };
  }

  /** Time until the next tick is due. */
  untilNextMs(nowMs: number): number {
    return Math.max(0, this.#originMs + (this.#tick + 1) * this.tickMs - nowMs);
  }
}

export interface TickLoopOptions {
  readonly tickHz: number;
  readonly nowMs: () => number;
  readonly onTick: (tick: number, dtSeconds: number) => void;
  readonly onSkipped: (count: number) => void;
}

/** Drives a {@link TickSchedule} with a timer; a late timer is made up for, so that the rate holds on average. */
export class TickLoop {
  readonly #options: TickLoopOptions;
  readonly #schedule: TickSchedule;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: TickLoopOptions) {
    this.#options = options;
    this.#schedule = new TickSchedule(options.tickHz, options.nowMs());
  }

  get tick(): number {
    return this.#schedule.tick;
  }

  start(): void {
    this.#arm();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #arm(): void {
    this.#timer = setTimeout(() => this.#run(), this.#schedule.untilNextMs(this.#options.nowMs()));
  }

  #run(): void {
    // First, so that whatever a tick does the loop goes on.
    const { first, count, skipped } = this.#schedule.advance(this.#options.nowMs());
    this.#arm();
    if (skipped > 0) this.#options.onSkipped(skipped);
    for (let step = 0; step < count; step += 1) this.#options.onTick(first + step, this.#schedule.tickMs / 1_000);
  }
}
