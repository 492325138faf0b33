/**
 * What a plugin keeps in memory about each player, or about the cluster: one value for each holder, gone with it. Of its
 * plugin alone, as nobody else has this object.
 *
 * ```ts
 * const gold = new Memory(() => 0);
 * gold.set(player, gold.get(player) + 10);
 * ```
 */
export class Memory<T> {
  readonly #values = new WeakMap<object, { value: T }>();
  readonly #initial: () => T;

  /** @param initial makes what a holder starts with */
  constructor(initial: () => T) {
    this.#initial = initial;
  }

  /** The holder's value; the first time, a fresh one. */
  get(holder: object): T {
    let kept = this.#values.get(holder);
    if (kept === undefined) {
      kept = { value: this.#initial() };
      this.#values.set(holder, kept);
    }
    return kept.value;
  }

  set(holder: object, value: T): void {
    this.#values.set(holder, { value });
  }

  /** Forgets the holder's value. */
  delete(holder: object): void {
    this.#values.delete(holder);
  }
}
