import type { Welcome } from "../../protocol/index.ts";
import type { CloseEvent } from "./close-event.ts";
import type { RejoinAttempt } from "./entrance.ts";

/** A message of the game's own. */
export interface GameMessage {
  /** 0 to 255. */
  readonly command: number;
  /** A view on received memory: yours to read; copy it if you keep it for long. */
  readonly payload: Uint8Array;
}

/** Where a player stands. */
export interface Placement {
  readonly x: number;
  readonly y: number;
  readonly z: number;
  /** An integer from 0 to 65,535: 65,536 to a full turn, from the positive x axis towards the positive z axis. */
  readonly heading: number;
}

/** The events of a `GameSession`. */
export interface SessionEvents {
  /** The game sent something. */
  message: GameMessage;
  /** The cluster refused a move: this is where the player stands. `sequence` counts this connection's moves. [MOVE-2] */
  position: Placement & { readonly sequence: number };
  /** A round trip was measured; the cluster's clock is newer. */
  latency: { readonly rttMs: number; readonly serverTimeMs: number };
  /** The connection was lost, or the cluster asked for it: the library is about to allocate and join again. */
  rejoining: RejoinAttempt;
  /** In the game again, perhaps elsewhere: `welcome` is the new one. */
  rejoined: { readonly welcome: Welcome };
  /** It is over: left, or lost for good. */
  close: CloseEvent;
}
