/**
 * A clock for judging silence, which stands still while the process does. After a long pause (a suspended machine, a
 * blocked event loop) everyone's last words are waiting unread: nobody may be called silent for a time in which we did not
 * listen.
 */
export class Pulse {
  readonly intervalMs: number;
  readonly #nowMs: () => number;
  #lastMs: number;
  #listenedMs = 0;
  #elapsedMs = 0;

  constructor(intervalMs: number, nowMs: () => number) {
    this.intervalMs = intervalMs;
    this.#nowMs = nowMs;
    this.#lastMs = nowMs();
  }

  /** Whole milliseconds listened so far, as of the last beat: a number that every connection keeps one or two of. */
  get elapsedMs(): number {
    return this.#elapsedMs;
  }

  /** To be called every `intervalMs`; a late beat counts as at most two. */
  beat(): void {
    const now = this.#nowMs();
    this.#listenedMs += Math.min(now - this.#lastMs, this.intervalMs * 2);
    this.#elapsedMs = Math.floor(this.#listenedMs);
    this.#lastMs = now;
  }
}
