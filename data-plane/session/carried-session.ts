import type { TenureEnd } from "../../protocol/handover/streams.ts";
import type { NumberedStreamsData } from "../../protocol/index.ts";

/** A session's streams, and what else has to go on where it was. */
export interface CarriedSession {
  readonly streams: NumberedStreamsData;
  /** Generation under which this cluster takes the streams over, and where earlier tenures ended. */
  readonly tenure: number;
  readonly past: readonly TenureEnd[];
  /** Id of the last request to the client. */
  readonly lastRequest: number;
  /** Sequence of the last MOVE. */
  readonly moveSequence: number;
}
