/** When a hook that keeps failing is switched off, and for how long. */
export interface BreakerRules {
  /** Failures within a window from which on it may open. */
  readonly failures: number;
  /** Least share of the window's calls that failed. Keeps a rare fault in a busy hook from switching it off. */
  readonly share: number;
  /** Least number of players whose calls failed, or all there are. Stops one player from switching a hook off for all. */
  readonly players: number;
  readonly windowMs: number;
  /** How long it stays open the first time; twice as long each time that a trial fails. */
  readonly openMs: number;
  readonly maxOpenMs: number;
  /** Trials that have to go well, one after another, before it closes. */
  readonly trials: number;
}

export const defaultBreakerRules: BreakerRules = {
  failures: 20,
  share: 0.5,
  players: 3,
  windowMs: 10_000,
  openMs: 5_000,
  maxOpenMs: 300_000,
  trials: 5,
};

/** `closed`: calls go through; `open`: none does; `half-open`: one at a time, on trial. */
export type BreakerState = "closed" | "open" | "half-open";

/** Switches one hook of one plugin off while it keeps failing. Pure: the time is passed in. */
export class Breaker {
  readonly #rules: BreakerRules;
  readonly #nowMs: () => number;
  #state: BreakerState = "closed";
  #windowFromMs = Number.NEGATIVE_INFINITY;
  #calls = 0;
  #failures = 0;
  readonly #failedFor = new Set<string>();
  #openMs: number;
  #closedAgainAtMs = 0;
  #trialRuns = false;
  #trialsPassed = 0;

  constructor(rules: BreakerRules, nowMs: () => number) {
    this.#rules = rules;
    this.#nowMs = nowMs;
    this.#openMs = rules.openMs;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** Whether a call may go ahead; each that does is followed by {@link succeeded} or {@link failed}. */
  admit(): boolean {
    if (this.#state === "closed") return true;
    if (this.#state === "open") {
      if (this.#nowMs() < this.#closedAgainAtMs) return false;
      this.#state = "half-open";
      this.#trialsPassed = 0;
      this.#trialRuns = false;
    }
    if (this.#trialRuns) return false;
    this.#trialRuns = true;
    return true;
  }

  succeeded(): void {
    this.#calls += 1;
    if (this.#state !== "half-open") return;
    this.#trialRuns = false;
    this.#trialsPassed += 1;
    if (this.#trialsPassed < this.#rules.trials) return;
    this.#state = "closed";
    this.#openMs = this.#rules.openMs;
    this.#restartWindow();
  }

  /**
   * @param playerId whose call it was, if it was a player's
   * @param playerCount how many are in the game
   * @returns true when this failure has opened it
   */
  failed(playerId: string | undefined, playerCount: number): boolean {
    if (this.#state === "open") return false;
    if (this.#state === "half-open") {
      this.#openMs = Math.min(this.#rules.maxOpenMs, this.#openMs * 2);
      this.#open();
      return true;
    }
    if (this.#nowMs() - this.#windowFromMs > this.#rules.windowMs) this.#restartWindow();
    this.#calls += 1;
    this.#failures += 1;
    const { failures, share, players } = this.#rules;
    if (playerId !== undefined && this.#failedFor.size < players) this.#failedFor.add(playerId);
    const widespread = playerId === undefined || this.#failedFor.size >= Math.min(players, Math.max(1, playerCount));
    if (this.#failures < failures || this.#failures < this.#calls * share || !widespread) return false;
    this.#open();
    return true;
  }

  #open(): void {
    this.#state = "open";
    this.#closedAgainAtMs = this.#nowMs() + this.#openMs;
  }

  #restartWindow(): void {
    this.#windowFromMs = this.#nowMs();
    this.#calls = 0;
    this.#failures = 0;
    this.#failedFor.clear();
  }
}
