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

/** Which cluster. */
export interface ClusterName {
  readonly id: string;
  readonly name: string;
}

/** The events of a `GameSession`. */
export interface SessionEvents {
  /** The game sent something. */
  message: GameMessage;
  /** State of which only the latest matters: it takes the place of what came before it. [LATEST-1] */
  state: GameMessage;
  /** The cluster refused a move, or the game has put the player elsewhere: this is where it stands. `sequence` is of the last move that had come, 0 before the first. [MOVE-2] [MOVE-3] */
  position: Placement & { readonly sequence: number };
  /** A round trip was measured; the cluster's clock is newer. */
  latency: { readonly rttMs: number; readonly serverTimeMs: number };
  /** The connection was lost: the library is about to take the session up again. What is sent meanwhile waits. */
  resuming: RejoinAttempt;
  /** The same session goes on: nothing was lost or doubled in between. State may be a while old until the next comes. */
  resumed: { readonly welcome: Welcome };
  /** The cluster sends the player on to another one. What is sent meanwhile waits for that. */
  moving: { readonly cluster: ClusterName };
  /**
   * The same session goes on there: nothing was lost or doubled. `gapMs`: how long nothing of the game had come, silence from before the move included. `welcome` is the new one: the player has another number, and the view is
   * built anew.
   */
  moved: { readonly cluster: ClusterName; readonly welcome: Welcome; readonly gapMs: number };
  /** The connection was lost and cannot be resumed, or the cluster asked for it: the library is about to allocate and join again. */
  rejoining: RejoinAttempt;
  /**
   * In the game again, perhaps elsewhere: `welcome` is the new one. Where the session could not go on (`fresh`), `lost` has the messages that no
   * cluster is known to have taken: they are not sent again.
   */
  rejoined: { readonly welcome: Welcome; readonly fresh: boolean; readonly lost: readonly GameMessage[] };
  /** It is over: left, or lost for good. */
  close: CloseEvent;
}
