import {
  type ClientWelcome,
  isAt,
  openRoute,
  type RouteEffect,
  type RouteEvent,
  stepRoute,
} from "../../protocol/handover/client-route.ts";
import type { ClientEffect, ClientEvent, ClientState, ClientStep } from "./model-client-state.ts";
import {
  inputsAfter,
  lastInputOf,
  openClientStreams,
  positionOf,
  withInputsAcknowledged,
} from "./model-client-streams.ts";
import type { ClusterRef } from "../../protocol/handover/parties.ts";

/** @param maxFailures how often it tries to connect to where it was, or was sent, before it allocates again */
export function openClient<Body>(maxFailures = 4): ClientStep<Body> {
  const state: ClientState<Body> = { ...openRoute(maxFailures), streams: openClientStreams(0), sent: 0 };
  return { state, effects: [{ type: "allocate" }] };
}

/**
 * A client's step: pure, and total: an event that does not fit changes nothing. Where it goes is decided by the production function,
 * `stepRoute`; what it sends and takes is a model of what the client library does (clients/typescript/session-memory.ts), on plain data.
 */
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
    case "welcome":
    case "refused":
    case "linkDown":
    case "replaced":
    case "allocated":
    case "timeout":
      return travel(state, event);
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

function travel<Body>(state: ClientState<Body>, event: RouteEvent): ClientStep<Body> {
  const { route, effects } = stepRoute(state, event);
  let next: ClientState<Body> = { ...state, ...route };
  const all: ClientEffect<Body>[] = [];
  for (const effect of effects) {
    if (effect.type === "play") {
      const played = play(next, effect);
      next = played.state;
      all.push(...played.effects);
    } else {
      all.push(withPosition(next, effect));
    }
  }
  return { state: next, effects: all };
}

function withPosition<Body>(
  { streams }: ClientState<Body>,
  effect: Exclude<RouteEffect, { readonly type: "play" }>,
): ClientEffect<Body> {
  return effect.type === "close" || effect.type === "allocate" ? effect : { ...effect, position: positionOf(streams) };
}

function play<Body>(state: ClientState<Body>, { tenure, lastInput, fresh }: ClientWelcome): ClientStep<Body> {
  const effects: ClientEffect<Body>[] = [];
  let { streams } = state;
  if (fresh) {
    if (streams.tenure !== 0) effects.push({ type: "startAfresh", lost: streams.unacknowledged });
    // The first streams of all: what was entered while connecting goes with them.
    streams = { ...openClientStreams(tenure), unacknowledged: streams.tenure === 0 ? streams.unacknowledged : [] };
  } else {
    streams = withInputsAcknowledged(streams, tenure, lastInput);
  }
  const flushed = flush({ ...state, streams, sent: fresh ? 0 : lastInput });
  return { state: flushed.state, effects: [...effects, ...flushed.effects] };
}

function unchanged<Body>(state: ClientState<Body>): ClientStep<Body> {
  return { state, effects: [] };
}
