import { abandonAfterMs, type Patience } from "../../protocol/handover/timing.ts";

interface Wait {
  phase: string;
  /** When the phase began, and when the present wait did. */
  phaseSinceMs: number;
  sinceMs: number;
  waitMs: number;
  attempts: number;
}

/** What has run out for a handover. */
export type Expiry = "timeout" | "abandon" | undefined;

/**
 * Knows how long each handover has been in its phase, and when its patience is at an end: the first time after `firstMs`, then after
 * twice the time each, up to `mostMs`, with jitter. Spec: docs/HANDOVER.md, section 10.
 */
export class PhaseClock {
  readonly #nowMs: () => number;
  readonly #random: () => number;
  readonly #waits = new Map<string, Wait>();

  /** @param random from 0 to 1 */
  constructor(nowMs: () => number, random: () => number) {
    this.#nowMs = nowMs;
    this.#random = random;
  }

  forget(id: string): void {
    this.#waits.delete(id);
  }

  /** To be told after each step of a handover, so that its time runs from there. What has run out already shows at the next {@link check}. */
  note(id: string, phase: string, patience: Patience | undefined): void {
    this.#waitIn(id, phase, patience);
  }

  /** To be asked regularly about each handover. Whoever asks has to act on it: what has run out is said once. */
  check(id: string, phase: string, patience: Patience | undefined): Expiry {
    const wait = this.#waitIn(id, phase, patience);
    const now = this.#nowMs();
    if (patience === undefined || patience.heldBack === true) {
      return isLong(phase) && now - wait.phaseSinceMs >= abandonAfterMs ? "abandon" : undefined;
    }
    // Whoever can do something about it goes on doing so, however long it has been.
    if (now - wait.sinceMs < wait.waitMs) return undefined;
    wait.attempts += 1;
    wait.sinceMs = now;
    const nextMs = Math.min(patience.mostMs, patience.firstMs * 2 ** Math.min(wait.attempts, 16));
    wait.waitMs = patience.firstMs === patience.mostMs ? nextMs : nextMs * (0.75 + this.#random() / 4);
    return "timeout";
  }

  #waitIn(id: string, phase: string, patience: Patience | undefined): Wait {
    const now = this.#nowMs();
    const wait = this.#waits.get(id);
    if (wait?.phase !== phase) {
      const waitMs = patience?.firstMs ?? 0;
      const begun = { phase, phaseSinceMs: now, sinceMs: now, waitMs, attempts: 0 };
      this.#waits.set(id, begun);
      return begun;
    }
    if (patience === undefined) {
      wait.waitMs = 0;
    } else if (wait.waitMs === 0) {
      // The phase is the same, but only now is there something to wait for.
      wait.sinceMs = now;
      wait.waitMs = patience.firstMs;
    }
    return wait;
  }
}

function isLong(phase: string): boolean {
  return phase === "released" || phase === "active";
}
