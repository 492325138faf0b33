import { sessionOf } from "./generation.ts";
import type { FromSession, HeldItem, ToClient, ToDestination, ToSession, ToSource } from "./messages.ts";
import type { ClusterRef, MemberRef, Snapshot } from "./parties.ts";

/** A handover as its source sees it. Spec: docs/HANDOVER.md, section 6. */
export interface SourceState<Body> {
  readonly phase: SourcePhase;
  readonly id: string;
  readonly destination: ClusterRef;
  /** Until the release: whether the link to the destination has been up all the time since the handover began. */
  readonly linked: boolean;
  /** Boot of the process that the link leads to now, or led to last. */
  readonly linkedBoot: number;
  readonly prepared: boolean;
  /** The first one's `PlayerSession` decides for all. */
  readonly members: readonly SourceMember<Body>[];
  /** The signed commit; from `released` on. */
  readonly token: string | undefined;
  /** Whether the destination has said that it has taken over. */
  readonly activated: boolean;
  /** In doubt: whether the first one's `PlayerSession` has answered. The others are asked after it. */
  readonly decided: boolean;
}

/**
 * `preparing` → `freezing` → `transferring` → `committing` → `released` → `ended`; from each of the first five perhaps →
 * `doubt` → `ended`; from the first three also → `ended` at once; from `released` also → `reclaiming` → `ended`.
 */
export type SourcePhase =
  | "preparing"
  | "freezing"
  | "transferring"
  | "committing"
  /** The token is out: this side never plays again, unless the destination says that it never will. */
  | "released"
  /** This side plays, and asks `PlayerSession` to abort until it has an answer. */
  | "doubt"
  /** The same, but the destination may have played before it died: the players stand still until the answer. */
  | "reclaiming"
  | "ended";

export interface SourceMember<Body> extends MemberRef {
  readonly key: string;
  /** Whether its `PlayerSession` is bound to the first member's decision; always true of the first member. */
  readonly enlisted: boolean;
  /** As of the freezing tick; given away when the destination has it for good. */
  readonly snapshot: Snapshot<Body> | undefined;
  /** What came after the freeze and is not acknowledged by the destination. */
  readonly held: readonly HeldItem<Body>[];
  /** How many items the destination has acknowledged: `held` begins after them. */
  readonly forwarded: number;
  /** Number of the last input that was held. */
  readonly lastInput: number;
  /** Whether its client is connected here. */
  readonly clientHere: boolean;
  readonly outcome: MemberOutcome | undefined;
}

export type MemberOutcome =
  /** The destination has it. */
  | "moved"
  /** It plays here. */
  | "stayed"
  /** A newer session has it. */
  | "superseded";

export type SourceEvent<Body> =
  /** From the destination, for this handover. */
  | { readonly type: "destination"; readonly message: ToSource }
  /** From a member's `PlayerSession`. */
  | { readonly type: "session"; readonly message: FromSession<Body> }
  | { readonly type: "linkUp"; readonly boot: number }
  | { readonly type: "linkDown" }
  /** The freezing tick is over: nothing of these players runs here from now on. */
  | { readonly type: "frozen"; readonly snapshots: Readonly<Record<string, Snapshot<Body>>> }
  /** Something for a player that this handover holds (see {@link handoverHolding}). */
  | { readonly type: "item"; readonly playerId: string; readonly item: HeldItem<Body> }
  | { readonly type: "clientGone"; readonly playerId: string }
  /** A client has come (back) to this side. */
  | { readonly type: "clientBack"; readonly playerId: string }
  /** Somebody here does not want it any more: an operator, the game, or the player's own new ticket. */
  | { readonly type: "cancel" }
  /** The phase has lasted as long as `sourceTimeout` says. */
  | { readonly type: "timeout" }
  /** The handover has been released for so long that its memory is wanted back. Loses what is still held. */
  | { readonly type: "abandon" };

export type SourceEffect<Body> =
  | { readonly type: "toDestination"; readonly message: ToDestination<Body> }
  | { readonly type: "toSession"; readonly playerId: string; readonly message: ToSession<Body> }
  | { readonly type: "toClient"; readonly playerId: string; readonly message: ToClient }
  /** Freeze these players at the end of a tick, and answer with `frozen`. */
  | { readonly type: "freeze"; readonly playerIds: readonly string[] }
  /** The player leaves this side's world: the game's `onMigrateOut`. Its client stays connected. */
  | { readonly type: "depart"; readonly playerId: string }
  /**
   * Go on with the player from `snapshot`: these items come first, in order. If it has departed it comes back under `generation`;
   * if it is here, frozen, it keeps the generation that it has.
   */
  | {
      readonly type: "play";
      readonly playerId: string;
      readonly generation: number;
      readonly snapshot: Snapshot<Body>;
      readonly items: readonly HeldItem<Body>[];
    }
  /** The copy that has the generation `from` has `generation` from now on, also when it has left by now; saves may go out again. */
  | { readonly type: "adopt"; readonly playerId: string; readonly from: number; readonly generation: number }
  /** Forget the copy that has `generation`, if there is one; without a newer one, end the client's connection too. */
  | {
      readonly type: "drop";
      readonly playerId: string;
      readonly generation: number;
      readonly outcome: "moved" | "superseded";
    };

export interface SourceStep<Body> {
  readonly state: SourceState<Body>;
  readonly effects: readonly SourceEffect<Body>[];
}

/**
 * The most items that are held for a player. Stops one who floods while standing still from filling the memory. Inputs beyond it are
 * not lost: the client still has them, and sends them again where it is welcomed next.
 */
export const maxHeldItems = 512;

/** A member as a handover begins. */
export interface SourceCandidate extends MemberRef {
  /** See {@link SourceMember.key}: fresh for each handover. */
  readonly key: string;
  readonly clientHere: boolean;
}

/** The newest handover of a player that has not ended; none when the player has come back here since. */
export function newestHandover<Body>(
  handovers: Iterable<SourceState<Body>>,
  playerId: string,
  copy: number | undefined,
): SourceState<Body> | undefined {
  let generation = copy ?? 0;
  let newest: SourceState<Body> | undefined;
  for (const handover of handovers) {
    const member = handover.members.find((one) => one.playerId === playerId && one.outcome === undefined);
    if (member === undefined || member.generation < generation) continue;
    generation = member.generation;
    newest = handover;
  }
  return newest;
}

/**
 * Which of a cluster's handovers takes what comes for a player, if not the game: its copy here is frozen, or gone. A player who has
 * come back while an earlier handover lingers is the copy's again, or a later handover's: the newest generation takes all. [HAND-7]
 *
 * @param copy generation of the player's copy here, if there is one
 */
export function handoverHolding<Body>(
  handovers: Iterable<SourceState<Body>>,
  playerId: string,
  copy: number | undefined,
): SourceState<Body> | undefined {
  const newest = newestHandover(handovers, playerId, copy);
  return newest !== undefined && isHolding(newest.phase) ? newest : undefined;
}

export function isHolding(phase: SourcePhase): boolean {
  return phase === "transferring" || phase === "committing" || phase === "released" || phase === "reclaiming";
}

/**
 * Whether this handover decides about a player's copy here: until it has, `PlayerSession` might have to refuse what the copy saves,
 * and a fence is for the handover to understand. [HAND-8]
 */
export function governsCopy(state: SourceState<unknown>, playerId: string): boolean {
  const { phase, members } = state;
  // For one player, nothing was asked of `PlayerSession` yet.
  if (members.length === 1 && (phase === "preparing" || phase === "freezing")) return false;
  if (phase === "released" || phase === "ended") return false;
  return members.some((member) => member.playerId === playerId && member.outcome === undefined);
}

/** Whether a newer session has a member. Fences within one session are about this handover's own outcomes. */
export function isFenced(state: SourceState<unknown>, playerId: string, generation: number): boolean {
  const member = state.members.find((one) => one.playerId === playerId && one.outcome === undefined);
  return member !== undefined && sessionOf(generation) > sessionOf(member.generation);
}

/** The member whose `PlayerSession` decides. */
export function leaderOf(state: SourceState<unknown>): string {
  return state.members[0]?.playerId ?? "";
}

/** Whether the destination has all that there is. */
export function isDelivered(state: SourceState<unknown>): boolean {
  return state.activated && openMembers(state).every((member) => member.held.length === 0);
}

export function openMembers<Body>(state: SourceState<Body>): readonly SourceMember<Body>[] {
  return state.members.filter((member) => member.outcome === undefined);
}

export function refOf(member: MemberRef): MemberRef {
  return { playerId: member.playerId, generation: member.generation };
}

export function withMember<Body>(
  state: SourceState<Body>,
  playerId: string,
  change: (member: SourceMember<Body>) => SourceMember<Body>,
): SourceState<Body> {
  const members = state.members.map((member) => (member.playerId === playerId ? change(member) : member));
  return { ...state, members };
}
