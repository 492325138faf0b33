/**
 * What became of a save. `saved`: it is durable. `superseded`: a newer session has the player, so that nothing of this one is kept.
 * `unsaved`: it is not known to be kept: the master was away for too long, what there was before had not been read yet, too much waits, or
 * the player was on its way to another cluster already.
 */
export type SaveOutcome = "saved" | "superseded" | "unsaved";

/** Most that wait for one save, as while a master is away from a game that saves with each tick: past it the first are told `unsaved`. */
export const maxWaiters = 256;

/** A state on its way, and who waits for it. */
export interface Save {
  readonly state: Uint8Array;
  readonly waiters: readonly ((outcome: SaveOutcome) => void)[];
}

/** A save as it is asked of the master. */
export interface SentSave extends Save {
  readonly generation: number;
  readonly version: number;
}

/**
 * The saves of one session: one on its way at a time, and behind it the latest only. Whoever asked for one that a later one has
 * overtaken is told what became of that one: it says more. Versions count from 1 under each generation. [HAND-8]
 */
export class SaveLine {
  readonly #intervalMs: number;
  #sent: SentSave | undefined;
  #next: Save | undefined;
  #newest: Uint8Array | undefined;
  #generation = 0;
  #version = 0;
  #sentAtMs = Number.NEGATIVE_INFINITY;
  /** Those whose saves a handover's snapshot has. */
  #packed: ReadonlySet<Save["waiters"][number]> = new Set();

  /** @param intervalMs least time from one save to the next */
  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** Whether anything is not known to be durable. */
  get busy(): boolean {
    return this.#sent !== undefined || this.#next !== undefined;
  }

  /** Generation of the one on its way. */
  get sentGeneration(): number | undefined {
    return this.#sent?.generation;
  }

  /** The latest state that was to be saved. */
  get newest(): Uint8Array | undefined {
    return this.#newest;
  }

  /** Bytes that it holds. */
  get heldBytes(): number {
    return (this.#sent?.state.length ?? 0) + (this.#next?.state.length ?? 0);
  }

  put({ state, waiters }: Save): void {
    this.#newest = state;
    const all = [...(this.#next?.waiters ?? []), ...waiters];
    const surplus = all.splice(0, Math.max(0, all.length - maxWaiters));
    this.#next = { state, waiters: all };
    for (const tell of surplus) tell("unsaved");
  }

  /** How long until the next one may go; 0 for now, `undefined` when none waits or one is on its way. */
  waitMs(nowMs: number): number | undefined {
    if (this.#next === undefined || this.#sent !== undefined) return undefined;
    return Math.max(0, this.#sentAtMs + this.#intervalMs - nowMs);
  }

  /** The next one is on its way under this generation. */
  send(generation: number, nowMs: number): SentSave | undefined {
    if (this.#next === undefined || this.#sent !== undefined) return undefined;
    this.#version = generation === this.#generation ? this.#version + 1 : 1;
    this.#generation = generation;
    this.#sentAtMs = nowMs;
    this.#sent = { ...this.#next, generation, version: this.#version };
    this.#next = undefined;
    return this.#sent;
  }

  /** The master has it. Returns whether it is the one on its way. */
  saved(generation: number, version: number): boolean {
    const sent = this.#sent;
    if (sent === undefined || sent.generation !== generation || version < sent.version) return false;
    this.#sent = undefined;
    for (const tell of sent.waiters) tell("saved");
    return true;
  }

  /** The one on its way went under a generation that is no more: it goes again, unless a later one has come. */
  takeBack(): void {
    const sent = this.#sent;
    if (sent === undefined) return;
    this.#sent = undefined;
    this.#next = {
      state: this.#next?.state ?? sent.state,
      waiters: [...sent.waiters, ...(this.#next?.waiters ?? [])],
    };
  }

  /** What is not known to be durable, for another line to go on with. */
  give(): Save | undefined {
    this.takeBack();
    const given = this.#next;
    this.#next = undefined;
    return given;
  }

  /** A snapshot is taken, with all that has been saved so far. */
  pack(): void {
    this.#packed = new Set([...(this.#sent?.waiters ?? []), ...(this.#next?.waiters ?? [])]);
  }

  /** The last snapshot is durable, and nothing but what is in it. */
  handOver(): void {
    for (const tell of this.give()?.waiters ?? []) tell(this.#packed.has(tell) ? "saved" : "unsaved");
  }

  /** Nothing more will come of what waits. */
  end(outcome: SaveOutcome): void {
    for (const tell of this.give()?.waiters ?? []) tell(outcome);
  }
}
