import type { ByteReader } from "../bytes.ts";
import { ProtocolError } from "../error.ts";

/**
 * What the ENTITIES and KINDS frames are made of. Spec: docs/PROTOCOL.md, section 5.11. Cluster and client share it: it imports
 * nothing but the protocol's byte reader.
 */
export const fieldTypes = {
  u8: 1,
  u16: 2,
  u32: 3,
  i16: 4,
  f32: 5,
  /** 65,536 to a full turn; a client interpolates it the short way round. */
  angle: 6,
  /** Up to 32 bits, as a varint: low bits are cheap. */
  flags: 7,
  /** At most `maxBytes` bytes. */
  bytes: 8,
} as const;

export type FieldType = keyof typeof fieldTypes;

/** A field that holds a number. */
export type NumberType = Exclude<FieldType, "bytes">;

/** One typed field of a kind of entity. */
export type FieldSpec =
  | { readonly name: string; readonly type: NumberType }
  | { readonly name: string; readonly type: "bytes"; readonly maxBytes: number };

/** A kind of entity: what its state is made of, besides its position. */
export interface EntityKind {
  /** 0 to 255; names the kind on the wire. */
  readonly id: number;
  /** 1 to 64 bytes of UTF-8. */
  readonly name: string;
  /** At most {@link maxFields}; their order is that of the wire. */
  readonly fields: readonly FieldSpec[];
}

/** Most fields of a kind: with the position's bits they fit a mask of four bytes. */
export const maxFields = 24;

/** Bits of an update's mask. Field `n` of the kind has bit `1 << (firstField + n)`. */
export const maskBits = {
  /** x and z, as two differences. */
  plane: 1,
  /** y, as a difference. */
  height: 2,
  /** The whole position, with its step. */
  place: 4,
  firstField: 3,
} as const;

/** Greatest quantised coordinate, either way: differences of two still fit 32 bits. */
export const maxSteps = 2 ** 30 - 1;

/** Most bytes of a varint of 32 bits. */
export const maxVarintBytes = 5;

/** Most bytes of a field, with its length. */
export function fieldBytes(field: FieldSpec): number {
  switch (field.type) {
    case "u8":
      return 1;
    case "u16":
    case "i16":
    case "angle":
      return 2;
    case "u32":
    case "f32":
      return 4;
    case "flags":
      return maxVarintBytes;
    case "bytes":
      return 1 + field.maxBytes;
  }
}

/** Bytes that {@link readVarint} takes for `value`, an integer from 0 to 2^32 − 1. */
export function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : value < 0x1000_0000 ? 4 : 5;
}

/** Writes an unsigned varint (LEB128) at `offset` and returns the offset behind it. The caller has made room. */
export function writeVarint(bytes: Uint8Array, offset: number, value: number): number {
  let rest = value;
  let at = offset;
  while (rest > 0x7f) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[at] = rest;
  return at + 1;
}

/** Writes a signed varint: zigzag, so that small differences either way are short. `value` is a 32-bit integer. */
export function writeSigned(bytes: Uint8Array, offset: number, value: number): number {
  return writeVarint(bytes, offset, ((value << 1) ^ (value >> 31)) >>> 0);
}

/** Reads an unsigned varint of at most 32 bits. @throws ProtocolError `TRUNCATED`; `BAD_VALUE` if too long or padded. */
export function readVarint(reader: ByteReader): number {
  let value = 0;
  let scale = 1;
  for (let index = 0; index < maxVarintBytes; index++) {
    const byte = reader.u8();
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) {
      if (value > 0xffff_ffff || (byte === 0 && index > 0)) break;
      return value;
    }
    scale *= 0x80;
  }
  throw new ProtocolError("BAD_VALUE", "a varint that is longer than its number needs, or over 32 bits");
}

/** Reads a signed varint. Throws as {@link readVarint}. */
export function readSigned(reader: ByteReader): number {
  const value = readVarint(reader);
  return (value >>> 1) ^ -(value & 1);
}
