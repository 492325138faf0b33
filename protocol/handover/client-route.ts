import type { ToClient } from "./messages.ts";
import type { ClusterRef } from "./parties.ts";

/**
 * A client's way from cluster to cluster: to which it is connected, and where it goes. What it says there is another part's. Spec:
 * docs/HANDOVER.md, section 9.
 */
export interface ClientRoute {
  readonly phase: ClientPhase;
  /** The cluster whose streams the client is on, and the connection to it; in `moving` it may have none. */
  readonly at: ClientLink | undefined;
  readonly move: ClientMove | undefined;
  /** Whether a connection to where the client wants to be is on its way, or up and not answered yet. */
  readonly connecting: boolean;
  /** Connections that failed in this phase, and how many may before the client allocates again. */
  readonly failures: number;
  readonly maxFailures: number;
}

/**
 * `allocating` → `joining` → `playing` ⇄ `returning`; `playing`, `returning` → `moving` → `playing`; whatever does not get on →
 * `allocating`.
 */
export type ClientPhase =
  | "allocating"
  | "joining"
  | "playing"
  /** The connection broke: back to the same cluster. */
  | "returning"
  /** Told to go to another cluster; the old connection lives. */
  | "moving"
  /** The same player has joined from elsewhere. */
  | "ended";

export interface ClientLink {
  readonly cluster: ClusterRef;
  readonly tenure: number;
}

export interface ClientMove {
  readonly id: string;
  readonly destination: ClusterRef;
  readonly key: string;
  readonly token: string;
}

/** A cluster has taken the client's streams up, or (`fresh`) has opened new ones. */
export interface ClientWelcome {
  readonly from: ClusterRef;
  readonly tenure: number;
  readonly lastInput: number;
  readonly fresh: boolean;
}

export type RouteEvent =
  | { readonly type: "told"; readonly from: ClusterRef; readonly message: ToClient }
  | ({ readonly type: "welcome" } & ClientWelcome)
  /** A cluster does not know the player, or will not have it any more. */
  | { readonly type: "refused"; readonly from: ClusterRef }
  /** A connection has ended, or could not be made. */
  | { readonly type: "linkDown"; readonly from: ClusterRef }
  | { readonly type: "replaced"; readonly from: ClusterRef }
  | { readonly type: "allocated"; readonly cluster: ClusterRef; readonly ticket: string }
  | { readonly type: "timeout" };

export type RouteEffect =
  | { readonly type: "allocate" }
  /** Connect, and join with a ticket. */
  | { readonly type: "join"; readonly to: ClusterRef; readonly ticket: string }
  /** Connect again where the client was. */
  | { readonly type: "return"; readonly to: ClusterRef }
  /** Connect to a handover's destination. */
  | { readonly type: "arrive"; readonly move: ClientMove }
  /** End a connection without a farewell: the player is not leaving. */
  | { readonly type: "close"; readonly to: ClusterRef }
  /** Go on from there: what was closed before is not asked any more. */
  | ({ readonly type: "play" } & ClientWelcome);

export interface RouteStep {
  readonly route: ClientRoute;
  readonly effects: readonly RouteEffect[];
}

/** @param maxFailures how often it tries to connect to where it was, or was sent, before it allocates again */
export function openRoute(maxFailures: number): ClientRoute {
  return { phase: "allocating", at: undefined, move: undefined, connecting: false, failures: 0, maxFailures };
}

/** Pure, and total: an event that does not fit changes nothing. */
export function stepRoute(route: ClientRoute, event: RouteEvent): RouteStep {
  switch (event.type) {
    case "told":
      return event.message.type === "redirect" ? redirected(route, event.from, event.message) : stays(route, event);
    case "welcome":
      return welcomed(route, event);
    case "refused":
    case "linkDown":
      return failed(route, event.from, event.type);
    case "replaced":
      return isAt(route, event.from) ? unchanged({ ...route, phase: "ended", at: undefined }) : unchanged(route);
    case "allocated": {
      if (route.phase !== "allocating") return unchanged(route);
      const { cluster, ticket } = event;
      const joining: ClientRoute = { ...route, phase: "joining", at: { cluster, tenure: 0 }, connecting: true };
      return { route: { ...joining, failures: 0 }, effects: [{ type: "join", to: cluster, ticket }] };
    }
    case "timeout":
      return timedOut(route);
  }
}

export function isAt(route: Pick<ClientRoute, "at">, cluster: ClusterRef): boolean {
  return route.at !== undefined && isSameCluster(route.at.cluster, cluster);
}

function redirected(
  route: ClientRoute,
  from: ClusterRef,
  message: Extract<ToClient, { readonly type: "redirect" }>,
): RouteStep {
  const { id, destination, key, token } = message;
  const expected = route.phase === "playing" || route.phase === "returning";
  const fromHere = isAt(route, from);
  const fromThere = route.move !== undefined && isSameCluster(route.move.destination, from);
  if (!(fromHere && (expected || route.phase === "moving")) && !(fromThere && route.phase === "moving"))
    return unchanged(route);
  const effects: RouteEffect[] = [];
  let { at } = route;
  if (fromThere && at !== undefined) {
    // The destination has handed the player on already: what it knows replaces what the cluster before it said.
    effects.push({ type: "close", to: at.cluster });
    at = undefined;
  } else if (route.move?.id === id) {
    // Repeated, which makes it no newer: tries go on being counted. [REDIRECT-5] A destination that sends on to where it was led is none.
    return fromThere ? failed(route, from, "refused") : unchanged(route);
  } else if (route.move !== undefined && route.connecting) {
    effects.push({ type: "close", to: route.move.destination });
  }
  const move: ClientMove = { id, destination, key, token };
  effects.push({ type: "arrive", move });
  return { route: { ...route, phase: "moving", at, move, connecting: true, failures: 0 }, effects };
}

/** Back to the old side. Not all that was sent there while it held the player need have been kept: the streams are taken up anew. */
function stays(route: ClientRoute, { from, message }: Extract<RouteEvent, { readonly type: "told" }>): RouteStep {
  const { move, at } = route;
  if (route.phase !== "moving" || move === undefined || at === undefined || !isAt(route, from)) return unchanged(route);
  // Of a redirect before this one: that is forgotten already.
  if (move.id !== message.id) return unchanged(route);
  const closing: RouteEffect[] = route.connecting ? [{ type: "close", to: move.destination }] : [];
  const { route: after, effects } = returnTo({ ...route, move: undefined, failures: 0 }, at);
  return { route: after, effects: [...closing, ...effects] };
}

function welcomed(route: ClientRoute, event: ClientWelcome): RouteStep {
  const { from, tenure, lastInput, fresh } = event;
  const { phase, move, at } = route;
  const arrived = phase === "moving" && route.connecting && move !== undefined && isSameCluster(move.destination, from);
  const back = (phase === "returning" || phase === "joining") && isAt(route, from);
  if (!arrived && !back) return unchanged(route);
  const closing: RouteEffect[] = arrived && at !== undefined ? [{ type: "close", to: at.cluster }] : [];
  return {
    route: {
      ...route,
      phase: "playing",
      at: { cluster: from, tenure },
      move: undefined,
      connecting: false,
      failures: 0,
    },
    effects: [...closing, { type: "play", from, tenure, lastInput, fresh }],
  };
}

function failed(route: ClientRoute, from: ClusterRef, type: "refused" | "linkDown"): RouteStep {
  const { phase, at, move } = route;
  if (phase === "moving" && route.connecting && move !== undefined && isSameCluster(move.destination, from)) {
    const waiting = { ...route, connecting: false, failures: route.failures + 1 };
    // With the old connection up, the old side will say `stay`, or the time to try again will come.
    return at === undefined && type === "refused" ? allocateAgain(waiting) : unchanged(waiting);
  }
  if (!isAt(route, from) || at === undefined) return unchanged(route);
  switch (phase) {
    case "playing":
      return type === "refused" ? allocateAgain(route) : returnTo({ ...route, failures: 0 }, at);
    case "returning":
      if (type === "refused") return allocateAgain(route);
      return unchanged({ ...route, connecting: false, failures: route.failures + 1 });
    case "moving":
      return unchanged({ ...route, at: undefined });
    case "joining":
      return allocateAgain(route);
    case "allocating":
    case "ended":
      return unchanged(route);
  }
}

/** Time to try again: see `clientTimeout`. */
function timedOut(route: ClientRoute): RouteStep {
  const { phase, at, move, failures, maxFailures } = route;
  if (phase === "allocating") return { route, effects: [{ type: "allocate" }] };
  if ((phase !== "returning" && phase !== "moving") || route.connecting) return unchanged(route);
  if (failures >= maxFailures) return allocateAgain(route);
  if (move !== undefined) return { route: { ...route, connecting: true }, effects: [{ type: "arrive", move }] };
  return at === undefined ? allocateAgain(route) : returnTo(route, at);
}

function returnTo(route: ClientRoute, at: ClientLink): RouteStep {
  return {
    route: { ...route, phase: "returning", connecting: true },
    effects: [{ type: "return", to: at.cluster }],
  };
}

function allocateAgain(route: ClientRoute): RouteStep {
  const { at, move } = route;
  const effects: RouteEffect[] = [];
  if (at !== undefined) effects.push({ type: "close", to: at.cluster });
  if (move !== undefined && route.connecting) effects.push({ type: "close", to: move.destination });
  effects.push({ type: "allocate" });
  return {
    route: { ...route, phase: "allocating", at: undefined, move: undefined, connecting: false, failures: 0 },
    effects,
  };
}

function isSameCluster(a: ClusterRef, b: ClusterRef): boolean {
  return a.clusterId === b.clusterId && a.boot === b.boot;
}

function unchanged(route: ClientRoute): RouteStep {
  return { route, effects: [] };
}
