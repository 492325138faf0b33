/**
 * Has calls that are under way at the same time done one after another in one turn of the event loop. The platform commits what an object has
 * written at the end of a turn, so that one commit stores what all of them write.
 */
export class SharedTurns {
  readonly #pause: () => Promise<void>;
  #next: Promise<void> | undefined;

  /** @param pause lets everything happen that is ready to; a timer does, since it comes after whatever has arrived */
  constructor(pause: () => Promise<void> = async () => scheduler.wait(0)) {
    this.#pause = pause;
  }

  /** The next turn. Those who wait for the same one go on in the order in which they asked, with nothing between them up to their next wait. */
  next(): Promise<void> {
    this.#next ??= this.#begin();
    return this.#next;
  }

  async #begin(): Promise<void> {
    await this.#pause();
    this.#next = undefined;
  }
}
