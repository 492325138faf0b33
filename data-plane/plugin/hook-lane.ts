export interface HookLaneOptions {
  readonly timeoutMs: number;
  /** Told what a hook threw, or that it did not end in time. */
  readonly onError: (hook: string, error: unknown) => void;
  /** Told `true` when so much waits that no more should come, and `false` when it has gone down. */
  readonly onPressure: (high: boolean) => void;
  /** A lane of the same player that has to be done first. */
  readonly after?: HookLane | undefined;
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
  readonly #waiting: Waiting[] = [];
  /** Stands for the hook that runs; each has its own, so that one that ends late is not taken for the next. */
  #turn: object | undefined;
  #timer: NodeJS.Timeout | undefined;
  #pressed = false;
  #onIdle: (() => void)[] = [];

  constructor(options: HookLaneOptions) {
    this.#options = options;
    if (options.after?.busy === true) this.#await("onLeave", options.after.idle());
  }

  /** True while a hook runs, waits, or has an open promise. */
  get busy(): boolean {
    return this.#turn !== undefined;
  }

  /** Resolves when nothing is left to do. */
  async idle(): Promise<void> {
    if (!this.busy) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onIdle.push(resolve);
    await promise;
  }

  /** Runs a hook now, or after those before it. */
  run(hook: string, run: () => unknown): void {
    if (!this.busy) {
      this.#drain({ hook, run });
      return;
    }
    this.#waiting.push({ hook, run });
    if (this.#pressed || this.#waiting.length < highWater) return;
    this.#pressed = true;
    this.#options.onPressure(true);
  }

  #drain(first: Waiting | undefined): void {
    for (let next = first; next !== undefined; next = this.#waiting.shift()) {
      this.#turn = {};
      const open = this.#call(next);
      if (open !== undefined) {
        this.#await(next.hook, open);
        break;
      }
      this.#turn = undefined;
    }
    if (this.#pressed && this.#waiting.length <= lowWater) {
      this.#pressed = false;
      this.#options.onPressure(false);
    }
    if (this.busy) return;
    for (const resolve of this.#onIdle) resolve();
    this.#onIdle = [];
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
    const turn = {};
    this.#turn = turn;
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
  #end(turn: object): void {
    if (this.#turn !== turn) return;
    clearTimeout(this.#timer);
    this.#turn = undefined;
    this.#drain(this.#waiting.shift());
  }
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
