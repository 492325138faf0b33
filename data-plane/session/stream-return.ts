import { canGoOn, type StreamPosition, type TenureEnd } from "../../protocol/handover/streams.ts";
import type { NumberedStreams } from "../../protocol/index.ts";

/** A player's numbered streams, and under which tenures they came to be. Spec: docs/HANDOVER.md, section 4. */
export interface TenuredStreams {
  readonly streams: NumberedStreams | undefined;
  /** Generation under which this cluster took them over. */
  readonly tenure: number;
  /** Where earlier tenures ended, oldest first. */
  readonly past: readonly TenureEnd[];
}

/**
 * What a client at this position has missed, in order; `undefined` when its streams cannot go on here: as `resumeStreams`, for streams that
 * run. [HAND-10]
 */
export function continueStreams(
  { streams, tenure, past }: TenuredStreams,
  position: StreamPosition,
): readonly Uint8Array[] | undefined {
  if (streams === undefined) return undefined;
  const { lastInput, lastOutput, keptFrames: kept } = streams;
  // Before the number goes modulo 2^32: of one that is too far behind it would stand for another.
  if (!canGoOn({ tenure, past, lastInput, lastOutput, kept }, position)) return undefined;
  return streams.unreceived(position.received >>> 0);
}
