/** What a player may send. 0 means no limit. */
export interface BudgetRates {
  readonly bytesPerSecond: number;
  readonly messagesPerSecond: number;
}

export type BudgetVerdict = "within" | "warn" | "over";

/** Seconds' worth that may come at once. */
const burstSeconds = 2;
/** Seconds' worth past that, after the warning, before it is too much. */
const overdraftSeconds = 1;

/** What is left of one rate; below 0 it is overdrawn. */
class Bucket {
  readonly #perSecond: number;
  #level: number;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#level = perSecond * burstSeconds;
  }

  draw(amount: number): BudgetVerdict {
    if (this.#perSecond === 0) return "within";
    this.#level -= amount;
    if (this.#level >= 0) return "within";
    return this.#level >= -this.#perSecond * overdraftSeconds ? "warn" : "over";
  }

  /** What fills up past the burst, as `most` allows, is for those who were away. */
  refill(seconds: number, most: number): void {
    this.#level = Math.max(this.#level, Math.min(this.#level + seconds * this.#perSecond, most * this.#perSecond));
  }
}

/**
 * How much a player may send: so much a second, in bursts of two seconds' worth. Who overdraws it is warned about, and who
 * overdraws it by a second's worth more has to go. [BUDGET-1]
 */
export class Budget {
  readonly #bytes: Bucket;
  readonly #messages: Bucket;
  #refilledAtMs: number;

  constructor(rates: BudgetRates, nowMs: number) {
    this.#bytes = new Bucket(rates.bytesPerSecond);
    this.#messages = new Bucket(rates.messagesPerSecond);
    this.#refilledAtMs = nowMs;
  }

  /** Bytes have come, at this time. */
  drawBytes(count: number, nowMs: number): BudgetVerdict {
    this.#refill(nowMs, burstSeconds);
    return this.#bytes.draw(count);
  }

  /** A message was in them. */
  drawMessage(): BudgetVerdict {
    return this.#messages.draw(1);
  }

  /** The player comes back after so long: what it could not send then, it sends now. [BUDGET-2] */
  returned(nowMs: number): void {
    this.#refill(nowMs, burstSeconds + Math.max(0, nowMs - this.#refilledAtMs) / 1_000);
  }

  #refill(nowMs: number, most: number): void {
    const seconds = Math.max(0, nowMs - this.#refilledAtMs) / 1_000;
    this.#refilledAtMs = nowMs;
    this.#bytes.refill(seconds, most);
    this.#messages.refill(seconds, most);
  }
}
