import type { ClientStreams } from "./client-streams.ts";
import type { ToClient } from "./messages.ts";
import type { ClusterRef } from "./parties.ts";
import type { StreamPosition } from "./streams.ts";

/** A client's way from cluster to cluster. Spec: docs/HANDOVER.md, section 9. */
export interface ClientState<Body> {
  readonly phase: ClientPhase;
  /** The cluster whose streams the client is on, and the connection to it; in `moving` it may have none. */
  readonly at: ClientLink | undefined;
  readonly streams: ClientStreams<Body>;
  /** The last input that was sent over the connection to `at`. */
  readonly sent: number;
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

export type ClientEvent<Body> =
  /** The game has an input for the cluster. */
  | { readonly type: "input"; readonly body: Body }
  | { readonly type: "output"; readonly from: ClusterRef; readonly sequence: number; readonly body: Body }
  | { readonly type: "acknowledged"; readonly from: ClusterRef; readonly lastInput: number }
  | { readonly type: "told"; readonly from: ClusterRef; readonly message: ToClient }
  /** A cluster has taken the client's streams up, or (`fresh`) has opened new ones. */
  | {
      readonly type: "welcome";
      readonly from: ClusterRef;
      readonly tenure: number;
      readonly lastInput: number;
      readonly fresh: boolean;
    }
  /** A cluster does not know the player, or will not have it. */
  | { readonly type: "refused"; readonly from: ClusterRef }
  /** A connection has ended, or could not be made. */
  | { readonly type: "linkDown"; readonly from: ClusterRef }
  | { readonly type: "replaced"; readonly from: ClusterRef }
  | { readonly type: "allocated"; readonly cluster: ClusterRef; readonly ticket: string }
  | { readonly type: "timeout" };

export type ClientEffect<Body> =
  | { readonly type: "allocate" }
  /** Connect, and join with a ticket. */
  | { readonly type: "join"; readonly to: ClusterRef; readonly ticket: string; readonly position: StreamPosition }
  /** Connect again where the client was. */
  | { readonly type: "return"; readonly to: ClusterRef; readonly position: StreamPosition }
  /** Connect to a handover's destination. */
  | { readonly type: "arrive"; readonly move: ClientMove; readonly position: StreamPosition }
  /** End a connection without a farewell: the player is not leaving. */
  | { readonly type: "close"; readonly to: ClusterRef }
  | {
      readonly type: "send";
      readonly to: ClusterRef;
      readonly sequence: number;
      readonly body: Body;
      /** Acknowledges the outputs up to this one. */
      readonly received: number;
    }
  | { readonly type: "deliver"; readonly body: Body }
  /** What the client knew is no longer so: the cluster was killed, and this is what was saved. `lost`: inputs never applied. */
  | { readonly type: "startAfresh"; readonly lost: readonly Body[] };

export interface ClientStep<Body> {
  readonly state: ClientState<Body>;
  readonly effects: readonly ClientEffect<Body>[];
}
