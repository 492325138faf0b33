import { encodePosition, type Move } from "../../protocol/index.ts";
import type { Placement } from "../plugin/player.ts";

/** What a player's client and this cluster have told each other of where the player stands. */
export class PlaceTelling {
  /** Sequence of the last MOVE. */
  moveSequence: number;
  #isUntold = false;
  #heldMove: Move | undefined;

  constructor(moveSequence: number) {
    this.moveSequence = moveSequence;
  }

  /** A POSITION frame: the player stands there, whatever its client has asked for so far. [MOVE-3] */
  positionFrame({ x, y, z, heading }: Placement): Uint8Array {
    return encodePosition({ sequence: this.moveSequence, x, y, z, heading });
  }

  /** Whether the client may not know where the player stands. */
  get isUntold(): boolean {
    return this.#isUntold;
  }

  /** It may not: the player was teleported here from another cluster, or to one and that was taken back, or was put elsewhere while its client was away. [MOVE-4] */
  markUntold(): void {
    this.#isUntold = true;
  }

  /**
   * Whether a MOVE may be of a client that does not know yet that its player stands at `from`: asked for each MOVE, and it is the first one only.
   * [MOVE-4]
   */
  spendUntold(from: Placement, to: Placement): boolean {
    if (!this.#isUntold) return false;
    this.#isUntold = false;
    const { x, y, z } = from;
    return to.x !== Math.fround(x) || to.y !== Math.fround(y) || to.z !== Math.fround(z);
  }

  /** The client asks for a place while its player stands still. The latest counts if it stays: no other one may follow. [HAND-22] */
  holdMove(move: Move): void {
    this.#heldMove = move;
  }

  /** The last that it has asked for so. */
  takeHeldMove(): Move | undefined {
    const move = this.#heldMove;
    this.#heldMove = undefined;
    return move;
  }
}
