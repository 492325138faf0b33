export interface DepartureOptions<P> {
  readonly players: Iterable<P>;
  readonly nowMs: () => number;
  /** How long it may take at most. */
  readonly deadlineMs: number;
  /** How long others have to take over what this cluster carries: before that nobody can tell whom they will take. */
  readonly settleMs: number;
  /** Whether a player could go on at another cluster, should there be one for it. */
  readonly mightStillMove: (player: P) => boolean;
  /** Whether it is on its way, or can be expected to go by itself. */
  readonly isMoving: (player: P) => boolean;
  /** Whether something is on its way from here, or to here, that has to come to its end. */
  readonly isBusy: () => boolean;
}

/**
 * A cluster leaves as its process is told to stop. Nobody is told to go: those who stand where others have taken over are handed over
 * as on any day, and this waits for them.
 */
export class Departure<P> {
  readonly #options: DepartureOptions<P>;
  readonly #settledAtMs: number;
  readonly #endsAtMs: number;
  readonly #over = Promise.withResolvers<void>();

  constructor(options: DepartureOptions<P>) {
    const { nowMs, deadlineMs, settleMs } = options;
    this.#options = options;
    this.#settledAtMs = nowMs() + Math.min(settleMs, deadlineMs / 4);
    this.#endsAtMs = nowMs() + deadlineMs;
  }

  /** Resolves when nobody is left who will go on elsewhere, or the time is over. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** To be called regularly. */
  beat(): void {
    if (this.#isOver()) this.#over.resolve();
  }

  #isOver(): boolean {
    const { players, nowMs, mightStillMove, isMoving, isBusy } = this.#options;
    const now = nowMs();
    if (now >= this.#endsAtMs) return true;
    return !isBusy() && !Array.from(players).some(now < this.#settledAtMs ? mightStillMove : isMoving);
  }
}
