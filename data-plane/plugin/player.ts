import type { CloseCode } from "../../protocol/index.ts";

/** Where something stands and looks. */
export interface Placement {
  /** World units. */
  readonly x: number;
  readonly y: number;
  readonly z: number;
  /** 65,536 to a full turn, from the positive x axis towards the positive z axis. */
  readonly heading: number;
}

/** A player in the game, as a plugin sees it. */
export interface Player {
  /** The account: the same wherever and whenever this player joins. */
  readonly id: string;
  /** Display name. */
  readonly name: string;
  /** Names the player within this cluster, for as long as it is joined. */
  readonly number: number;
  /** Where it stands now. */
  readonly position: Placement;
  /** False once it has left. */
  readonly connected: boolean;
  /**
   * Sends a message of the game. The payload is copied: its bytes may be used again at once.
   *
   * @param command 0 to 255
   * @param payload up to 65,533 bytes
   * @returns false when the player has left: nothing is sent then
   * @throws RangeError when command or payload does not fit
   */
  send(command: number, payload?: Uint8Array): boolean;
  /** Ends the connection; the client is told `code`, by default `NORMAL`. */
  close(code?: CloseCode): void;
}

/**
 * Why a player left: the code of the CLOSE that was sent, `NORMAL` when the client said goodbye, or `DROPPED` when the
 * connection ended without a word.
 */
export type LeaveReason = CloseCode | "DROPPED";
