import { type ByteReader, ByteWriter, encodeUtf8 } from "../bytes.ts";
import { KindTable } from "../entities/kind-table.ts";
import { type EntityKind, type FieldSpec, type FieldType, fieldTypes } from "../entities/wire.ts";
import { ProtocolError } from "../error.ts";
import { createFrame } from "../frame.ts";
import { messageTypes } from "../types.ts";

/** The kinds of entity that the game has: how ENTITIES are to be read. Spec: docs/PROTOCOL.md, section 5.11. */
export interface Kinds {
  readonly type: "kinds";
  readonly kinds: readonly EntityKind[];
}

/** @throws RangeError for kinds that the wire cannot carry; ProtocolError `FRAME_TOO_LARGE` */
export function encodeKinds({ kinds }: Omit<Kinds, "type">): Uint8Array<ArrayBuffer> {
  const body = encodeBody(new KindTable(kinds).kinds);
  return createFrame(messageTypes.kinds, body.length).raw(body).bytes;
}

function encodeBody(kinds: readonly EntityKind[]): Uint8Array {
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

/** [KINDS-1] */
export function decodeKinds(reader: ByteReader): Kinds {
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
    return { type: "kinds", kinds: new KindTable(kinds).kinds };
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
