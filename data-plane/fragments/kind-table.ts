import { ByteReader, ByteWriter, encodeUtf8 } from "../../protocol/bytes.ts";
import { ProtocolError } from "../../protocol/error.ts";
import {
  type EntityKind,
  fieldBytes,
  type FieldSpec,
  type FieldType,
  fieldTypes,
  maxFields,
  maxVarintBytes,
} from "./wire.ts";

/** Longest name of a kind or field, in bytes of UTF-8. */
const maxNameBytes = 64;

/** Most kinds of a game: their number is a byte. */
const maxKinds = 255;

/** Most bytes of a position that is written whole: step, x, y, z. */
const placeBytes = 4 + 3 * maxVarintBytes;

/** The kinds of a game, checked, and what encoder and decoder need to know of them. */
export class KindTable {
  readonly kinds: readonly EntityKind[];
  /** Most fields that any kind has. */
  readonly mostFields: number;
  /** Most bytes of an entity that enters a view, without its handle. */
  readonly maxEnterBytes: number;
  /** Most bytes of an update, without its handle. */
  readonly maxUpdateBytes: number;
  readonly #byId: readonly (EntityKind | undefined)[];

  /** @throws RangeError for kinds that the wire cannot carry */
  constructor(kinds: readonly EntityKind[]) {
    if (kinds.length > maxKinds) throw new RangeError(`${kinds.length} kinds of entity, over ${maxKinds}`);
    for (const kind of kinds) assertKind(kind);
    const byId = Array.from<EntityKind | undefined>({ length: 256 });
    for (const kind of kinds) {
      if (byId[kind.id] !== undefined) throw new RangeError(`two kinds of entity have the id ${kind.id}`);
      byId[kind.id] = kind;
    }
    const stateBytes = Math.max(0, ...kinds.map((kind) => kind.fields.reduce((sum, f) => sum + fieldBytes(f), 0)));
    this.kinds = kinds;
    this.#byId = byId;
    this.mostFields = Math.max(0, ...kinds.map((kind) => kind.fields.length));
    this.maxEnterBytes = maxVarintBytes + 1 + placeBytes + stateBytes;
    this.maxUpdateBytes = 4 + placeBytes + stateBytes;
  }

  find(id: number): EntityKind | undefined {
    return this.#byId[id];
  }
}

/** The body of a KINDS frame: tells a client that does not have the game's kinds how to read ENTITIES. */
export function encodeKinds({ kinds }: KindTable): Uint8Array<ArrayBuffer> {
  const rows = kinds.map((kind) => ({
    kind,
    name: encodeUtf8(kind.name),
    fields: kind.fields.map((field) => ({ field, name: encodeUtf8(field.name) })),
  }));
  let size = 1;
  for (const { name, fields } of rows) {
    size += 3 + name.length;
    for (const { field, name } of fields) size += 2 + name.length + (field.type === "bytes" ? 1 : 0);
  }
  const writer = new ByteWriter(size).u8(kinds.length);
  for (const { kind, name, fields } of rows) {
    writer.u8(kind.id).u8(name.length).raw(name).u8(fields.length);
    for (const { field, name } of fields) {
      writer.u8(fieldTypes[field.type]).u8(name.length).raw(name);
      if (field.type === "bytes") writer.u8(field.maxBytes);
    }
  }
  return writer.bytes;
}

/** Reads the body of a KINDS frame. @throws ProtocolError when it is malformed */
export function decodeKinds(body: Uint8Array): KindTable {
  const reader = new ByteReader(body);
  const kinds: EntityKind[] = [];
  for (let left = reader.u8(); left > 0; left--) {
    const id = reader.u8();
    const name = reader.str8();
    const fields: FieldSpec[] = [];
    for (let more = reader.u8(); more > 0; more--) fields.push(decodeField(reader));
    kinds.push({ id, name, fields });
  }
  reader.end();
  try {
    return new KindTable(kinds);
  } catch (error) {
    if (error instanceof RangeError) throw new ProtocolError("BAD_VALUE", error.message);
    throw error;
  }
}

function decodeField(reader: ByteReader): FieldSpec {
  const code = reader.u8();
  const name = reader.str8();
  for (const type of Object.keys(fieldTypes)) {
    if (!isFieldType(type) || fieldTypes[type] !== code) continue;
    return type === "bytes" ? { name, type, maxBytes: reader.u8() } : { name, type };
  }
  throw new ProtocolError("BAD_VALUE", `unknown type of field ${code}`);
}

function isFieldType(name: string): name is FieldType {
  return Object.hasOwn(fieldTypes, name);
}

function assertKind(kind: EntityKind): void {
  const place = `kind ${kind.id}`;
  if (!Number.isInteger(kind.id) || kind.id < 0 || kind.id > 255) {
    throw new RangeError(`${place}: expected an id from 0 to 255`);
  }
  assertName(place, kind.name);
  if (kind.fields.length > maxFields) throw new RangeError(`${place}: ${kind.fields.length} fields, over ${maxFields}`);
  const names = new Set<string>();
  for (const [index, field] of kind.fields.entries()) {
    assertName(`${place}, field ${index}`, field.name);
    if (names.has(field.name)) throw new RangeError(`${place}, field ${index}: a name that another field has`);
    names.add(field.name);
    if (field.type !== "bytes") continue;
    if (!Number.isInteger(field.maxBytes) || field.maxBytes < 1 || field.maxBytes > 255) {
      throw new RangeError(`${place}, field ${index}: expected maxBytes from 1 to 255`);
    }
  }
}

function assertName(place: string, name: string): void {
  const { length } = encodeUtf8(name);
  if (length < 1 || length > maxNameBytes) {
    throw new RangeError(`${place}: expected a name of 1 to ${maxNameBytes} bytes`);
  }
}
