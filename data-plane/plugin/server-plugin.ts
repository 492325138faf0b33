import type { ByteReader } from "../../protocol/index.ts";
import type { Logger } from "../log.ts";
import type { LeaveReason, Placement, Player } from "./player.ts";

/** The running cluster, as a plugin sees it. */
export interface Cluster {
  /** Display name. */
  readonly name: string;
  /** Everyone in the game. */
  readonly players: Iterable<Player>;
  readonly playerCount: number;
  /** The player with this number, or `undefined`. */
  player(number: number): Player | undefined;
  /**
   * Sends one message to all players, or to all but one. It is encoded once.
   *
   * @throws RangeError as {@link Player.send}
   */
  broadcast(command: number, payload?: Uint8Array, except?: Player): void;
  readonly log: Logger;
}

/** What a hook may return: asynchronous ones are waited for as {@link ServerPlugin} says. */
type Done = void | Promise<void>;

/**
 * Game logic. Every hook is optional.
 *
 * What a hook throws, or what its promise rejects with, is logged and counted; nobody else notices.
 *
 * `onJoin`, `onMessage` and `onLeave` of one player run in order, one after another, also when the player comes back on a new
 * connection: while the promise of one is open the next ones wait (10 s at most), and when many wait nothing more is read
 * from that player. `onMove` and `onTick` do not stand in that line.
 */
export interface ServerPlugin {
  /** For the log. */
  readonly name?: string;
  /** Before anybody can join. A failure here keeps the cluster from starting. */
  onStart?(cluster: Cluster): Done;
  /** A player has joined. What is sent to it here arrives right after its WELCOME. */
  onJoin?(player: Player): Done;
  /** A player has left; it can be sent nothing any more. */
  onLeave?(player: Player, reason: LeaveReason): Done;
  /**
   * A player asks to move. Return `false` to refuse: it is then put back to where it was. Must not be asynchronous.
   * A hook that throws refuses.
   */
  onMove?(player: Player, from: Placement, to: Placement): boolean | void;
  /**
   * A message of the game. The reader's views stay as they are until the hook is done, asynchronous ones included; copy
   * what has to live longer. A reader that runs out of bytes throws: let it through, and that player is closed with
   * `PROTOCOL_ERROR`.
   */
  onMessage?(player: Player, command: number, reader: ByteReader): Done;
  /**
   * A fixed step of the simulation. While the promise of one is open the next ones are left out.
   *
   * @param dtSeconds always one tick's length
   */
  onTick?(tick: number, dtSeconds: number): Done;
  /** All players have left, and the process is about to end. */
  onStop?(): Done;
}
