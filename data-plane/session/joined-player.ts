import { type CloseCode, encodeMessage, type SeatRef } from "../../protocol/index.ts";
import type { HookLane } from "../plugin/hook-lane.ts";
import type { Placement, Player } from "../plugin/player.ts";
import type { MoveBudget } from "./movement.ts";

/** What a player does through its connection. */
export interface PlayerLine {
  send(frame: Uint8Array): void;
  close(code: CloseCode): void;
}

export interface JoinedPlayerOptions {
  readonly seat: SeatRef;
  readonly name: string;
  readonly number: number;
  readonly position: Placement;
  readonly moveBudget: MoveBudget;
  readonly lane: HookLane;
  readonly line: PlayerLine;
}

const maxPayloadBytes = 65_533;

/** A player in the game. */
export class JoinedPlayer implements Player {
  readonly name: string;
  readonly number: number;
  /** The use of the ticket by which it joined. */
  readonly seat: SeatRef;
  readonly moveBudget: MoveBudget;
  readonly lane: HookLane;
  position: Placement;
  connected = true;
  readonly #line: PlayerLine;

  constructor(options: JoinedPlayerOptions) {
    this.seat = options.seat;
    this.name = options.name;
    this.number = options.number;
    this.position = options.position;
    this.moveBudget = options.moveBudget;
    this.lane = options.lane;
    this.#line = options.line;
  }

  get id(): string {
    return this.seat.playerId;
  }

  send(command: number, payload: Uint8Array = new Uint8Array(0)): boolean {
    const frame = encodeGameMessage(command, payload);
    return this.sendFrame(frame);
  }

  /** Sends a frame that is encoded already; it may be shared with others. */
  sendFrame(frame: Uint8Array): boolean {
    if (!this.connected) return false;
    this.#line.send(frame);
    return true;
  }

  close(code: CloseCode = "NORMAL"): void {
    if (this.connected) this.#line.close(code);
  }
}

/**
 * A MESSAGE frame.
 *
 * @throws RangeError for a command that is not a byte, or a payload over 65,533 bytes
 */
export function encodeGameMessage(command: number, payload: Uint8Array): Uint8Array {
  if (!Number.isInteger(command) || command < 0 || command > 255) {
    throw new RangeError(`a command is a whole number from 0 to 255, not ${command}`);
  }
  if (payload.length > maxPayloadBytes) {
    throw new RangeError(`a payload has at most ${maxPayloadBytes} bytes, not ${payload.length}`);
  }
  return encodeMessage({ command, payload });
}
