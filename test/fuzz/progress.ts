/** How long to go on: until either is reached. */
export interface FuzzRun {
  readonly seed: number;
  /** By `performance.now()`. */
  readonly endsAtMs: number;
  readonly maxFrames: number;
  /** What a player beside all that may wait for an answer. */
  readonly patienceMs: number;
}

export interface FuzzResult {
  readonly frames: number;
  /** Frames that were refused: if none were, nothing was tried. */
  readonly refused: number;
  readonly seconds: number;
  /** What went wrong, with the seed that shows it again; `undefined` if nothing did. */
  readonly fault: string | undefined;
  readonly notes: Readonly<Record<string, number | string>>;
}

/** Time between two lines. */
const intervalMs = 2_000;

export function isOver(run: FuzzRun, frames: number): boolean {
  return frames >= run.maxFrames || performance.now() >= run.endsAtMs;
}

/** Counts, and says every now and then how far it is. */
export class Progress {
  frames = 0;
  refused = 0;
  readonly #name: string;
  readonly #run: FuzzRun;
  readonly #startedAtMs = performance.now();
  #shownAtMs = performance.now();

  constructor(name: string, run: FuzzRun) {
    this.#name = name;
    this.#run = run;
  }

  count(frames: number, refused: number): void {
    this.frames += frames;
    this.refused += refused;
  }

  show(more = ""): void {
    const now = performance.now();
    if (now - this.#shownAtMs < intervalMs) return;
    this.#shownAtMs = now;
    const left = Math.max(0, Math.ceil((this.#run.endsAtMs - now) / 1_000));
    console.log(`${this.#name}: ${this.frames} frames, ${this.refused} refused, at most ${left} s to go${more}`);
  }

  result(fault: string | undefined, notes: FuzzResult["notes"] = {}): FuzzResult {
    const seconds = Math.round((performance.now() - this.#startedAtMs) / 100) / 10;
    return { frames: this.frames, refused: this.refused, seconds, fault, notes };
  }
}
