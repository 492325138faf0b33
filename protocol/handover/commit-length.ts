import type { Snapshot } from "./parties.ts";

/*
 * How much a commit may carry: docs/HANDOVER.md, [HAND-21]. Lengths are in characters of base64, as bodies have them on the wire and at the
 * master, where a player's session keeps all of them in one row of at most 2,000,000 bytes.
 */

/** Longest state of one player. */
export const maxStateLength = 96 * 1_024;
/** Longest replay ring of one player, without what stands between its frames; and longest item that is held. */
export const maxStreamLength = 1_500_000;
/** Most frames in it. */
export const maxUnacknowledgedFrames = 16_384;
/** What stands between two frames of a replay ring. */
const perFrame = 4;
/** Names and numbers of a member: never more, whoever chose them. */
const perMember = 3_000;

/** Longest snapshot of one player: a player alone can always be handed over. */
export const maxSnapshotLength = maxStateLength + maxStreamLength + maxUnacknowledgedFrames * perFrame + perMember;
/**
 * Most that a commit carries, all members together. Stops a row that the master's storage does not take, so that nothing could be decided. It
 * leaves room in it for the token, and for a later save, which is longer than the snapshot that it replaces by no more than a state.
 */
export const maxCommitLength = 1_750_000;

/** How long a body is, or will be, in characters of base64. */
export type BodyLength<Body> = (body: Body) => number;

export function snapshotsLength<Body>(snapshots: Iterable<Snapshot<Body>>, lengthOf: BodyLength<Body>): number {
  let length = 0;
  for (const { state, streams } of snapshots) {
    length += perMember + lengthOf(state);
    for (const frame of streams.unacknowledged) length += perFrame + lengthOf(frame);
  }
  return length;
}
