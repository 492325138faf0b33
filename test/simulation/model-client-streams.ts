import type { StreamPosition } from "../../protocol/handover/streams.ts";

/** The two streams of messages as the client has them: the other end of protocol/handover/streams.ts. Spec: docs/HANDOVER.md, section 4. */
export interface ClientStreams<Body> {
  /** Tenure of the cluster from which the last news came: an output, or an acknowledgement of inputs. */
  readonly tenure: number;
  /** The last output that was received, and given to the game. */
  readonly received: number;
  /** The last input that a cluster has applied. */
  readonly acknowledged: number;
  /** The inputs after it. */
  readonly unacknowledged: readonly Body[];
}

export function openClientStreams<Body>(tenure: number): ClientStreams<Body> {
  return { tenure, received: 0, acknowledged: 0, unacknowledged: [] };
}

export function positionOf(streams: ClientStreams<unknown>): StreamPosition {
  const { tenure, received, acknowledged } = streams;
  return { tenure, received, acknowledged };
}

/** The number of the last input that was made. */
export function lastInputOf(streams: ClientStreams<unknown>): number {
  return streams.acknowledged + streams.unacknowledged.length;
}

/** The inputs after number `after`, which is at least `acknowledged`. */
export function inputsAfter<Body>(streams: ClientStreams<Body>, after: number): { sequence: number; body: Body }[] {
  const skipped = after - streams.acknowledged;
  return streams.unacknowledged.slice(skipped).map((body, index) => ({ sequence: after + index + 1, body }));
}

/**
 * The streams after a cluster has said that it has applied all inputs up to `lastInput`. Only news moves the client to that
 * cluster's tenure: until there is some, the client has seen nothing that could be lost with it. [HAND-10]
 */
export function withInputsAcknowledged<Body>(
  streams: ClientStreams<Body>,
  tenure: number,
  lastInput: number,
): ClientStreams<Body> {
  const done = Math.min(lastInput - streams.acknowledged, streams.unacknowledged.length);
  if (done <= 0) return streams;
  return {
    ...streams,
    tenure,
    acknowledged: streams.acknowledged + done,
    unacknowledged: streams.unacknowledged.slice(done),
  };
}
