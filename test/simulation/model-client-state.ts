import type { ClientRoute, RouteEffect, RouteEvent } from "../../protocol/handover/client-route.ts";
import type { ClientStreams } from "./model-client-streams.ts";
import type { ClusterRef } from "../../protocol/handover/parties.ts";
import type { StreamPosition } from "../../protocol/handover/streams.ts";

/** A modelled client: its way from cluster to cluster, and its streams. Spec: docs/HANDOVER.md, section 9. */
export interface ClientState<Body> extends ClientRoute {
  readonly streams: ClientStreams<Body>;
  /** The last input that was sent over the connection to `at`. */
  readonly sent: number;
}

export type ClientEvent<Body> =
  | RouteEvent
  /** The game has an input for the cluster. */
  | { readonly type: "input"; readonly body: Body }
  | { readonly type: "output"; readonly from: ClusterRef; readonly sequence: number; readonly body: Body }
  | { readonly type: "acknowledged"; readonly from: ClusterRef; readonly lastInput: number };

/** A first word over a new connection says where the client is in its streams. */
type WithPosition<Effect> = Effect extends { readonly type: "join" | "return" | "arrive" }
  ? Effect & { readonly position: StreamPosition }
  : Effect;

export type ClientEffect<Body> =
  | WithPosition<Exclude<RouteEffect, { readonly type: "play" }>>
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
