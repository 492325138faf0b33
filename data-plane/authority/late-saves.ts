/** A session that has left, with something that is not known to be durable. */
interface LateRecord {
  readonly line: { readonly heldBytes: number };
  lateTimer: NodeJS.Timeout | undefined;
}

export interface LateLimits {
  /** How long the last save of a player that has left is tried. */
  readonly lateMs: number;
  /** Most bytes of such saves; past it the oldest is given up. */
  readonly maxLateBytes: number;
}

/** Sessions that have left and are not saved yet: for a while, and up to so many bytes. */
export class LateSaves<R extends LateRecord> {
  readonly #limits: LateLimits;
  readonly #giveUp: (record: R) => void;
  /** The oldest first. */
  readonly #records = new Set<R>();
  #onSettled: (() => void)[] = [];

  /** @param giveUp told whose time or room has run out; it is to be {@link remove}d */
  constructor(limits: LateLimits, giveUp: (record: R) => void) {
    this.#limits = limits;
    this.#giveUp = giveUp;
  }

  has(record: R): boolean {
    return this.#records.has(record);
  }

  add(record: R): void {
    const { lateMs, maxLateBytes } = this.#limits;
    this.#records.add(record);
    clearTimeout(record.lateTimer);
    record.lateTimer = setTimeout(() => this.#giveUp(record), lateMs);
    record.lateTimer.unref();
    let held = 0;
    for (const { line } of this.#records) held += line.heldBytes;
    for (const oldest of this.#records) {
      if (held <= maxLateBytes) break;
      held -= oldest.line.heldBytes;
      this.#giveUp(oldest);
    }
  }

  remove(record: R): void {
    clearTimeout(record.lateTimer);
    if (!this.#records.delete(record) || this.#records.size > 0) return;
    for (const tell of this.#onSettled.splice(0)) tell();
  }

  /** Resolves when none is left. */
  async settled(): Promise<void> {
    if (this.#records.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onSettled.push(resolve);
    await promise;
  }
}
