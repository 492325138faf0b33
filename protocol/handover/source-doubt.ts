import type { FromSession } from "./messages.ts";
import {
  isFenced,
  leaderOf,
  type SourceEffect,
  type SourceEvent,
  type SourceMember,
  type SourceState,
  type SourceStep,
  withMember,
} from "./source-state.ts";

/**
 * The source no longer waits: it plays on, and takes the handover back. It can, whatever was decided, because the token has
 * not left it, or the destination will never use it. Nothing but an answer of `PlayerSession` ends this. [HAND-5]
 */
export function enterDoubt<Body>(state: SourceState<Body>): SourceStep<Body> {
  const { id } = state;
  const effects: SourceEffect<Body>[] = [];
  if (state.linked) effects.push({ type: "toDestination", message: { type: "abort", id } });
  const members = state.members.map((member) => {
    if (member.outcome !== undefined) return member;
    effects.push(...playOn(state, member));
    return { ...member, snapshot: undefined, held: [] };
  });
  // Those whom a newer session has are nobody's doubt.
  if (isOver(members)) return { state: { ...state, phase: "ended", token: undefined, members }, effects };
  const after: SourceState<Body> = { ...state, phase: "doubt", token: undefined, members };
  return { state: after, effects: [...effects, ...questions(after)] };
}

/** What makes a member play here again, if it stands still. */
function playOn<Body>(state: SourceState<Body>, member: SourceMember<Body>): SourceEffect<Body>[] {
  const { playerId, generation, snapshot, held, clientHere } = member;
  if (snapshot === undefined) return [];
  const effects: SourceEffect<Body>[] = [{ type: "play", playerId, generation, snapshot, items: held }];
  const redirected = state.phase === "released" || state.phase === "reclaiming";
  if (redirected && clientHere) effects.push({ type: "toClient", playerId, message: { type: "stay", id: state.id } });
  return effects;
}

/**
 * Takes a released handover back from a destination that has died, and may have used the token before: the players stand still
 * until `PlayerSession` has said whether it knows of that. [HAND-5]
 */
export function reclaim<Body>(state: SourceState<Body>): SourceStep<Body> {
  const after: SourceState<Body> = { ...state, phase: "reclaiming", token: undefined };
  return { state: after, effects: questions(after) };
}

export function stepDoubt<Body>(state: SourceState<Body>, event: SourceEvent<Body>): SourceStep<Body> {
  if (event.type === "timeout") return { state, effects: questions(state) };
  if (event.type === "clientGone" || event.type === "clientBack") {
    const clientHere = event.type === "clientBack";
    return { state: withMember(state, event.playerId, (member) => ({ ...member, clientHere })), effects: [] };
  }
  if (event.type !== "session") return { state, effects: [] };
  return heardSession(state, event.message);
}

function heardSession<Body>(state: SourceState<Body>, message: FromSession<Body>): SourceStep<Body> {
  switch (message.type) {
    case "aborted":
    case "superseded": {
      const { playerId, generation } = message;
      const member = state.members.find((one) => one.playerId === playerId);
      if (member?.generation !== generation) return { state, effects: [] };
      const decides = !state.decided && playerId === leaderOf(state);
      const resolved = resolve(decides ? { ...state, decided: true } : state, message);
      if (!decides || resolved.state.phase === "ended") return resolved;
      return { state: resolved.state, effects: [...resolved.effects, ...questions(resolved.state)] };
    }
    case "fence":
      if (!isFenced(state, message.playerId, message.generation)) return { state, effects: [] };
      return resolve(state, { type: "superseded", playerId: message.playerId });
    case "enlisted":
    case "enlistRefused":
    case "committed":
    case "commitRefused":
    case "entered":
    case "saved":
    case "saveLater":
    case "settled":
      return { state, effects: [] };
  }
}

type Resolution =
  | { readonly type: "aborted"; readonly playerId: string; readonly newGeneration: number }
  | { readonly type: "superseded"; readonly playerId: string };

function resolve<Body>(state: SourceState<Body>, resolution: Resolution): SourceStep<Body> {
  const { playerId } = resolution;
  const open = state.members.find((member) => member.playerId === playerId && member.outcome === undefined);
  if (open === undefined) return { state, effects: [] };
  const stays = resolution.type === "aborted";
  const after = withMember(state, playerId, (member) => ({
    ...member,
    snapshot: undefined,
    held: [],
    outcome: stays ? "stayed" : "superseded",
  }));
  return {
    state: isOver(after.members) ? { ...after, phase: "ended" } : after,
    effects: stays
      ? [
          ...playOn(state, open),
          { type: "adopt", playerId, from: open.generation, generation: resolution.newGeneration },
        ]
      : [{ type: "drop", playerId, generation: open.generation, outcome: "superseded" }],
  };
}

function isOver(members: readonly SourceMember<unknown>[]): boolean {
  return members.every((member) => member.outcome !== undefined);
}

/** The aborts that are to be sent now: the first member's, and when that is answered the others'. */
function questions<Body>(state: SourceState<Body>): SourceEffect<Body>[] {
  const leader = leaderOf(state);
  return state.members
    .filter((member) =>
      state.decided ? member.outcome === undefined && member.playerId !== leader : member.playerId === leader,
    )
    .map(({ playerId, generation }) => ({ type: "toSession", playerId, message: { type: "abort", generation } }));
}
