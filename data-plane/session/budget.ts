/** What a player may send. 0 means no limit. */
export interface BudgetRates {
  readonly bytesPerSecond: number;
  readonly messagesPerSecond: number;
}

export type BudgetVerdict = "within" | "warn" | "over";

/** Milliseconds' worth that may come at once. */
const burstMs = 2_000;
/** Milliseconds' worth past that, after the warning, before it is too much. */
const overdraftMs = 1_000;

/**
 * How much a player may send: so much a second, in bursts of two seconds' worth. Who overdraws it is warned about, and who
 * overdraws it by a second's worth more has to go. [BUDGET-1]
 *
 * Levels are in thousandths, and so whole: a rate a second is that many thousandths a millisecond. The engine keeps whole
 * numbers in the object itself, and others somewhere else; this is touched by everything that comes.
 */
export class Budget {
  readonly #bytesPerSecond: number;
  readonly #messagesPerSecond: number;
  /** What is left; below 0 it is overdrawn. */
  #bytes: number;
  #messages: number;
  #refilledAtMs: number;

  constructor(rates: BudgetRates, nowMs: number) {
    this.#bytesPerSecond = rates.bytesPerSecond;
    this.#messagesPerSecond = rates.messagesPerSecond;
    this.#bytes = rates.bytesPerSecond * burstMs;
    this.#messages = rates.messagesPerSecond * burstMs;
    this.#refilledAtMs = Math.floor(nowMs);
  }

  /** Bytes have come, at this time. */
  drawBytes(count: number, nowMs: number): BudgetVerdict {
    this.#refill(nowMs, burstMs);
    this.#bytes -= count * 1_000;
    return verdict(this.#bytes, this.#bytesPerSecond);
  }

  /** A message was in them. */
  drawMessage(): BudgetVerdict {
    this.#messages -= 1_000;
    return verdict(this.#messages, this.#messagesPerSecond);
  }

  /** The player comes back after so long: what it could not send then, it sends now. [BUDGET-2] */
  returned(nowMs: number): void {
    this.#refill(nowMs, burstMs + Math.max(0, Math.floor(nowMs) - this.#refilledAtMs));
  }

  #refill(nowMs: number, mostMs: number): void {
    const now = Math.floor(nowMs);
    const elapsedMs = now - this.#refilledAtMs;
    if (elapsedMs <= 0) return;
    this.#refilledAtMs = now;
    this.#bytes = refilled(this.#bytes, this.#bytesPerSecond, elapsedMs, mostMs);
    this.#messages = refilled(this.#messages, this.#messagesPerSecond, elapsedMs, mostMs);
  }
}

/** What fills up past the burst, as `mostMs` allows, is for those who were away. */
function refilled(level: number, perSecond: number, elapsedMs: number, mostMs: number): number {
  return Math.max(level, Math.min(level + elapsedMs * perSecond, mostMs * perSecond));
}

function verdict(level: number, perSecond: number): BudgetVerdict {
  // Without a limit the level means nothing.
  if (level >= 0 || perSecond === 0) return "within";
  return level >= -perSecond * overdraftMs ? "warn" : "over";
}
