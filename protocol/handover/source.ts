import { canStep } from "./generation.ts";
import type { FromSession, HeldItem, ToSource } from "./messages.ts";
import { type ClusterRef, maxMembers, type Snapshot } from "./parties.ts";
import { enterDoubt, stepDoubt } from "./source-doubt.ts";
import { holdItem, release, stepReleased } from "./source-released.ts";
import {
  isFenced,
  isHolding,
  leaderOf,
  maxHeldItems,
  refOf,
  type SourceCandidate,
  type SourceEffect,
  type SourceEvent,
  type SourceMember,
  type SourceState,
  type SourceStep,
  withMember,
} from "./source-state.ts";

/**
 * Begins a handover of players who must stay together. The link to the destination is up, and every player is in the game
 * here, under the given generation, and in no other handover.
 *
 * @throws RangeError for no member, too many, or one whose generation cannot step any more (see {@link canStep}).
 */
export function beginHandover<Body>(
  id: string,
  destination: ClusterRef,
  candidates: readonly SourceCandidate[],
): SourceStep<Body> {
  if (candidates.length < 1 || candidates.length > maxMembers) {
    throw new RangeError(`a handover has 1 to ${maxMembers} members, not ${candidates.length}`);
  }
  if (!candidates.every(({ generation }) => canStep(generation))) {
    throw new RangeError(
      "a member's session has no generation left to step to: the player has to allocate again first",
    );
  }
  const members = candidates.map((candidate, index): SourceMember<Body> => ({
    playerId: candidate.playerId,
    generation: candidate.generation,
    key: candidate.key,
    enlisted: index === 0,
    snapshot: undefined,
    held: [],
    forwarded: 0,
    lastInput: 0,
    clientHere: candidate.clientHere,
    outcome: undefined,
  }));
  const [leader, ...followers] = members.map(refOf);
  const effects: SourceEffect<Body>[] = [
    { type: "toDestination", message: { type: "prepare", id, members: members.map(refOf) } },
  ];
  if (leader !== undefined) {
    for (const { playerId, generation } of followers) {
      effects.push({ type: "toSession", playerId, message: { type: "enlist", id, generation, leader } });
    }
  }
  const state: SourceState<Body> = {
    phase: "preparing",
    id,
    destination,
    linked: true,
    linkedBoot: destination.boot,
    prepared: false,
    members,
    token: undefined,
    activated: false,
    decided: false,
  };
  return { state, effects };
}

/** The source's production step: pure, and total: an event that does not fit the phase changes nothing. */
export function stepSource<Body>(state: SourceState<Body>, event: SourceEvent<Body>): SourceStep<Body> {
  switch (event.type) {
    case "frozen":
      return frozen(state, event.snapshots);
    case "item":
      return held(state, event.playerId, event.item);
    case "destination":
    case "session":
    case "linkUp":
    case "linkDown":
    case "clientGone":
    case "clientBack":
    case "cancel":
    case "timeout":
    case "abandon":
      break;
  }
  switch (state.phase) {
    case "preparing":
    case "freezing":
    case "transferring":
    case "committing":
      return stepUndecided(state, event);
    case "released":
      return stepReleased(state, event);
    case "doubt":
    case "reclaiming":
      return stepDoubt(state, event);
    case "ended":
      return unchanged(state);
  }
}

function unchanged<Body>(state: SourceState<Body>): SourceStep<Body> {
  return { state, effects: [] };
}

function stepUndecided<Body>(state: SourceState<Body>, event: SourceEvent<Body>): SourceStep<Body> {
  switch (event.type) {
    case "destination":
      return heardDestination(state, event.message);
    case "session":
      return heardSession(state, event.message);
    case "linkUp":
      // It was down, so the destination may have given up or restarted: only an abort is safe now, and `linked` remembers it.
      return unchanged(state);
    case "linkDown":
      return state.phase === "committing"
        ? unchanged({ ...state, linked: false })
        : giveUp({ ...state, linked: false });
    case "cancel":
    case "timeout":
      return giveUp(state);
    case "clientGone":
    case "clientBack":
      return unchanged(
        withMember(state, event.playerId, (member) => ({ ...member, clientHere: event.type === "clientBack" })),
      );
    case "frozen":
    case "item":
    case "abandon":
      return unchanged(state);
  }
}

function heardDestination<Body>(state: SourceState<Body>, message: ToSource): SourceStep<Body> {
  switch (message.type) {
    case "prepared":
      return state.phase === "preparing" ? freezeIfAgreed({ ...state, prepared: true }) : unchanged(state);
    case "ready":
      return state.phase === "transferring" ? commit(state) : unchanged(state);
    case "refused":
      return giveUp(state);
    case "activated":
    case "forwarded":
      return unchanged(state);
  }
}

function heardSession<Body>(state: SourceState<Body>, message: FromSession<Body>): SourceStep<Body> {
  switch (message.type) {
    case "enlisted":
      return state.phase === "preparing"
        ? freezeIfAgreed(withMember(state, message.playerId, (member) => ({ ...member, enlisted: true })))
        : unchanged(state);
    case "enlistRefused":
      return giveUp(state);
    case "committed":
      if (state.phase !== "committing") return unchanged(state);
      // Without the link nobody knows whether the destination still has the players: better to take them back. [HAND-5]
      return state.linked ? release(state, message.token) : enterDoubt(state);
    case "commitRefused":
      return state.phase === "committing" ? enterDoubt(state) : unchanged(state);
    case "fence":
      return isFenced(state, message.playerId, message.generation)
        ? giveUpWithout(state, message.playerId)
        : unchanged(state);
    case "aborted":
    case "superseded":
    case "entered":
    case "saved":
    case "saveLater":
    case "settled":
      return unchanged(state);
  }
}

function freezeIfAgreed<Body>(state: SourceState<Body>): SourceStep<Body> {
  if (!state.prepared || !state.members.every((member) => member.enlisted)) return unchanged(state);
  const playerIds = state.members.map((member) => member.playerId);
  return { state: { ...state, phase: "freezing" }, effects: [{ type: "freeze", playerIds }] };
}

/** The players stand still from here on: whatever comes for them is held until somebody plays them again. [HAND-6] */
function frozen<Body>(state: SourceState<Body>, snapshots: Readonly<Record<string, Snapshot<Body>>>): SourceStep<Body> {
  const members = state.members.map((member) => {
    const snapshot = snapshots[member.playerId];
    return snapshot === undefined ? member : { ...member, snapshot, lastInput: snapshot.streams.lastInput };
  });
  if (state.phase !== "freezing" || members.some((member) => member.snapshot === undefined)) {
    // The handover was given up while the tick ran, or somebody has left in it.
    const effects = state.members.flatMap(({ playerId, generation, outcome }): SourceEffect<Body>[] => {
      const snapshot = outcome === "superseded" ? undefined : snapshots[playerId];
      return snapshot === undefined ? [] : [{ type: "play", playerId, generation, snapshot, items: [] }];
    });
    if (state.phase !== "freezing") return { state, effects };
    const after = giveUp(state);
    return { state: after.state, effects: [...effects, ...after.effects] };
  }
  const transfers = members.flatMap(({ playerId, generation, key, snapshot }) =>
    snapshot === undefined ? [] : [{ playerId, generation, key, snapshot }],
  );
  return {
    state: { ...state, phase: "transferring", members },
    effects: [{ type: "toDestination", message: { type: "transfer", id: state.id, members: transfers } }],
  };
}

function held<Body>(state: SourceState<Body>, playerId: string, item: HeldItem<Body>): SourceStep<Body> {
  if (!isHolding(state.phase)) return unchanged(state);
  const after = holdItem(state, playerId, item);
  const isFull = after.state.members.some((member) => member.held.length >= maxHeldItems);
  // While the player may still be played here, nothing that was held may be lost: better to play it now.
  return isFull && (state.phase === "transferring" || state.phase === "committing") ? giveUp(after.state) : after;
}

function commit<Body>(state: SourceState<Body>): SourceStep<Body> {
  const { id, destination } = state;
  const members = state.members.flatMap(({ playerId, generation, snapshot }) =>
    snapshot === undefined ? [] : [{ playerId, generation, snapshot }],
  );
  return {
    state: { ...state, phase: "committing" },
    effects: [{ type: "toSession", playerId: leaderOf(state), message: { type: "commit", id, destination, members } }],
  };
}

/**
 * Ends a handover without waiting. For one player whose commit was never sent nothing can have been decided, so that it ends at
 * once. Otherwise, and for a group, whose members are bound to a decision that has to be made, the abort is asked for. [HAND-5]
 */
function giveUp<Body>(state: SourceState<Body>): SourceStep<Body> {
  if (state.members.length > 1 || state.phase === "committing") return enterDoubt(state);
  const effects: SourceEffect<Body>[] = [];
  if (state.linked) effects.push({ type: "toDestination", message: { type: "abort", id: state.id } });
  const members = state.members.map((member) => {
    if (member.outcome !== undefined) return member;
    const { playerId, generation, snapshot, held } = member;
    if (snapshot !== undefined) effects.push({ type: "play", playerId, generation, snapshot, items: held });
    return { ...member, snapshot: undefined, held: [], outcome: "stayed" as const };
  });
  return { state: { ...state, phase: "ended", members }, effects };
}

function giveUpWithout<Body>(state: SourceState<Body>, playerId: string): SourceStep<Body> {
  const without = withMember(state, playerId, (member) => ({
    ...member,
    snapshot: undefined,
    held: [],
    outcome: "superseded",
  }));
  const generation = state.members.find((member) => member.playerId === playerId)?.generation ?? 0;
  const { state: after, effects } = giveUp(without);
  return { state: after, effects: [{ type: "drop", playerId, generation, outcome: "superseded" }, ...effects] };
}

/** The answer to a destination that speaks of a handover which is over here, and forgotten. */
export function answerForgotten<Body>(message: ToSource): SourceEffect<Body> | undefined {
  const { id } = message;
  switch (message.type) {
    case "prepared":
    case "ready":
      return { type: "toDestination", message: { type: "abort", id } };
    case "activated":
    case "forwarded":
      return { type: "toDestination", message: { type: "finished", id } };
    case "refused":
      return undefined;
  }
}
