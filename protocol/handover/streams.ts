/**
 * A player's two streams of messages as the cluster has them: inputs from the client, outputs to it. Both are numbered from
 * 1, acknowledged cumulatively, and outlive connections, clusters and handovers. Spec: docs/HANDOVER.md, section 4.
 *
 * `Body` is whatever a message carries; nothing here looks into it.
 */
export interface Streams<Body> {
  /** Generation under which the cluster that has them now took them over. */
  readonly tenure: number;
  /** Where earlier tenures of the same streams ended, oldest first; bounded. */
  readonly past: readonly TenureEnd[];
  /** The last input that was applied. */
  readonly lastInput: number;
  /** The last output that was made. */
  readonly lastOutput: number;
  /** The replay ring: the outputs up to `lastOutput` that the client has not acknowledged. */
  readonly unacknowledged: readonly Body[];
}

export interface TenureEnd {
  readonly tenure: number;
  readonly lastInput: number;
  readonly lastOutput: number;
}

/** What a client that comes back says of itself. */
export interface StreamPosition {
  /** Tenure of the cluster that it was with last. */
  readonly tenure: number;
  /** The last output that it has received. */
  readonly received: number;
  /** The last of its inputs that was acknowledged, so that it no longer has it. */
  readonly acknowledged: number;
}

export interface NumberedBody<Body> {
  readonly sequence: number;
  readonly body: Body;
}

/** How many ended tenures are remembered. A client that was away for more handovers than this starts afresh. */
export const maxPastTenures = 8;

export function openStreams<Body>(tenure: number): Streams<Body> {
  return { tenure, past: [], lastInput: 0, lastOutput: 0, unacknowledged: [] };
}

/**
 * Whether an input is to be applied now: asked for each that comes. A `duplicate` is ignored: it was applied, here or at a cluster
 * before this one. A `gap` cannot come from an honest peer. [HAND-9]
 */
export function judgeInput(
  streams: Pick<Streams<unknown>, "lastInput">,
  sequence: number,
): "next" | "duplicate" | "gap" {
  if (sequence <= streams.lastInput) return "duplicate";
  return sequence === streams.lastInput + 1 ? "next" : "gap";
}

/** The streams after the client has acknowledged all outputs up to `received`. Less than before, or more than was sent, changes nothing. */
export function withAcknowledgement<Body>(streams: Streams<Body>, received: number): Streams<Body> {
  const kept = streams.lastOutput - received;
  if (kept < 0 || kept >= streams.unacknowledged.length) return streams;
  return { ...streams, unacknowledged: streams.unacknowledged.slice(streams.unacknowledged.length - kept) };
}

/** The streams as another cluster (or this one, for a new session) carries them on. */
export function withTenure<Body>(streams: Streams<Body>, tenure: number): Streams<Body> {
  const { tenure: ended, lastInput, lastOutput } = streams;
  const past = [...streams.past, { tenure: ended, lastInput, lastOutput }].slice(-maxPastTenures);
  return { ...streams, tenure, past };
}

/** What a client that comes back gets: the outputs it has missed, or word that its streams are not these. */
export type StreamReturn<Body> =
  | { readonly continues: true; readonly streams: Streams<Body>; readonly replay: readonly NumberedBody<Body>[] }
  | { readonly continues: false };

/** How far streams have come, whatever they are kept in. */
export interface StreamReach extends Omit<Streams<unknown>, "unacknowledged"> {
  /** How many outputs up to `lastOutput` can still be sent again. */
  readonly kept: number;
}

/**
 * Whether a client's streams can go on here with nothing lost or doubled. They cannot when the client has seen what is not
 * part of this history: it was with a cluster that was killed, and this is what was saved before. Nor where it has missed what is not
 * kept any more. [HAND-10]
 */
export function canGoOn(reach: StreamReach, position: StreamPosition): boolean {
  const { tenure, received, acknowledged } = position;
  const known = tenure === reach.tenure ? reach : reach.past.find((end) => end.tenure === tenure);
  if (known === undefined || received > known.lastOutput || acknowledged > known.lastInput) return false;
  return received >= reach.lastOutput - reach.kept;
}

/** Streams for a client that comes back. */
export function resumeStreams<Body>(streams: Streams<Body>, position: StreamPosition): StreamReturn<Body> {
  const { received } = position;
  if (!canGoOn({ ...streams, kept: streams.unacknowledged.length }, position)) return { continues: false };
  const trimmed = withAcknowledgement(streams, received);
  const replay = trimmed.unacknowledged.map((body, index) => ({ sequence: received + index + 1, body }));
  return { continues: true, streams: trimmed, replay };
}
