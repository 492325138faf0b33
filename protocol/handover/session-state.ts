import type { BetweenSessions, FromSession, Save, ToSession } from "./messages.ts";
import type { ClusterRef, CommitClaims, MemberRef, Snapshot } from "./parties.ts";

/**
 * What `PlayerSession` keeps of a player for authority, handover and saves. Each step's new state is durable before its effects
 * leave. Spec: docs/HANDOVER.md, section 8.
 */
export interface SessionState<Body> {
  readonly playerId: string;
  /** The greatest generation that a ticket was given. */
  readonly issued: number;
  /** Who has authority: a generation, and the cluster id that goes with it. 0: nobody ever had. */
  readonly generation: number;
  readonly holder: string | undefined;
  /** Who had it when the present session was entered. */
  readonly previousGeneration: number;
  readonly save: Save<Body> | undefined;
  /** The last handover of this player that was decided. */
  readonly last: DecidedHandover | undefined;
  /** The player is a member of a group whose first one decides. */
  readonly enlistment: Enlistment | undefined;
  /** What waits for that decision; at most one of each type. */
  readonly waiting: readonly WaitingRequest[];
  /** Decisions that this player's session has made for others, until they have them. */
  readonly groups: readonly GroupDecision<Body>[];
}

export interface DecidedHandover {
  readonly id: string;
  /** The generation that it began from. */
  readonly from: number;
  readonly source: string;
  /** `settled`: the destination has acted, so that it can no longer be aborted. */
  readonly outcome: "committed" | "settled" | "aborted";
  /** The signed commit, for a source that asks again; only where it was decided. */
  readonly token: string | undefined;
  /** Who decided, when it was another member. */
  readonly leader: MemberRef | undefined;
  /** Whom else this session moved by its commit. `undefined`: nobody knows, as a release before this one has stored it. */
  readonly followers?: readonly MemberRef[] | undefined;
}

export interface Enlistment {
  readonly id: string;
  readonly leader: MemberRef;
}

export interface WaitingRequest {
  readonly clusterId: string;
  readonly message: Extract<ToSession<unknown>, { readonly type: "enter" | "abort" }>;
}

export interface GroupDecision<Body> {
  readonly id: string;
  readonly from: number;
  readonly destination: ClusterRef;
  /** Those who have not confirmed yet. */
  readonly members: readonly (MemberRef & { readonly snapshot: Snapshot<Body> })[];
}

export type SessionEvent<Body> =
  /** From a cluster that its link or token has identified. */
  | {
      readonly type: "request";
      readonly clusterId: string;
      readonly message: Exclude<ToSession<Body>, { type: "commit" }>;
    }
  /** A commit, with the token that says so already signed (see {@link claimsOf}): it leaves only if the commit holds. */
  | {
      readonly type: "commit";
      readonly clusterId: string;
      readonly message: Extract<ToSession<Body>, { readonly type: "commit" }>;
      readonly token: string;
    }
  /** From another member's `PlayerSession`. */
  | { readonly type: "member"; readonly message: BetweenSessions<Body> }
  /** Time to repeat what is not confirmed. */
  | { readonly type: "timeout" };

export type SessionEffect<Body> =
  | { readonly type: "toCluster"; readonly clusterId: string; readonly message: FromSession<Body> }
  | { readonly type: "toMember"; readonly playerId: string; readonly message: BetweenSessions<Body> };

export interface SessionStep<Body> {
  readonly state: SessionState<Body>;
  readonly effects: readonly SessionEffect<Body>[];
}

export function openSession<Body>(playerId: string): SessionState<Body> {
  return {
    playerId,
    issued: 0,
    generation: 0,
    holder: undefined,
    previousGeneration: 0,
    save: undefined,
    last: undefined,
    enlistment: undefined,
    waiting: [],
    groups: [],
  };
}

/** What the token of a commit has to say. */
export function claimsOf(
  clusterId: string,
  message: Extract<ToSession<unknown>, { readonly type: "commit" }>,
): CommitClaims {
  const members = message.members.map(({ playerId, generation }) => ({ playerId, generation }));
  return { id: message.id, source: clusterId, destination: message.destination, members };
}

export function toCluster<Body>(clusterId: string, message: FromSession<Body>): SessionEffect<Body> {
  return { type: "toCluster", clusterId, message };
}

export function toMember<Body>(playerId: string, message: BetweenSessions<Body>): SessionEffect<Body> {
  return { type: "toMember", playerId, message };
}
