import type { Redirect } from "../../protocol/index.ts";
import type { Clock } from "./clock.ts";
import type { CloseEvent } from "./close-event.ts";
import type { ClusterConnection } from "./connection.ts";
import type { ConnectionAhead } from "./connection-ahead.ts";
import type { RejoinAttempt } from "./entrance.ts";
import type { SustenetError } from "./error.ts";
import type { Joined, SentOn } from "./opening.ts";
import type { Resumption } from "./resumption.ts";
import type { SessionMemory } from "./session-memory.ts";
import type { ClusterAddress } from "./transport.ts";

/** What a session's journey needs from outside. */
export interface SessionContext {
  readonly clock: Clock;
  /** Gets back into the game; undefined when that is switched off. */
  readonly rejoin: Rejoin | undefined;
  /** Takes the session up again after its connection was lost; undefined when that is switched off. */
  readonly resumption?: Resumption | undefined;
  /** Goes on at another cluster; undefined where the client does not offer that. */
  readonly arrive?: Arrive | undefined;
  /** Connects to where the player may be sent; undefined where that waits until it is. */
  readonly openAhead?: ((cluster: ClusterAddress) => ConnectionAhead) | undefined;
  /** A connection that held this long was a good one: tries, to join and to take up, are counted anew after it. */
  readonly stableMs: number;
}

/** Tries to get back after `failure`, counting tries from `attempt`. `earlier` is the session as it was. */
export type Rejoin = (
  failure: SustenetError,
  attempt: number,
  signal: AbortSignal,
  onAttempt: (attempt: RejoinAttempt) => void,
  earlier: SessionMemory,
) => Promise<Joined>;

/** One try to go on at the cluster that a redirect names, over the connection that was opened ahead, if it will do. */
export type Arrive = (
  memory: SessionMemory,
  redirect: Redirect,
  signal: AbortSignal,
  ahead?: ConnectionAhead,
) => Promise<Joined | SentOn>;

/** How a session has come to the connection that it has now. */
export type JourneyStep =
  | { readonly type: "resumed" }
  | { readonly type: "moved"; readonly redirect: Redirect; readonly gapMs: number }
  | { readonly type: "rejoined"; readonly earlier: SessionMemory; readonly fresh: boolean };

/** Who travels. */
export interface Traveller {
  onResuming(attempt: RejoinAttempt): void;
  onRejoining(attempt: RejoinAttempt): void;
  onMoving(redirect: Redirect): void;
  /** Has another connection, over which nothing of the game comes. */
  onConnection(connection: ClusterConnection): void;
  /** Goes on over another connection, whose messages wait for its handlers. */
  onStep(joined: Joined, step: JourneyStep): void;
  /** It is over. */
  onEnd(event: CloseEvent): void;
}
