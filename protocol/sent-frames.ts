import { frameHeaderBytes } from "./frame.ts";

/** Whole frames, each with its length, that lie one after another in one slab. */
interface Run {
  readonly slab: Uint8Array;
  /** Where in the slab. */
  start: number;
  end: number;
  frames: number;
}

const maxRunsToLookThrough = 8;

const nothing: Run = { slab: new Uint8Array(0), start: 0, end: 0, frames: 0 };

/**
 * Frames that were sent and may have to be sent again, oldest first. They stay where they were written: runs that follow each
 * other in one slab become one, so that a busy connection keeps a few objects and not one for each frame.
 */
export class SentFrames {
  #runs: Run[] = [];
  /** The newest of them. */
  #last = nothing;
  #head = 0;
  #frames = 0;
  #bytes = 0;

  get frames(): number {
    return this.#frames;
  }

  /** Bytes of the frames; the slabs that they lie in may be larger. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes `frames` whole frames, which lie in a slab from `start` up to, not including, `end`, and must not change there any more. */
  add(slab: Uint8Array, start: number, end: number, frames: number): void {
    const last = this.#last;
    this.#frames += frames;
    this.#bytes += end - start;
    if (last.slab === slab && last.end === start) {
      last.end = end;
      last.frames += frames;
      return;
    }
    this.#last = { slab, start, end, frames };
    this.#runs.push(this.#last);
  }

  /** Whether none of them lies in a slab; where that would take long to say, `false`. */
  areNotIn(slab: Uint8Array): boolean {
    const runs = this.#runs;
    if (runs.length - this.#head > maxRunsToLookThrough) return false;
    for (let index = this.#head; index < runs.length; index += 1) if (runs[index]?.slab === slab) return false;
    return true;
  }

  /** Forgets the oldest frames, at most as many as there are. */
  forget(count: number): void {
    let left = count;
    for (let run = this.#oldest; left > 0 && run !== undefined; run = this.#oldest) {
      if (left < run.frames) return this.#cut(run, left);
      left -= run.frames;
      this.#frames -= run.frames;
      this.#bytes -= run.end - run.start;
      this.#drop();
    }
  }

  /** The newest frames; several may stand in one view. */
  newest(count: number): readonly Uint8Array[] {
    const views: Uint8Array[] = [];
    let left = count;
    for (let index = this.#runs.length - 1; index >= this.#head && left > 0; index -= 1) {
      const run = this.#runs[index] ?? nothing;
      const start = left < run.frames ? after(run, run.frames - left) : run.start;
      views.unshift(viewOf(run, start, run.end));
      left -= Math.min(left, run.frames);
    }
    return views;
  }

  /** Every frame by itself. */
  list(): readonly Uint8Array[] {
    return this.#runs.slice(this.#head).flatMap((run) => {
      if (run.frames === 1) return viewOf(run, run.start, run.end);
      const frames: Uint8Array[] = [];
      const bytes = viewOf(run, run.start, run.end);
      for (let at = 0; at < bytes.length; at += frameBytes(bytes, at)) {
        frames.push(bytes.subarray(at, at + frameBytes(bytes, at)));
      }
      return frames;
    });
  }

  get #oldest(): Run | undefined {
    return this.#runs[this.#head];
  }

  #cut(run: Run, count: number): void {
    const start = after(run, count);
    this.#frames -= count;
    this.#bytes -= start - run.start;
    run.frames -= count;
    run.start = start;
  }

  #drop(): void {
    // Let go of at once; the array itself is cut now and then.
    this.#runs[this.#head] = nothing;
    this.#head += 1;
    if (this.#head === this.#runs.length) this.#last = nothing;
    if (this.#head < this.#runs.length && (this.#head < 64 || this.#head * 2 < this.#runs.length)) return;
    this.#runs = this.#runs.slice(this.#head);
    this.#head = 0;
  }
}

/** Where in the slab a run goes on after its first frames. */
function after({ slab, start }: Run, frames: number): number {
  let at = start;
  for (let count = 0; count < frames; count += 1) at += frameBytes(slab, at);
  return at;
}

function viewOf({ slab }: Run, start: number, end: number): Uint8Array {
  return start === 0 && end === slab.length ? slab : slab.subarray(start, end);
}

/** How long the frame is that begins there, with its length. */
function frameBytes(bytes: Uint8Array, at: number): number {
  return frameHeaderBytes + ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8));
}
