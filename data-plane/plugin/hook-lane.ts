import { type CallOptions, isPromiseLike } from "./plugin-slot.ts";

/** What the lanes of all players share. */
export interface LaneRules {
  readonly timeoutMs: number;
  /** Told what a hook threw, or that it did not end in time. */
  readonly onError: (hook: string, error: unknown) => void;
  /** Takes an error that is the player's fault and not the plugin's: then true. */
  readonly takes: (owner: LaneOwner, error: unknown) => boolean;
}

/** Whose hooks they are: the player, who lends the host the means to act on its behalf. */
export interface LaneOwner {
  readonly id: string;
  /** Nothing more should be read from the player, as too much waits; or, not `held`, it has become less. */
  hold(held: boolean): void;
  /** The player sent a message that the game could not read. */
  malformed(reason: string): void;
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
export class HookLane implements CallOptions {
  readonly #rules: LaneRules;
  readonly #owner: LaneOwner;
  #waiting: Waiting[] | undefined;
  #busy = false;
  /** Numbers the promises that are waited for, so that one that ends late is not taken for the next. */
  #turn = 0;
  #timer: NodeJS.Timeout | undefined;
  #pressed = false;
  #onIdle: (() => void)[] | undefined;

  /** @param after a lane of the same player that has to be done first */
  constructor(rules: LaneRules, owner: LaneOwner, after?: HookLane) {
    this.#rules = rules;
    this.#owner = owner;
    if (after?.busy === true) this.#await("onLeave", after.idle());
  }

  /** True while a hook runs, waits, or has an open promise. */
  get busy(): boolean {
    return this.#busy;
  }

  get playerId(): string {
    return this.#owner.id;
  }

  takes(error: unknown): boolean {
    return this.#rules.takes(this.#owner, error);
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
    this.#owner.hold(true);
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
      this.#owner.hold(false);
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
      this.#rules.onError(hook, error);
      return undefined;
    }
  }

  #await(hook: string, open: PromiseLike<unknown>): void {
    this.#busy = true;
    this.#turn += 1;
    const turn = this.#turn;
    this.#timer = setTimeout(() => {
      this.#rules.onError(hook, new Error(`not done after ${this.#rules.timeoutMs} ms; the next one goes ahead`));
      this.#end(turn);
    }, this.#rules.timeoutMs);
    // What a plugin returns may be any thenable: one whose `then` throws counts as rejected.
    Promise.resolve(open).then(
      () => this.#end(turn),
      (error: unknown) => {
        this.#rules.onError(hook, error);
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
