import { type CallOptions, isPromiseLike } from "./plugin-slot.ts";

export interface HookLaneOptions {
  readonly timeoutMs: number;
  /** Told what a hook threw, or that it did not end in time. */
  readonly onError: (hook: string, error: unknown) => void;
  /** Told `true` when so much waits that no more should come, and `false` when it has gone down. */
  readonly onPressure: (high: boolean) => void;
  /** A lane of the same player that has to be done first. */
  readonly after?: HookLane | undefined;
  /** Whose hooks they are. */
  readonly caller?: CallOptions;
}

/** Hooks that may wait before the sender is held back, and down to where it has to go. */
const highWater = 64;
const lowWater = 16;

interface Waiting {
  readonly hook: string;
  readonly run: () => unknown;
}

/**
 * Runs the hooks of one player in order, each after the one before is done. As long as they are synchronous nothing ever
 * waits, save for what a hook itself brings about; while the promise of one is open, later ones stand in line.
 */
export class HookLane {
  readonly #options: HookLaneOptions;
  #waiting: Waiting[] | undefined;
  #busy = false;
  /** Numbers the promises that are waited for, so that one that ends late is not taken for the next. */
  #turn = 0;
  #timer: NodeJS.Timeout | undefined;
  #pressed = false;
  #onIdle: (() => void)[] | undefined;

  constructor(options: HookLaneOptions) {
    this.#options = options;
    if (options.after?.busy === true) this.#await("onLeave", options.after.idle());
  }

  /** True while a hook runs, waits, or has an open promise. */
  get busy(): boolean {
    return this.#busy;
  }

  /** Whose hooks they are. */
  get caller(): CallOptions | undefined {
    return this.#options.caller;
  }

  /** Resolves when nothing is left to do. */
  async idle(): Promise<void> {
    if (!this.busy) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onIdle ??= [];
    this.#onIdle.push(resolve);
    await promise;
  }

  /** Runs a hook now, or after those before it. */
  run(hook: string, run: () => unknown): void {
    if (this.enter()) {
      this.leave(hook, this.#call({ hook, run }));
      return;
    }
    this.#waiting ??= [];
    this.#waiting.push({ hook, run });
    if (this.#pressed || this.#waiting.length < highWater) return;
    this.#pressed = true;
    this.#options.onPressure(true);
  }

  /**
   * As {@link run}, for a caller that runs the hook itself, so that nothing has to be made for it: true when it may do so now,
   * and then {@link leave} follows, whatever comes of the hook; false when it has to wait.
   */
  enter(): boolean {
    if (this.#busy) return false;
    this.#busy = true;
    return true;
  }

  /** What the hook returned. */
  leave(hook: string, result: unknown): void {
    if (isPromiseLike(result)) return this.#await(hook, result);
    this.#busy = false;
    if (this.#waiting !== undefined || this.#onIdle !== undefined) this.#goOn();
  }

  #goOn(): void {
    for (let next = this.#waiting?.shift(); next !== undefined; next = this.#waiting?.shift()) {
      this.#busy = true;
      const open = this.#call(next);
      if (open !== undefined) {
        this.#await(next.hook, open);
        break;
      }
      this.#busy = false;
    }
    const length = this.#waiting?.length ?? 0;
    if (length === 0) this.#waiting = undefined;
    if (this.#pressed && length <= lowWater) {
      this.#pressed = false;
      this.#options.onPressure(false);
    }
    if (this.#busy) return;
    const waiters = this.#onIdle ?? [];
    this.#onIdle = undefined;
    for (const resolve of waiters) resolve();
  }

  /** The promise of a hook that is not done when it returns. */
  #call({ hook, run }: Waiting): PromiseLike<unknown> | undefined {
    try {
      const result = run();
      return isPromiseLike(result) ? result : undefined;
    } catch (error) {
      this.#options.onError(hook, error);
      return undefined;
    }
  }

  #await(hook: string, open: PromiseLike<unknown>): void {
    this.#busy = true;
    this.#turn += 1;
    const turn = this.#turn;
    this.#timer = setTimeout(() => {
      this.#options.onError(hook, new Error(`not done after ${this.#options.timeoutMs} ms; the next one goes ahead`));
      this.#end(turn);
    }, this.#options.timeoutMs);
    // What a plugin returns may be any thenable: one whose `then` throws counts as rejected.
    Promise.resolve(open).then(
      () => this.#end(turn),
      (error: unknown) => {
        this.#options.onError(hook, error);
        this.#end(turn);
      },
    );
  }

  /** Goes on after an open promise, unless its time ran out before. */
  #end(turn: number): void {
    if (this.#turn !== turn) return;
    this.#turn += 1;
    clearTimeout(this.#timer);
    this.#busy = false;
    this.#goOn();
  }
}
