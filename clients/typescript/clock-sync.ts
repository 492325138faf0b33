import type { Pong } from "../../protocol/index.ts";

/** Samples that are kept; the best of them counts. Spec: docs/PROTOCOL.md, section 5.6. */
const maxSamples = 8;
/** PINGs that may still be answered. Bounds what a cluster that answers none makes us remember. */
const maxUnanswered = 16;

/** Where it turns out to be wrong the clock runs so much slower or faster until it is right: it does not go back, and what is shown by it does not leap. */
const slewShare = 0.5;
/** What it is behind by more than this it makes up for at once. */
const maxBehindMs = 1_000;

interface Sample {
  readonly rttMs: number;
  /** The cluster's clock minus ours. */
  readonly offsetMs: number;
}

/** Keeps the cluster's clock from PING and PONG: of the last eight samples, the one with the smallest round trip. */
export class ClockSync {
  readonly #samples: Sample[] = [];
  readonly #unanswered: number[] = [];
  /** From WELCOME: late by the way here, but good enough until the first PONG. */
  readonly #firstOffsetMs: number;
  /** The offset that was in use when the last sample came, and when that was. */
  #usedOffsetMs: number;
  #sinceMs: number;

  constructor(welcomeTimeMs: number, nowMs: number) {
    this.#firstOffsetMs = welcomeTimeMs - nowMs;
    this.#usedOffsetMs = this.#firstOffsetMs;
    this.#sinceMs = nowMs;
  }

  /** The cluster's clock: as good as is known, and never earlier than before. */
  timeMs(nowMs: number): number {
    const slewedMs = Math.max(0, nowMs - this.#sinceMs) * slewShare;
    const wrongMs = this.offsetMs - this.#usedOffsetMs;
    return nowMs + this.#usedOffsetMs + Math.min(slewedMs, Math.max(-slewedMs, wrongMs));
  }

  /** Round trip of the last PING that was answered, or undefined before the first. */
  get rttMs(): number | undefined {
    return this.#samples.at(-1)?.rttMs;
  }

  /** What to add to our clock to get the cluster's, as far as is known. */
  get offsetMs(): number {
    let best: Sample | undefined;
    for (const sample of this.#samples) {
      if (best === undefined || sample.rttMs < best.rttMs) best = sample;
    }
    return best?.offsetMs ?? this.#firstOffsetMs;
  }

  pinged(nowMs: number): void {
    this.#unanswered.push(nowMs);
    if (this.#unanswered.length > maxUnanswered) this.#unanswered.shift();
  }

  /** Takes a sample; false for a PONG that answers no PING. [PING-4] */
  ponged(pong: Pick<Pong, "echoMs" | "timeMs">, nowMs: number): boolean {
    const index = this.#unanswered.indexOf(pong.echoMs);
    if (index < 0) return false;
    this.#unanswered.splice(index, 1);
    const usedMs = this.timeMs(nowMs) - nowMs;
    const rttMs = nowMs - pong.echoMs;
    this.#samples.push({ rttMs, offsetMs: pong.timeMs + rttMs / 2 - nowMs });
    if (this.#samples.length > maxSamples) this.#samples.shift();
    this.#usedOffsetMs = this.offsetMs - usedMs > maxBehindMs ? this.offsetMs : usedMs;
    this.#sinceMs = nowMs;
    return true;
  }
}
