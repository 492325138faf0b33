/** Most tickets that are remembered as given back. Past it nothing more is promised to the master: those seats stay taken until they expire. */
export const maxGivenBack = 10_000;

/** Most joins that are remembered as under way; past it none is refused, and none is given back. */
const maxUnderWay = 50_000;

/** For how long a join may be under way once its ticket was found good: longer than a connection has for it. */
const underWayMs = 10_000;

/**
 * Tickets whose seats their players gave back: they join no more, so that the seats are free before the tickets expire. Kept
 * until they expire, in tables that are bounded.
 */
export class GivenBackTickets {
  readonly #monotonicMs: () => number;
  /** Until when each would be good, by reservation. */
  readonly #refused = new Map<string, number>();
  /** Until when each may be under way, the earliest first. */
  readonly #underWay = new Map<string, number>();

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
  }

  /** Whether the ticket of this reservation may join; if so, its join is under way from now on. */
  admit(reservationId: string): boolean {
    const now = this.#monotonicMs();
    if ((this.#refused.get(reservationId) ?? 0) > now) return false;
    // All are under way for as long, so the first that is not past ends it: a join must not look at all the others.
    for (const [key, untilMs] of this.#underWay) {
      if (untilMs > now) break;
      this.#underWay.delete(key);
    }
    this.#underWay.delete(reservationId);
    this.#underWay.set(reservationId, now + underWayMs);
    return true;
  }

  /**
   * From now on the ticket of this reservation joins no more.
   *
   * @param forMs for how long it could
   * @returns false where that cannot be promised: it may be joining right now, or too many are remembered
   */
  refuse(reservationId: string, forMs: number): boolean {
    const now = this.#monotonicMs();
    if ((this.#underWay.get(reservationId) ?? 0) > now || this.#underWay.size > maxUnderWay) return false;
    if (this.#refused.size >= maxGivenBack) forgetPast(this.#refused, now);
    if (this.#refused.size >= maxGivenBack && !this.#refused.has(reservationId)) return false;
    this.#refused.set(reservationId, now + forMs);
    return true;
  }
}

function forgetPast(entries: Map<string, number>, now: number): void {
  if (entries.size === 0) return;
  for (const [key, untilMs] of entries) if (untilMs <= now) entries.delete(key);
}
