/** Something that holds state for the end of the tick. */
export interface StateHolder {
  releaseStates(): void;
}

/** Knows whose state has to go when the tick is over: thousands who have none are not asked thirty times a second. */
export class TickEnd {
  #holders: StateHolder[] = [];

  /** To be called once for each tick. */
  add(holder: StateHolder): void {
    this.#holders.push(holder);
  }

  /** The tick is over. */
  run(): void {
    const holders = this.#holders;
    this.#holders = [];
    for (const holder of holders) holder.releaseStates();
  }
}
