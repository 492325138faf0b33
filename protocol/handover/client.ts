import type { ClientEffect, ClientEvent, ClientLink, ClientMove, ClientState, ClientStep } from "./client-state.ts";
import { inputsAfter, lastInputOf, openClientStreams, positionOf, withInputsAcknowledged } from "./client-streams.ts";
import type { ToClient } from "./messages.ts";
import type { ClusterRef } from "./parties.ts";

/** @param maxFailures how often it tries to connect to where it was, or was sent, before it allocates again */
export function openClient<Body>(maxFailures = 4): ClientStep<Body> {
  const state: ClientState<Body> = {
    phase: "allocating",
    at: undefined,
    streams: openClientStreams(0),
    sent: 0,
    move: undefined,
    connecting: false,
    failures: 0,
    maxFailures,
  };
  return { state, effects: [{ type: "allocate" }] };
}

/** The client's production step: pure, and total: an event that does not fit changes nothing. */
export function stepClient<Body>(state: ClientState<Body>, event: ClientEvent<Body>): ClientStep<Body> {
  switch (event.type) {
    case "input":
      return input(state, event.body);
    case "output":
      return output(state, event.from, event.sequence, event.body);
    case "acknowledged": {
      if (!isAt(state, event.from) || state.at === undefined) return unchanged(state);
      return unchanged({ ...state, streams: withInputsAcknowledged(state.streams, state.at.tenure, event.lastInput) });
    }
    case "told":
      return event.message.type === "redirect"
        ? redirected(state, event.from, event.message)
        : stays(state, event.from);
    case "welcome":
      return welcomed(state, event);
    case "refused":
    case "linkDown":
      return failed(state, event.from, event.type);
    case "replaced":
      return isAt(state, event.from) ? unchanged({ ...state, phase: "ended", at: undefined }) : unchanged(state);
    case "allocated": {
      if (state.phase !== "allocating") return unchanged(state);
      const { cluster, ticket } = event;
      const at = { cluster, tenure: 0 };
      const joining: ClientState<Body> = { ...state, phase: "joining", at, connecting: true, failures: 0 };
      return { state: joining, effects: [{ type: "join", to: cluster, ticket, position: positionOf(state.streams) }] };
    }
    case "timeout":
      return timedOut(state);
  }
}

function input<Body>(state: ClientState<Body>, body: Body): ClientStep<Body> {
  const streams = { ...state.streams, unacknowledged: [...state.streams.unacknowledged, body] };
  return flush({ ...state, streams });
}

/** Sends what has not been sent, if there is anywhere to send it. While moving, new inputs wait for the destination. */
function flush<Body>(state: ClientState<Body>): ClientStep<Body> {
  const { at, streams } = state;
  if (state.phase !== "playing" || at === undefined) return unchanged(state);
  const effects = inputsAfter(streams, Math.max(state.sent, streams.acknowledged)).map(
    ({ sequence, body }): ClientEffect<Body> => ({
      type: "send",
      to: at.cluster,
      sequence,
      body,
      received: streams.received,
    }),
  );
  return { state: { ...state, sent: lastInputOf(streams) }, effects };
}

/** Each output once, in order, from wherever it comes: both clusters of a handover number the same stream. [HAND-9] */
function output<Body>(state: ClientState<Body>, from: ClusterRef, sequence: number, body: Body): ClientStep<Body> {
  if (!isAt(state, from) || state.at === undefined || sequence !== state.streams.received + 1) return unchanged(state);
  const streams = { ...state.streams, received: sequence, tenure: state.at.tenure };
  return { state: { ...state, streams }, effects: [{ type: "deliver", body }] };
}

function redirected<Body>(
  state: ClientState<Body>,
  from: ClusterRef,
  message: Extract<ToClient, { readonly type: "redirect" }>,
): ClientStep<Body> {
  const { id, destination, key, token } = message;
  const expected = state.phase === "playing" || state.phase === "returning";
  const fromHere = isAt(state, from);
  const fromThere = state.move !== undefined && isSameCluster(state.move.destination, from);
  if (!(fromHere && (expected || state.phase === "moving")) && !(fromThere && state.phase === "moving"))
    return unchanged(state);
  const effects: ClientEffect<Body>[] = [];
  let { at } = state;
  if (fromThere && at !== undefined) {
    // The destination has handed the player on already: what it knows replaces what the cluster before it said.
    effects.push({ type: "close", to: at.cluster });
    at = undefined;
  } else if (state.move !== undefined && state.connecting) {
    if (state.move.id === id) return unchanged(state);
    effects.push({ type: "close", to: state.move.destination });
  }
  const move: ClientMove = { id, destination, key, token };
  effects.push({ type: "arrive", move, position: positionOf(state.streams) });
  return { state: { ...state, phase: "moving", at, move, connecting: true, failures: 0 }, effects };
}

/** Back to the old side. Not all that was sent there while it held the player need have been kept: the streams are taken up anew. */
function stays<Body>(state: ClientState<Body>, from: ClusterRef): ClientStep<Body> {
  const { move, at } = state;
  if (state.phase !== "moving" || move === undefined || at === undefined || !isAt(state, from)) return unchanged(state);
  const closing: ClientEffect<Body>[] = state.connecting ? [{ type: "close", to: move.destination }] : [];
  const { state: after, effects } = returnTo({ ...state, move: undefined, failures: 0 }, at);
  return { state: after, effects: [...closing, ...effects] };
}

function welcomed<Body>(
  state: ClientState<Body>,
  event: Extract<ClientEvent<Body>, { readonly type: "welcome" }>,
): ClientStep<Body> {
  const { from, tenure, lastInput, fresh } = event;
  const { phase, move, at } = state;
  const arrived = phase === "moving" && state.connecting && move !== undefined && isSameCluster(move.destination, from);
  const back = (phase === "returning" || phase === "joining") && isAt(state, from);
  if (!arrived && !back) return unchanged(state);
  const effects: ClientEffect<Body>[] = [];
  if (arrived && at !== undefined) effects.push({ type: "close", to: at.cluster });
  let { streams } = state;
  if (fresh) {
    if (streams.tenure !== 0) effects.push({ type: "startAfresh", lost: streams.unacknowledged });
    // The first streams of all: what was entered while connecting goes with them.
    streams = { ...openClientStreams(tenure), unacknowledged: streams.tenure === 0 ? streams.unacknowledged : [] };
  } else {
    streams = withInputsAcknowledged(streams, tenure, lastInput);
  }
  const joined: ClientState<Body> = {
    ...state,
    phase: "playing",
    at: { cluster: from, tenure },
    streams,
    sent: fresh ? 0 : lastInput,
    move: undefined,
    connecting: false,
    failures: 0,
  };
  const flushed = flush(joined);
  return { state: flushed.state, effects: [...effects, ...flushed.effects] };
}

function failed<Body>(state: ClientState<Body>, from: ClusterRef, type: "refused" | "linkDown"): ClientStep<Body> {
  const { phase, at, move } = state;
  if (phase === "moving" && state.connecting && move !== undefined && isSameCluster(move.destination, from)) {
    const waiting = { ...state, connecting: false, failures: state.failures + 1 };
    // With the old connection up, the old side will say `stay`, or the time to try again will come.
    return at === undefined && type === "refused" ? allocateAgain(waiting) : unchanged(waiting);
  }
  if (!isAt(state, from) || at === undefined) return unchanged(state);
  switch (phase) {
    case "playing":
      return returnTo({ ...state, failures: 0 }, at);
    case "returning":
      if (type === "refused") return allocateAgain(state);
      return unchanged({ ...state, connecting: false, failures: state.failures + 1 });
    case "moving":
      return unchanged({ ...state, at: undefined });
    case "joining":
      return allocateAgain(state);
    case "allocating":
    case "ended":
      return unchanged(state);
  }
}

/** Time to try again: see `clientTimeout`. */
function timedOut<Body>(state: ClientState<Body>): ClientStep<Body> {
  const { phase, at, move, failures, maxFailures } = state;
  if (phase === "allocating") return { state, effects: [{ type: "allocate" }] };
  if ((phase !== "returning" && phase !== "moving") || state.connecting) return unchanged(state);
  if (failures >= maxFailures) return allocateAgain(state);
  if (move !== undefined) {
    const position = positionOf(state.streams);
    return { state: { ...state, connecting: true }, effects: [{ type: "arrive", move, position }] };
  }
  return at === undefined ? allocateAgain(state) : returnTo(state, at);
}

function returnTo<Body>(state: ClientState<Body>, at: ClientLink): ClientStep<Body> {
  return {
    state: { ...state, phase: "returning", connecting: true },
    effects: [{ type: "return", to: at.cluster, position: positionOf(state.streams) }],
  };
}

function allocateAgain<Body>(state: ClientState<Body>): ClientStep<Body> {
  const { at, move } = state;
  const effects: ClientEffect<Body>[] = [];
  if (at !== undefined) effects.push({ type: "close", to: at.cluster });
  if (move !== undefined && state.connecting) effects.push({ type: "close", to: move.destination });
  effects.push({ type: "allocate" });
  return {
    state: { ...state, phase: "allocating", at: undefined, move: undefined, connecting: false, failures: 0 },
    effects,
  };
}

function isAt(state: ClientState<unknown>, cluster: ClusterRef): boolean {
  return state.at !== undefined && isSameCluster(state.at.cluster, cluster);
}

function isSameCluster(a: ClusterRef, b: ClusterRef): boolean {
  return a.clusterId === b.clusterId && a.boot === b.boot;
}

function unchanged<Body>(state: ClientState<Body>): ClientStep<Body> {
  return { state, effects: [] };
}
