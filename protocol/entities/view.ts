import { ByteReader } from "../bytes.ts";
import { ProtocolError } from "../error.ts";
import type { Entities } from "../messages/entities.ts";
import type { KindTable } from "./kind-table.ts";
import { type EntityKind, type FieldSpec, maskBits, maxSteps, readSigned, readVarint } from "./wire.ts";

/** Most entities in a view: a cluster's `max_visible` is at most this. */
export const maxHandles = 1_000;

/** An entity as a client knows it. */
export interface SeenEntity {
  /** Names it within its cluster, for as long as it lives. */
  readonly number: number;
  readonly kind: EntityKind;
  readonly x: number;
  readonly y: number;
  readonly z: number;
  /** In the order of `kind.fields`: a number, or bytes. */
  readonly values: readonly (number | Uint8Array)[];
  /** The tick of which this is the state. */
  readonly tick: number;
}

/** What a frame did to a view, in the order of the frame. */
export interface ViewListener {
  readonly onEnter?: (entity: SeenEntity) => void;
  /** `changed` has the bits of {@link maskBits}. */
  readonly onUpdate?: (entity: SeenEntity, changed: number) => void;
  readonly onLeave?: (entity: SeenEntity) => void;
}

interface Entry {
  number: number;
  kind: EntityKind;
  x: number;
  y: number;
  z: number;
  values: (number | Uint8Array)[];
  tick: number;
  step: number;
  stepsX: number;
  stepsY: number;
  stepsZ: number;
}

/** A client's side of ENTITIES: rebuilds, frame by frame, what its cluster shows it. Spec: docs/PROTOCOL.md, section 5.11. */
export class EntityView {
  /** Tick of the last frame; 0 before the first. */
  tick = 0;
  readonly #kinds: KindTable;
  readonly #byHandle: (Entry | undefined)[] = [];
  readonly #byNumber = new Map<number, Entry>();

  constructor(kinds: KindTable) {
    this.#kinds = kinds;
  }

  get size(): number {
    return this.#byNumber.size;
  }

  find(number: number): SeenEntity | undefined {
    return this.#byNumber.get(number);
  }

  entities(): IterableIterator<SeenEntity> {
    return this.#byNumber.values();
  }

  /**
   * Applies an ENTITIES frame. Entities given to the listener are live: copy what is to be kept.
   *
   * @throws ProtocolError when it is malformed; the view is of no use after that
   */
  apply({ tick, changes }: Pick<Entities, "tick" | "changes">, listener: ViewListener = {}): void {
    const reader = new ByteReader(changes);
    this.tick = tick;
    for (let left = readVarint(reader); left > 0; left--) this.#leave(reader, listener);
    for (let left = readVarint(reader); left > 0; left--) this.#enter(reader, listener);
    while (reader.remaining > 0) this.#update(reader, listener);
  }

  #leave(reader: ByteReader, listener: ViewListener): void {
    const handle = readVarint(reader);
    const entry = this.#entry(handle);
    this.#byHandle[handle] = undefined;
    this.#byNumber.delete(entry.number);
    listener.onLeave?.(entry);
  }

  #enter(reader: ByteReader, listener: ViewListener): void {
    const handle = readVarint(reader);
    if (handle >= maxHandles || this.#byHandle[handle] !== undefined) bad(`handle ${handle} cannot be taken`);
    const number = readVarint(reader);
    if (number === 0 || this.#byNumber.has(number)) bad(`entity ${number} cannot enter`);
    const kind = this.#kinds.find(reader.u8());
    if (kind === undefined) bad("an entity of a kind that was not told");
    const entry: Entry = {
      number,
      kind,
      x: 0,
      y: 0,
      z: 0,
      values: [],
      tick: this.tick,
      step: 1,
      stepsX: 0,
      stepsY: 0,
      stepsZ: 0,
    };
    readPlace(reader, entry);
    for (const field of kind.fields) entry.values.push(readField(reader, field));
    this.#byHandle[handle] = entry;
    this.#byNumber.set(number, entry);
    listener.onEnter?.(entry);
  }

  #update(reader: ByteReader, listener: ViewListener): void {
    const entry = this.#entry(readVarint(reader));
    const mask = readVarint(reader);
    const moved = mask & (maskBits.plane | maskBits.height);
    const { fields } = entry.kind;
    if (mask === 0 || mask >= 2 ** (maskBits.firstField + fields.length)) bad("a mask with bits of no field, or none");
    if ((mask & maskBits.place) !== 0) {
      if (moved !== 0) bad("a position both whole and as a difference");
      readPlace(reader, entry);
    } else if (moved !== 0) {
      readMove(reader, entry, mask);
    }
    for (const [index, field] of fields.entries()) {
      if ((mask & (1 << (maskBits.firstField + index))) !== 0) entry.values[index] = readField(reader, field);
    }
    entry.tick = this.tick;
    listener.onUpdate?.(entry, mask);
  }

  #entry(handle: number): Entry {
    return this.#byHandle[handle] ?? bad(`handle ${handle} stands for nothing`);
  }
}

function readPlace(reader: ByteReader, entry: Entry): void {
  entry.step = reader.f32();
  if (entry.step <= 0) bad("a step that is not above 0");
  entry.stepsX = readSigned(reader);
  entry.stepsY = readSigned(reader);
  entry.stepsZ = readSigned(reader);
  locate(entry);
}

function readMove(reader: ByteReader, entry: Entry, mask: number): void {
  if ((mask & maskBits.plane) !== 0) {
    entry.stepsX += readSigned(reader);
    entry.stepsZ += readSigned(reader);
  }
  if ((mask & maskBits.height) !== 0) entry.stepsY += readSigned(reader);
  locate(entry);
}

function locate(entry: Entry): void {
  const { stepsX, stepsY, stepsZ, step } = entry;
  if (Math.max(Math.abs(stepsX), Math.abs(stepsY), Math.abs(stepsZ)) > maxSteps) bad("a position out of range");
  entry.x = stepsX * step;
  entry.y = stepsY * step;
  entry.z = stepsZ * step;
}

function readField(reader: ByteReader, field: FieldSpec): number | Uint8Array {
  switch (field.type) {
    case "u8":
      return reader.u8();
    case "u16":
    case "angle":
      return reader.u16();
    case "i16":
      return (reader.u16() << 16) >> 16;
    case "u32":
      return reader.u32();
    case "f32":
      return reader.f32();
    case "flags":
      return readVarint(reader);
    case "bytes": {
      const length = reader.u8();
      if (length > field.maxBytes) bad(`${length} bytes in a field of at most ${field.maxBytes}`);
      return Uint8Array.from(reader.bytes(length));
    }
  }
}

function bad(message: string): never {
  throw new ProtocolError("BAD_VALUE", message);
}
