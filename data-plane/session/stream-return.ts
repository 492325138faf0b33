import type { StreamPosition, TenureEnd } from "../../protocol/handover/streams.ts";
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
 * What a client at this position has missed, in order; `undefined` when its streams cannot go on here: it has seen what is not part of this
 * history, or what it misses is not kept any more. The same rule as `resumeStreams`, for streams that run. [HAND-10]
 */
export function continueStreams(
  { streams, tenure, past }: TenuredStreams,
  position: StreamPosition,
): readonly Uint8Array[] | undefined {
  if (streams === undefined) return undefined;
  const { lastInput, lastOutput } = streams;
  const known =
    position.tenure === tenure ? { lastInput, lastOutput } : past.find((end) => end.tenure === position.tenure);
  if (known === undefined || position.received > known.lastOutput || position.acknowledged > known.lastInput)
    return undefined;
  // So far behind that the number on the wire would stand for another.
  if (position.received < lastOutput - streams.keptFrames) return undefined;
  return streams.unreceived(position.received >>> 0);
}
