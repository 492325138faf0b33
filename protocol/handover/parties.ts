import type { Streams } from "./streams.ts";

/** A process of a cluster: a later boot of the same cluster remembers nothing of this one. */
export interface ClusterRef {
  readonly clusterId: string;
  readonly boot: number;
}

/** A player under one generation: what commit and abort compare. */
export interface MemberRef {
  readonly playerId: string;
  readonly generation: number;
}

/** Everything that there is to move of a player. `Body` is opaque here: bytes in production. */
export interface Snapshot<Body> {
  /** The game's state and the cluster's own, as the freezing tick left them. */
  readonly state: Body;
  readonly streams: Streams<Body>;
}

/** A member as it travels to the destination. */
export interface MemberTransfer<Body> extends MemberRef {
  /** 128 random bits. The client shows it at the destination to prove that it is this player; `PlayerSession` never sees it. */
  readonly key: string;
  readonly snapshot: Snapshot<Body>;
}

/** What a signed commit says. [HAND-4] */
export interface CommitClaims {
  /** The handover. */
  readonly id: string;
  readonly source: string;
  readonly destination: ClusterRef;
  /** The members with the generation that they had at the source; the first decided. */
  readonly members: readonly MemberRef[];
}

/** The greatest number of members. Bounds the commit (each member's snapshot travels with it) and the token. */
export const maxMembers = 16;

export function isSameMember(a: MemberRef, b: MemberRef): boolean {
  return a.playerId === b.playerId && a.generation === b.generation;
}
