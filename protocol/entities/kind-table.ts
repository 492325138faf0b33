import { encodeUtf8 } from "../bytes.ts";
import { type EntityKind, fieldBytes, maxFields, maxVarintBytes } from "./wire.ts";

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
