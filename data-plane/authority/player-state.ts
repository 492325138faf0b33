import { ByteReader, ByteWriter, encodeUtf8 } from "../../protocol/bytes.ts";
import { ProtocolError } from "../../protocol/error.ts";
import { placementBytes, stateVersion } from "../../protocol/handover/state-head.ts";
import type { FieldValues } from "../plugin/entities.ts";
import type { Placement } from "../plugin/player.ts";

/**
 * What a cluster keeps of a player at the master, and gives to the next cluster: the state of a save and of a handover's snapshot. Nobody but
 * clusters reads it, save for the fragment, which the master looks up; but theirs may be of another version, and it may have been changed on its way: it is read as strictly as what a
 * stranger sends.
 *
 * | field | type |
 * | --- | --- |
 * | version | `u8`, 1 |
 * | placement | x, y, z as `f64`, heading as `u16` |
 * | fragment | `str8` |
 * | values | `u8` count; each: name `str8`, then `u8` 0 and an `f64`, or `u8` 1, `u8` length, and bytes |
 * | saved | `u32`: 0 for none, else the length plus 1; bytes |
 * | carried | `u16` length, bytes |
 * | parts | `u8` count; each: name `str8`, `u32` length, bytes |
 *
 * No name comes twice, and nothing follows.
 */
export interface PlayerState {
  readonly placement: Placement;
  /** The fragment that it was in; may be empty. */
  readonly fragment: string;
  /** State of its entity, without what every player's has. */
  readonly values: FieldValues;
  /** What the game has saved; `undefined` when it never has. At most {@link maxSavedBytes}. */
  readonly saved: Uint8Array | undefined;
  /** What else the cluster itself needs in a handover, in a form of its own; empty in a save. At most 4,096 bytes. */
  readonly carried: Uint8Array;
  /** What each plugin gives along in a handover, by the plugin's name; empty in a save. */
  readonly parts: ReadonlyMap<string, Uint8Array>;
}

/** Longest state: the master takes 96 KiB of base64. */
export const maxStateBytes = 73_728;
/** Most that a game can save of a player. With it there is always room for the rest of a save. */
export const maxSavedBytes = 49_152;
const maxCarriedBytes = 4_096;
const maxValues = 24;
const maxParts = 64;
const maxNameBytes = 255;

/** Why a state is none, or cannot be made. */
export type PlayerStateErrorCode =
  /** Written by a later version of the cluster. */
  | "STATE_VERSION"
  /** Cut off, too long, or not well formed. */
  | "STATE_MALFORMED"
  /** Over {@link maxStateBytes}, or too many or too long parts. */
  | "STATE_TOO_LARGE";

export class PlayerStateError extends Error {
  readonly code: PlayerStateErrorCode;

  constructor(code: PlayerStateErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "PlayerStateError";
    this.code = code;
  }
}

/** @throws PlayerStateError `STATE_TOO_LARGE`; RangeError for a placement that is none */
export function encodePlayerState({ placement, fragment, values, saved, carried, parts }: PlayerState): Uint8Array {
  const entries = Object.entries(values).map(([name, value]) => ({ name: encodeName(name), value }));
  const pieces = Array.from(parts, ([name, bytes]) => ({ name: encodeName(name), bytes }));
  if (entries.length > maxValues) throw tooLarge(`${entries.length} entity values, over ${maxValues}`);
  if (pieces.length > maxParts) throw tooLarge(`${pieces.length} parts, over ${maxParts}`);
  if (saved !== undefined && saved.length > maxSavedBytes) {
    throw tooLarge(`${saved.length} bytes saved, over ${maxSavedBytes}`);
  }
  if (carried.length > maxCarriedBytes) throw tooLarge(`${carried.length} bytes carried, over ${maxCarriedBytes}`);
  const place = encodeName(fragment);
  const length =
    1 +
    placementBytes +
    (1 + place.length) +
    (1 + entries.reduce((sum, { name, value }) => sum + 2 + name.length + valueLength(value), 0)) +
    (4 + (saved?.length ?? 0)) +
    (2 + carried.length) +
    (1 + pieces.reduce((sum, { name, bytes }) => sum + 5 + name.length + bytes.length, 0));
  if (length > maxStateBytes) throw tooLarge(`${length} bytes in all, over ${maxStateBytes}`);
  const writer = new ByteWriter(length).u8(stateVersion);
  const { x, y, z, heading } = placement;
  if (![x, y, z].every(Number.isFinite)) throw new RangeError("expected coordinates that are finite");
  writer.f64(x).f64(y).f64(z).u16(heading);
  writeName(writer, place).u8(entries.length);
  for (const { name, value } of entries) {
    writeName(writer, name);
    if (typeof value === "number") writer.u8(0).f64(value);
    else writer.u8(1).u8(value.length).raw(value);
  }
  writer.u32(saved === undefined ? 0 : saved.length + 1);
  if (saved !== undefined) writer.raw(saved);
  writer.u16(carried.length).raw(carried).u8(pieces.length);
  for (const { name, bytes } of pieces) writeName(writer, name).u32(bytes.length).raw(bytes);
  return writer.bytes;
}

/**
 * Reads a state; what is returned shares no memory with `bytes`.
 *
 * @throws PlayerStateError
 */
export function decodePlayerState(bytes: Uint8Array): PlayerState {
  if (bytes.length > maxStateBytes) throw tooLarge(`${bytes.length} bytes, over ${maxStateBytes}`);
  try {
    return read(new ByteReader(bytes));
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause;
    throw new PlayerStateError("STATE_MALFORMED", `a player's state is malformed: ${cause.message}`, { cause });
  }
}

function read(reader: ByteReader): PlayerState {
  const given = reader.u8();
  if (given !== stateVersion) {
    const text = `a player's state is of version ${given}, and this cluster reads version ${stateVersion}: update it`;
    throw new PlayerStateError("STATE_VERSION", text);
  }
  const placement = { x: readPlace(reader), y: readPlace(reader), z: readPlace(reader), heading: reader.u16() };
  const fragment = reader.str8();
  const values = new Map<string, number | Uint8Array>();
  for (let left = atMost(reader.u8(), maxValues, "entity values"); left > 0; left -= 1) {
    addTo(values, reader.str8(), readValue(reader));
  }
  const savedLength = atMost(reader.u32(), maxSavedBytes + 1, "bytes saved");
  const saved = savedLength === 0 ? undefined : copyOf(reader.bytes(savedLength - 1));
  const carried = copyOf(reader.bytes(atMost(reader.u16(), maxCarriedBytes, "bytes carried")));
  const parts = new Map<string, Uint8Array>();
  for (let left = atMost(reader.u8(), maxParts, "parts"); left > 0; left -= 1) {
    addTo(parts, reader.str8(), copyOf(reader.bytes(reader.u32())));
  }
  reader.end();
  return { placement, fragment, values: Object.fromEntries(values), saved, carried, parts };
}

/** A coordinate, which clients are told as an `f32`. */
function readPlace(reader: ByteReader): number {
  const value = reader.f64();
  if (!Number.isFinite(Math.fround(value))) throw new ProtocolError("BAD_NUMBER", "a place that no client can be told");
  return value;
}

function readValue(reader: ByteReader): number | Uint8Array {
  const kind = reader.u8();
  if (kind === 0) return reader.f64();
  if (kind === 1) return copyOf(reader.bytes(reader.u8()));
  throw new ProtocolError("BAD_VALUE", `${kind} is no kind of value`);
}

/** Not `slice`, which of a Buffer copies nothing. */
function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

function addTo<T>(map: Map<string, T>, name: string, value: T): void {
  // Not `__proto__`: it would be no property of the object that is made of them.
  if (map.has(name) || name === "__proto__") throw new ProtocolError("BAD_VALUE", "a name comes twice, or is none");
  map.set(name, value);
}

function atMost(count: number, most: number, what: string): number {
  if (count > most) throw new ProtocolError("BAD_VALUE", `${count} ${what}, over ${most}`);
  return count;
}

function encodeName(name: string): Uint8Array {
  const bytes = encodeUtf8(name, name.length * 3);
  if (bytes.length > maxNameBytes) throw tooLarge(`a name of ${bytes.length} bytes, over ${maxNameBytes}`);
  return bytes;
}

function writeName(writer: ByteWriter, name: Uint8Array): ByteWriter {
  return writer.u8(name.length).raw(name);
}

function valueLength(value: number | Uint8Array): number {
  return typeof value === "number" ? 8 : 1 + value.length;
}

function tooLarge(what: string): PlayerStateError {
  return new PlayerStateError("STATE_TOO_LARGE", `a player's state is too large: ${what}`);
}
