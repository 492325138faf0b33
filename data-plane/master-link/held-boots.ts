interface HeldBoot {
  readonly boot: number;
  /** Monotonic milliseconds; infinite for the one in force. */
  untilMs: number;
}

const maxHeld = 8;

/**
 * The boot epochs that name this very process. A registration that had to be repeated brings a new one, but whoever holds
 * a ticket of the epoch before still means us: we have not restarted, and know which of its tickets were used. [TICKET-6]
 */
export class HeldBoots {
  readonly #ticketLifetimeMs: number;
  readonly #nowMs: () => number;
  #held: HeldBoot[] = [];

  /** @param ticketLifetimeMs how long a ticket can be usable after an epoch has ended */
  constructor(ticketLifetimeMs: number, nowMs: () => number) {
    this.#ticketLifetimeMs = ticketLifetimeMs;
    this.#nowMs = nowMs;
  }

  /** A registration has put this epoch in force. */
  add(boot: number): void {
    const now = this.#nowMs();
    for (const held of this.#held) held.untilMs = Math.min(held.untilMs, now + this.#ticketLifetimeMs);
    this.#held = [
      { boot, untilMs: Number.POSITIVE_INFINITY },
      ...this.#held.filter((held) => held.boot !== boot && held.untilMs > now),
    ].slice(0, maxHeld);
  }

  /** Those whose tickets may still join, the newest first. */
  list(): readonly number[] {
    const now = this.#nowMs();
    return this.#held.filter((held) => held.untilMs > now).map((held) => held.boot);
  }
}
