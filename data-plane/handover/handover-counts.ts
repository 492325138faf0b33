import { Histogram } from "../ops/histogram.ts";

/** Upper bounds of the time for which players stood still, in seconds. */
const standstillBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** A reading of {@link HandoverCounts}. */
export type HandoverReading = Readonly<Record<HandoverCount, number>>;

export type HandoverCount =
  | "begun"
  | "moved"
  | "stayed"
  | "superseded"
  | "doubtful"
  | "reclaimed"
  | "taken"
  | "refused"
  | "overlaps"
  | "abandoned";

/** What has become of handovers so far. */
export class HandoverCounts {
  /** Begun here, as source. */
  begun = 0;
  /** Players that went to another cluster. */
  moved = 0;
  /** Players that were to go, and stayed. */
  stayed = 0;
  /** Players that a newer session took from a handover. */
  superseded = 0;
  /** Handovers whose outcome the source had to ask `PlayerSession` for. */
  doubtful = 0;
  /** Handovers that were taken back from a destination that had died. */
  reclaimed = 0;
  /** Players that came from another cluster. */
  taken = 0;
  /** Handovers that were refused here, as destination. */
  refused = 0;
  /** Fences that found a copy here: two clusters had the player for a moment, one of them without authority. */
  overlaps = 0;
  /** Handovers that were given up after a very long time: counts as a kill. */
  abandoned = 0;
  /** For how long players stood still, in seconds: from the freeze to the moment at which somebody plays on. */
  readonly standstill = new Histogram(standstillBounds);

  read(): HandoverReading {
    const { begun, moved, stayed, superseded, doubtful, reclaimed, taken, refused, overlaps, abandoned } = this;
    return { begun, moved, stayed, superseded, doubtful, reclaimed, taken, refused, overlaps, abandoned };
  }
}
