import { generationAfterCommit, sessionOf } from "./generation.ts";
import type { HeldItem, RefusalReason, ToDestination, ToSession, ToSource } from "./messages.ts";
import {
  type ClusterRef,
  type CommitClaims,
  isSameMember,
  maxMembers,
  type MemberRef,
  type MemberTransfer,
  type Snapshot,
} from "./parties.ts";
import { withTenure } from "./streams.ts";

/** A handover as its destination sees it. Spec: docs/HANDOVER.md, section 7. */
export interface DestinationState<Body> {
  readonly phase: DestinationPhase;
  readonly id: string;
  /** Cluster id of the source. */
  readonly source: string;
  /** This process. */
  readonly self: ClusterRef;
  readonly members: readonly DestinationMember<Body>[];
}

/** `reserving` → `reserved` → `admitting` → `holding` → `active` → `ended`; before `active` perhaps → `ended` at any time. */
export type DestinationPhase =
  | "reserving"
  | "reserved"
  | "admitting"
  /** Has all that it needs, save the commit. */
  | "holding"
  /** The players are in the game here; what the source still holds is coming. */
  | "active"
  | "ended";

export interface DestinationMember<Body> extends MemberRef {
  /** See {@link MemberTransfer.key}; given away with the snapshot. */
  readonly key: string | undefined;
  readonly snapshot: Snapshot<Body> | undefined;
  /** How many of the source's held items have been taken over. */
  readonly forwarded: number;
  /** A newer session has this player. */
  readonly superseded: boolean;
  /** `PlayerSession` knows of this side's authority: it can no longer be taken back. */
  readonly settled: boolean;
}

export type DestinationEvent<Body> =
  | { readonly type: "source"; readonly message: Exclude<ToDestination<Body>, { readonly type: "prepare" | "commit" }> }
  /** A commit whose signature holds; it comes from the source, or in a client's hands. [HAND-4] */
  | { readonly type: "commit"; readonly claims: CommitClaims; readonly from: "source" | "client" }
  | { readonly type: "reserved" }
  | { readonly type: "notReserved"; readonly reason: "full" | "invalid" }
  | { readonly type: "admitted" }
  | { readonly type: "notAdmitted"; readonly reason: "full" | "invalid" }
  | { readonly type: "settled"; readonly playerId: string; readonly generation: number }
  | { readonly type: "fence"; readonly playerId: string; readonly generation: number }
  /** There is a new link to the source, or to a later process of it. */
  | { readonly type: "linkUp" }
  | { readonly type: "timeout" }
  /** The memory is wanted back; the source has not been heard of for very long. */
  | { readonly type: "abandon" };

export type DestinationEffect<Body> =
  | { readonly type: "toSource"; readonly message: ToSource }
  | { readonly type: "toSession"; readonly playerId: string; readonly message: ToSession<Body> }
  /** Check that these players may come, and hold their seats; answer with `reserved` or `notReserved`. */
  | { readonly type: "reserve"; readonly members: readonly MemberRef[] }
  | { readonly type: "unreserve" }
  /** Check that the game can take these states over; answer with `admitted` or `notAdmitted`. Nothing runs yet. */
  | { readonly type: "admit"; readonly members: readonly MemberTransfer<Body>[] }
  /** The player is in the game here from now on, under this generation: the game's `onMigrateIn`. */
  | {
      readonly type: "activate";
      readonly playerId: string;
      readonly generation: number;
      /** What its client has to show; good until the client has been heard over its new connection. */
      readonly key: string;
      readonly snapshot: Snapshot<Body>;
    }
  /** Something that reached the source after the freeze. */
  | { readonly type: "deliver"; readonly playerId: string; readonly item: HeldItem<Body> };

export interface DestinationStep<Body> {
  readonly state: DestinationState<Body>;
  readonly effects: readonly DestinationEffect<Body>[];
}

/** Answers `prepare` from a cluster that the peer link has identified. */
export function beginReservation<Body>(
  message: Extract<ToDestination<Body>, { readonly type: "prepare" }>,
  source: string,
  self: ClusterRef,
): DestinationStep<Body> {
  const members = message.members.map(({ playerId, generation }): DestinationMember<Body> => ({
    playerId,
    generation,
    key: undefined,
    snapshot: undefined,
    forwarded: 0,
    superseded: false,
    settled: false,
  }));
  const state: DestinationState<Body> = { phase: "reserving", id: message.id, source, self, members };
  const names = new Set(members.map((member) => member.playerId));
  if (members.length < 1 || members.length > maxMembers || names.size < members.length) {
    return refuse(state, "invalid", false);
  }
  return { state, effects: [{ type: "reserve", members: message.members }] };
}

/** The answer to a source that speaks of a handover which is not known here. [HAND-4] */
export function answerUnknown(message: ToDestination<unknown>): ToSource | undefined {
  switch (message.type) {
    case "transfer":
    case "commit":
    case "forward":
      return { type: "refused", id: message.id, reason: "unknown" };
    case "prepare":
    case "abort":
    case "finished":
      return undefined;
  }
}

/** The destination's production step: pure, and total: an event that does not fit the phase changes nothing. */
export function stepDestination<Body>(
  state: DestinationState<Body>,
  event: DestinationEvent<Body>,
): DestinationStep<Body> {
  const { phase } = state;
  if (phase === "ended") return unchanged(state);
  switch (event.type) {
    case "reserved":
      if (phase !== "reserving") return unchanged(state);
      return { state: { ...state, phase: "reserved" }, effects: [toSource({ type: "prepared", id: state.id })] };
    case "notReserved":
      return phase === "reserving" ? refuse(state, event.reason, false) : unchanged(state);
    case "admitted":
      if (phase !== "admitting") return unchanged(state);
      return { state: { ...state, phase: "holding" }, effects: [toSource({ type: "ready", id: state.id })] };
    case "notAdmitted":
      return phase === "admitting" ? refuse(state, event.reason) : unchanged(state);
    case "source":
      return heardSource(state, event.message);
    case "commit":
      if (isCommitFor(state, event.claims)) return committed(state);
      return event.from === "source" && phase !== "active" ? refuse(state, "invalid") : unchanged(state);
    case "settled":
      return unchanged(
        withMember(state, event.playerId, (member) =>
          event.generation > member.generation ? { ...member, settled: true } : member,
        ),
      );
    case "fence":
      return fenced(state, event.playerId, event.generation);
    case "linkUp":
      // Its last word may have been lost with the old link: one that has forgotten it says it again. [HAND-12]
      return phase === "active" ? { state, effects: [activated(state)] } : unchanged(state);
    case "timeout":
      return phase === "active" ? { state, effects: reports(state) } : giveUp(state);
    case "abandon":
      // Before that, an abort at the source could still succeed, and it must not find this side forgetful. [HAND-5]
      return phase === "active" && reports(state).length > 0 ? unchanged(state) : giveUp(state);
  }
}

function heardSource<Body>(
  state: DestinationState<Body>,
  message: Exclude<ToDestination<Body>, { readonly type: "prepare" | "commit" }>,
): DestinationStep<Body> {
  const { phase } = state;
  switch (message.type) {
    case "transfer":
      return phase === "reserved" ? transferred(state, message.members) : unchanged(state);
    case "forward":
      return phase === "active" ? forwarded(state, message.playerId, message.index, message.item) : unchanged(state);
    case "abort":
      // One that took over cannot be asked back: only `PlayerSession` could, and did not.
      return phase === "active" ? unchanged(state) : giveUp(state);
    case "finished":
      return giveUp(state);
  }
}

function transferred<Body>(
  state: DestinationState<Body>,
  transfers: readonly MemberTransfer<Body>[],
): DestinationStep<Body> {
  const members = state.members.map((member) => {
    const transfer = transfers.find((one) => isSameMember(one, member));
    return transfer === undefined ? member : { ...member, key: transfer.key, snapshot: transfer.snapshot };
  });
  if (members.some((member) => member.snapshot === undefined)) return refuse(state, "invalid");
  return { state: { ...state, phase: "admitting", members }, effects: [{ type: "admit", members: transfers }] };
}

/** The one way to authority here: a signed commit, for this process, this handover and exactly these players. [HAND-4] */
function committed<Body>(state: DestinationState<Body>): DestinationStep<Body> {
  const answer = activated(state);
  if (state.phase === "active") return { state, effects: [answer] };
  if (state.phase !== "holding") return refuse(state, "unknown");
  const effects: DestinationEffect<Body>[] = [];
  const members = state.members.map((member) => {
    const { playerId, key, snapshot } = member;
    if (member.superseded || key === undefined || snapshot === undefined) return member;
    const generation = generationAfterCommit(member.generation);
    const carriedOn = { ...snapshot, streams: withTenure(snapshot.streams, generation) };
    effects.push({ type: "activate", playerId, generation, key, snapshot: carriedOn });
    return { ...member, key: undefined, snapshot: undefined };
  });
  const after: DestinationState<Body> = { ...state, phase: "active", members };
  return { state: after, effects: [...effects, answer, ...reports(after)] };
}

function activated<Body>({ id, members }: DestinationState<Body>): DestinationEffect<Body> {
  const superseded = members.filter((member) => member.superseded).map((member) => member.playerId);
  return toSource({ type: "activated", id, superseded });
}

function isCommitFor(state: DestinationState<unknown>, claims: CommitClaims): boolean {
  const { id, source, self, members } = state;
  return (
    claims.id === id &&
    claims.source === source &&
    claims.destination.clusterId === self.clusterId &&
    claims.destination.boot === self.boot &&
    claims.members.length === members.length &&
    members.every((member) => claims.members.some((one) => isSameMember(one, member)))
  );
}

/** Each item once, in order; those of a player whom a newer session has are acknowledged and forgotten. [HAND-7] */
function forwarded<Body>(
  state: DestinationState<Body>,
  playerId: string,
  index: number,
  item: HeldItem<Body>,
): DestinationStep<Body> {
  const member = state.members.find((one) => one.playerId === playerId);
  if (member === undefined || index > member.forwarded + 1) return unchanged(state);
  const answer = toSource<Body>({
    type: "forwarded",
    id: state.id,
    playerId,
    index: Math.max(index, member.forwarded),
  });
  if (index <= member.forwarded) return { state, effects: [answer] };
  const after = withMember(state, playerId, (one) => ({ ...one, forwarded: index }));
  return { state: after, effects: member.superseded ? [answer] : [{ type: "deliver", playerId, item }, answer] };
}

/** A newer session has the player; or, within the session, authority has moved on, so that nobody can ask it back from here. */
function fenced<Body>(state: DestinationState<Body>, playerId: string, generation: number): DestinationStep<Body> {
  const after = withMember(state, playerId, (member) => {
    if (sessionOf(generation) > sessionOf(member.generation))
      return { ...member, snapshot: undefined, superseded: true };
    return generation > generationAfterCommit(member.generation) ? { ...member, settled: true } : member;
  });
  if (state.phase === "active" || after.members.some((member) => !member.superseded)) return unchanged(after);
  return giveUp(after);
}

/** What `PlayerSession` has not confirmed yet. */
function reports<Body>(state: DestinationState<Body>): DestinationEffect<Body>[] {
  return state.members
    .filter((member) => !member.superseded && !member.settled)
    .map(({ playerId, generation }) => ({
      type: "toSession",
      playerId,
      message: { type: "joined", generation: generationAfterCommit(generation) },
    }));
}

/** Safe at any time before the commit: the source still has everything. */
function giveUp<Body>(state: DestinationState<Body>): DestinationStep<Body> {
  const effects: DestinationEffect<Body>[] = state.phase === "active" ? [] : [{ type: "unreserve" }];
  return { state: { ...state, phase: "ended" }, effects };
}

function refuse<Body>(state: DestinationState<Body>, reason: RefusalReason, reserved = true): DestinationStep<Body> {
  const answer = toSource<Body>({ type: "refused", id: state.id, reason });
  return {
    state: { ...state, phase: "ended" },
    effects: reserved ? [{ type: "unreserve" }, answer] : [answer],
  };
}

function withMember<Body>(
  state: DestinationState<Body>,
  playerId: string,
  change: (member: DestinationMember<Body>) => DestinationMember<Body>,
): DestinationState<Body> {
  const members = state.members.map((member) => (member.playerId === playerId ? change(member) : member));
  return { ...state, members };
}

function toSource<Body>(message: ToSource): DestinationEffect<Body> {
  return { type: "toSource", message };
}

function unchanged<Body>(state: DestinationState<Body>): DestinationStep<Body> {
  return { state, effects: [] };
}
