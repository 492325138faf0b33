import type { FromSession, HeldItem, ToDestination, ToSource } from "./messages.ts";
import { enterDoubt, reclaim } from "./source-doubt.ts";
import {
  isDelivered,
  isFenced,
  maxHeldItems,
  openMembers,
  type SourceEffect,
  type SourceEvent,
  type SourceMember,
  type SourceState,
  type SourceStep,
  withMember,
} from "./source-state.ts";

/** The point of no return: the token goes to the destination and, with the player's key, to its client. [HAND-4] */
export function release<Body>(state: SourceState<Body>, token: string): SourceStep<Body> {
  const after: SourceState<Body> = { ...state, phase: "released", token };
  const effects: SourceEffect<Body>[] = [...delivery(after)];
  for (const member of openMembers(after)) {
    effects.push({ type: "depart", playerId: member.playerId }, ...redirect(after, member));
  }
  return { state: after, effects };
}

/** Keeps what comes for a player after its freeze; after the release it is forwarded at once as well. [HAND-7] */
export function holdItem<Body>(state: SourceState<Body>, playerId: string, item: HeldItem<Body>): SourceStep<Body> {
  const member = openMembers(state).find((one) => one.playerId === playerId);
  // A client that came back in between sends again what it has no acknowledgement for.
  if (member === undefined || (item.kind === "input" && item.sequence !== member.lastInput + 1)) return stay(state);
  if (member.held.length >= maxHeldItems) return stay(state);
  const after = withMember(state, playerId, (one) => ({
    ...one,
    held: [...one.held, item],
    lastInput: item.kind === "input" ? item.sequence : one.lastInput,
  }));
  if (state.phase !== "released") return stay(after);
  const index = member.forwarded + member.held.length + 1;
  return { state: after, effects: [toDestination({ type: "forward", id: state.id, playerId, index, item })] };
}

export function stepReleased<Body>(state: SourceState<Body>, event: SourceEvent<Body>): SourceStep<Body> {
  switch (event.type) {
    case "destination":
      return heardDestination(state, event.message);
    case "session":
      return heardSession(state, event.message);
    case "linkUp":
      return { state: { ...state, linkedBoot: event.boot }, effects: delivery(state) };
    case "clientGone":
      return stay(withMember(state, event.playerId, (member) => ({ ...member, clientHere: false })));
    case "clientBack": {
      const after = withMember(state, event.playerId, (member) => ({ ...member, clientHere: true }));
      const member = openMembers(after).find((one) => one.playerId === event.playerId);
      return { state: after, effects: member === undefined ? [] : redirect(after, member) };
    }
    case "timeout":
      // Until now a client whose connection broke could come back here and be told where to go.
      return isDelivered(state) ? finish(state) : stay(state);
    case "abandon":
      return finish(state);
    case "linkDown":
    case "cancel":
    case "frozen":
    case "item":
      return stay(state);
  }
}

function heardDestination<Body>(state: SourceState<Body>, message: ToSource): SourceStep<Body> {
  switch (message.type) {
    case "activated":
      return activated(state, message.superseded);
    case "forwarded":
      return forwarded(state, message.playerId, message.index);
    case "refused":
      // After it took over, this means that it has died since: then authority died there, and `PlayerSession` has the save.
      if (state.activated) return finish(state);
      // The process that prepared has not used the token, and never will. Of one that is gone, nobody knows.
      return state.linkedBoot === state.destination.boot ? enterDoubt(state) : reclaim(state);
    case "prepared":
    case "ready":
      return stay(state);
  }
}

function heardSession<Body>(state: SourceState<Body>, message: FromSession<Body>): SourceStep<Body> {
  if (message.type !== "fence" || !isFenced(state, message.playerId, message.generation)) return stay(state);
  return supersede(state, [message.playerId]);
}

function activated<Body>(state: SourceState<Body>, superseded: readonly string[]): SourceStep<Body> {
  const members = state.members.map((member) => ({ ...member, snapshot: undefined }));
  return supersede({ ...state, activated: true, members }, superseded);
}

function supersede<Body>(state: SourceState<Body>, playerIds: readonly string[]): SourceStep<Body> {
  const effects: SourceEffect<Body>[] = [];
  const members = state.members.map((member) => {
    if (member.outcome !== undefined || !playerIds.includes(member.playerId)) return member;
    const { playerId, generation } = member;
    effects.push({ type: "drop", playerId, generation, outcome: "superseded" });
    return { ...member, snapshot: undefined, held: [], outcome: "superseded" as const };
  });
  const after: SourceState<Body> = { ...state, members };
  if (openMembers(after).length > 0) return { state: after, effects };
  const end = finish(after);
  return { state: end.state, effects: [...effects, ...end.effects] };
}

function forwarded<Body>(state: SourceState<Body>, playerId: string, index: number): SourceStep<Body> {
  return stay(
    withMember(state, playerId, (member) => {
      const done = Math.min(index - member.forwarded, member.held.length);
      return done <= 0 ? member : { ...member, held: member.held.slice(done), forwarded: member.forwarded + done };
    }),
  );
}

/** Everything that the destination may not have. After a new link it all goes out again. */
function delivery<Body>(state: SourceState<Body>): SourceEffect<Body>[] {
  const { id, token, activated } = state;
  const effects: SourceEffect<Body>[] = [];
  if (!activated && token !== undefined) effects.push(toDestination({ type: "commit", id, token }));
  for (const { playerId, held, forwarded } of openMembers(state)) {
    for (const [offset, item] of held.entries()) {
      effects.push(toDestination({ type: "forward", id, playerId, index: forwarded + offset + 1, item }));
    }
  }
  return effects;
}

function redirect<Body>(state: SourceState<Body>, member: SourceMember<Body>): SourceEffect<Body>[] {
  const { id, destination, token } = state;
  const { playerId, key, clientHere } = member;
  if (!clientHere || token === undefined) return [];
  return [{ type: "toClient", playerId, message: { type: "redirect", id, destination, key, token } }];
}

function finish<Body>(state: SourceState<Body>): SourceStep<Body> {
  const effects: SourceEffect<Body>[] = [toDestination({ type: "finished", id: state.id })];
  const members = state.members.map((member) => {
    if (member.outcome !== undefined) return member;
    effects.push({ type: "drop", playerId: member.playerId, generation: member.generation, outcome: "moved" });
    return { ...member, snapshot: undefined, held: [], outcome: "moved" as const };
  });
  return { state: { ...state, phase: "ended", token: undefined, members }, effects };
}

function toDestination<Body>(message: ToDestination<Body>): SourceEffect<Body> {
  return { type: "toDestination", message };
}

function stay<Body>(state: SourceState<Body>): SourceStep<Body> {
  return { state, effects: [] };
}
