/**
 * A map in memory that forgets its entries once they say nothing more, so that who comes once is not remembered for good. All are looked
 * at together, when something is asked for, at most once in `everyMs`: it holds no more than what was used within that time and is
 * still of account.
 */
export class FadingMap<Value> {
  readonly #entries = new Map<string, Value>();
  readonly #options: {
    readonly everyMs: number;
    /** What an entry is that is not there. It must count for the same as one that has faded. */
    readonly create: (nowMs: number) => Value;
    readonly hasFaded: (value: Value, nowMs: number) => boolean;
  };
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: {
    readonly everyMs: number;
    readonly create: (nowMs: number) => Value;
    readonly hasFaded: (value: Value, nowMs: number) => boolean;
  }) {
    this.#options = options;
  }

  /** How many entries there are. */
  get size(): number {
    return this.#entries.size;
  }

  /** The entry of that name, new if there is none: to be changed in place. */
  get(name: string, nowMs: number): Value {
    const { everyMs, create } = this.#options;
    const known = this.#entries.get(name);
    if (known !== undefined) return known;
    // Only who is new makes it grow. A clock that was set back says nothing about how long ago that was.
    if (nowMs - this.#lookedAtMs >= everyMs || nowMs < this.#lookedAtMs) this.#forget(nowMs);
    const created = create(nowMs);
    this.#entries.set(name, created);
    return created;
  }

  #forget(nowMs: number): void {
    this.#lookedAtMs = nowMs;
    for (const [name, value] of this.#entries) if (this.#options.hasFaded(value, nowMs)) this.#entries.delete(name);
  }
}
