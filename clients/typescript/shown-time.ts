/** How the cluster's ticks lie in time. */
export interface Timeline {
  /** The tick of the cluster now, by its clock; between two ticks it is broken. */
  tick(): number;
  readonly tickHz: number;
}

/** How many frames late entities are shown: then the next one is there in time, unless one is lost on the way. */
const framesBehind = 2;
/** Entities on the way are told every so many frames, or more often: as a cluster does by default even with those far off, and some to spare. */
const mostFrames = 6;
/** Where frames come at another rate, what is shown runs so much slower or faster until it is as late as that wants: it never goes back, nor leaps. */
const slewShare = 0.5;

/** Which moment of the cluster is shown: a little behind its own, by the rate at which frames come. */
export class ShownTime {
  readonly #timeline: Timeline;
  /** Ticks behind, at the tick of the last change and in the end. */
  #from: number = framesBehind;
  #to: number = framesBehind;
  #since = 0;
  #isKnown = false;

  constructor(timeline: Timeline) {
    this.#timeline = timeline;
  }

  /** Frames come at this rate from now on. */
  follow(updateHz: number): void {
    const { tickHz } = this.#timeline;
    const now = this.#timeline.tick();
    const to = (framesBehind * tickHz) / Math.min(updateHz, tickHz);
    this.#from = this.#isKnown ? this.#behindAt(now) : to;
    this.#to = to;
    this.#since = now;
    this.#isKnown = true;
  }

  /** What is shown now, as a tick. @param delayMs how late, if not by the rate of frames */
  tick(delayMs: number | undefined): number {
    const now = this.#timeline.tick();
    return now - (delayMs === undefined ? this.#behindAt(now) : (delayMs * this.#timeline.tickHz) / 1_000);
  }

  /** Ticks within which what is on the way is told again. */
  get mostTicks(): number {
    return (this.#to * mostFrames) / framesBehind;
  }

  #behindAt(tick: number): number {
    const slewed = Math.max(0, tick - this.#since) * slewShare;
    return this.#from + Math.min(slewed, Math.max(-slewed, this.#to - this.#from));
  }
}
