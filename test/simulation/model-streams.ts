/** What a cluster's game does to a player's streams, on plain data: data-plane/session does it to streams that run. */
import type { Streams } from "../../protocol/handover/streams.ts";

/** The streams after the next input has been applied. */
export function withInput<Body>(streams: Streams<Body>): Streams<Body> {
  return { ...streams, lastInput: streams.lastInput + 1 };
}

/** The streams after an output has been made; it has number `lastOutput`. The caller bounds the ring. */
export function withOutput<Body>(streams: Streams<Body>, body: Body): Streams<Body> {
  return { ...streams, lastOutput: streams.lastOutput + 1, unacknowledged: [...streams.unacknowledged, body] };
}
