import type { ByteReader } from "../bytes.ts";
import { createFrame } from "../frame.ts";
import { messageTypes } from "../types.ts";

interface Placement {
  /** Counts the client's MOVEs, modulo 65,536. */
  readonly sequence: number;
  readonly x: number;
  readonly y: number;
  readonly z: number;
  /** 65,536 to a full turn. */
  readonly heading: number;
}

/** The client asks to stand somewhere. Spec: docs/PROTOCOL.md, section 5.7. */
export interface Move extends Placement {
  readonly type: "move";
}

/** The cluster refuses a MOVE and says what holds instead. [MOVE-2] */
export interface Position extends Placement {
  readonly type: "position";
}

export function encodeMove(move: Omit<Move, "type">): Uint8Array<ArrayBuffer> {
  return encodePlacement(messageTypes.move, move);
}

export function encodePosition(position: Omit<Position, "type">): Uint8Array<ArrayBuffer> {
  return encodePlacement(messageTypes.position, position);
}

export function decodeMove(reader: ByteReader): Move {
  return decodePlacement("move", reader);
}

export function decodePosition(reader: ByteReader): Position {
  return decodePlacement("position", reader);
}

function encodePlacement(type: number, placement: Placement): Uint8Array<ArrayBuffer> {
  return createFrame(type, 16)
    .u16(placement.sequence)
    .f32(placement.x)
    .f32(placement.y)
    .f32(placement.z)
    .u16(placement.heading).bytes;
}

function decodePlacement<T extends string>(type: T, reader: ByteReader): Placement & { readonly type: T } {
  const placement = {
    type,
    sequence: reader.u16(),
    x: reader.f32(),
    y: reader.f32(),
    z: reader.f32(),
    heading: reader.u16(),
  };
  reader.end();
  return placement;
}
