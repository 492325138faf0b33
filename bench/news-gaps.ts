/** How long nothing new came to a player: while it went from one server to another, and at any other time. */
export class NewsGaps {
  /** One for each time that the player was handed over, in ms: from the last news of the old server to the first of the new one. */
  readonly gapsMs: number[] = [];
  /** Between any other two news. */
  readonly pausesMs: number[] = [];
  #lastMs: number | undefined;
  #hasMoved = false;

  /** A message, or an update of an entity, has come. What comes in one go is one. */
  hear(nowMs: number): void {
    const last = this.#lastMs;
    const hasMoved = this.#hasMoved;
    this.#lastMs = nowMs;
    this.#hasMoved = false;
    if (last === undefined) return;
    if (hasMoved) this.gapsMs.push(nowMs - last);
    else if (nowMs - last >= sameMs) this.pausesMs.push(nowMs - last);
  }

  /** The player is at another server now. */
  moved(): void {
    this.#hasMoved = true;
  }

  /** What has come so far does not count. */
  forget(): void {
    this.gapsMs.length = 0;
    this.pausesMs.length = 0;
  }
}

/** News that are closer together than this came with one read. */
const sameMs = 1;
