import { type EntityStore, historyTicks } from "./entity-store.ts";
import { fieldTypes, maskBits, writeSigned, writeVarint } from "../../protocol/entities/wire.ts";
import type { Work } from "./work.ts";

/**
 * Encodes entities for the views of one tick, each only once for all viewers that have the same of it: whole for those
 * who see it enter, and as the changes since a tick for those who were last told at that tick.
 *
 * A result is an index into {@link offset} and {@link length}; its bytes stand in {@link bytes}, and (since they begin at
 * a multiple of four) in {@link words}, until {@link begin}.
 */
export class EntityEncoder {
  bytes: Uint8Array;
  words: Int32Array;
  readonly offset: Int32Array;
  readonly length: Int32Array;
  readonly #store: EntityStore;
  readonly #work: Work;
  /** Room that any result needs. */
  readonly #room: number;
  /** Tick of each result; row 0 is whole entities, row n is changes of n ticks, the last row is changes of more ticks. */
  readonly #madeAt: Uint32Array;
  /** The base tick of results in the last row. */
  readonly #oldBase: Uint32Array;
  readonly #codes: readonly Uint8Array[];
  #view: DataView;
  #tick = 0;
  #end = 0;

  constructor(store: EntityStore, work: Work) {
    this.#work = work;
    this.#store = store;
    this.#room = 8 + Math.max(store.kinds.maxEnterBytes, store.kinds.maxUpdateBytes);
    const rows = historyTicks + 1;
    this.#madeAt = new Uint32Array(rows * store.capacity);
    this.offset = new Int32Array(rows * store.capacity);
    this.length = new Int32Array(rows * store.capacity);
    this.#oldBase = new Uint32Array(store.capacity);
    this.#codes = Array.from({ length: 256 }, (_, id) =>
      Uint8Array.from(store.kinds.find(id)?.fields ?? [], ({ type }) => fieldTypes[type]),
    );
    const buffer = new ArrayBuffer(4 * Math.ceil((this.#room + 64 * store.capacity) / 4));
    this.bytes = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
    this.#view = new DataView(buffer);
  }

  /** Starts the views of a committed tick; results of the tick before are void. */
  begin(tick: number): void {
    if (this.#tick === tick) return;
    this.#tick = tick;
    this.#end = 0;
  }

  /** The whole entity: number, kind, position, fields. */
  whole(slot: number): number {
    if (this.#madeAt[slot] === this.#tick) return slot;
    const start = this.#start();
    const store = this.#store;
    const kind = store.kindId[slot] ?? 0;
    let at = writeVarint(this.bytes, start, store.number[slot] ?? 0);
    this.bytes[at++] = kind;
    at = this.#writePlace(slot, at);
    const fields = this.#codes[kind]?.length ?? 0;
    for (let field = 0; field < fields; field++) at = this.#writeField(slot, kind, field, at);
    return this.#finish(slot, start, at);
  }

  /** What changed after tick `base`: mask and fields. Something did. */
  since(slot: number, base: number): number {
    const store = this.#store;
    const age = this.#tick - base;
    const row = age < historyTicks ? age : historyTicks;
    const result = row * store.capacity + slot;
    if (this.#madeAt[result] === this.#tick && (row < historyTicks || this.#oldBase[slot] === base)) return result;
    if (row === historyTicks) this.#oldBase[slot] = base;
    return this.#encodeSince(slot, base, result);
  }

  #encodeSince(slot: number, base: number, result: number): number {
    const store = this.#store;
    const start = this.#start();
    const kind = store.kindId[slot] ?? 0;
    const ticks = store.fieldTicks;
    const row = slot * store.stride;
    const columns = maskBits.firstField + (this.#codes[kind]?.length ?? 0);
    let mask = 0;
    for (let column = 0; column < columns; column++) {
      if ((ticks[row + column] ?? 0) > base) mask |= 1 << column;
    }
    const moved = (mask & (maskBits.plane | maskBits.height)) !== 0;
    if ((mask & maskBits.place) !== 0 || (moved && this.#tick - base >= historyTicks)) {
      mask = (mask & ~(maskBits.plane | maskBits.height)) | maskBits.place;
    }
    let at = writeVarint(this.bytes, start, mask);
    if ((mask & maskBits.place) !== 0) at = this.#writePlace(slot, at);
    else if (moved) at = this.#writeMove(slot, base, mask, at);
    for (let field = 0; field < columns - maskBits.firstField; field++) {
      if ((mask & (1 << (maskBits.firstField + field))) !== 0) at = this.#writeField(slot, kind, field, at);
    }
    return this.#finish(result, start, at);
  }

  #writePlace(slot: number, offset: number): number {
    const { history, capacity, step } = this.#store;
    const now = (this.#tick % historyTicks) * 3 * capacity + slot;
    this.#view.setFloat32(offset, step[slot] ?? 1, true);
    let at = writeSigned(this.bytes, offset + 4, history[now] ?? 0);
    at = writeSigned(this.bytes, at, history[now + capacity] ?? 0);
    return writeSigned(this.bytes, at, history[now + 2 * capacity] ?? 0);
  }

  #writeMove(slot: number, base: number, mask: number, offset: number): number {
    const { history, capacity } = this.#store;
    const now = (this.#tick % historyTicks) * 3 * capacity + slot;
    const then = (base % historyTicks) * 3 * capacity + slot;
    let at = offset;
    if ((mask & maskBits.plane) !== 0) {
      at = writeSigned(this.bytes, at, (history[now] ?? 0) - (history[then] ?? 0));
      at = writeSigned(this.bytes, at, (history[now + 2 * capacity] ?? 0) - (history[then + 2 * capacity] ?? 0));
    }
    if ((mask & maskBits.height) !== 0) {
      at = writeSigned(this.bytes, at, (history[now + capacity] ?? 0) - (history[then + capacity] ?? 0));
    }
    return at;
  }

  #writeField(slot: number, kind: number, field: number, offset: number): number {
    const { bytes } = this;
    const store = this.#store;
    const code = this.#codes[kind]?.[field] ?? 0;
    if (code === fieldTypes.bytes) {
      const value = store.getBytes(slot, field);
      bytes[offset] = value.length;
      bytes.set(value, offset + 1);
      return offset + 1 + value.length;
    }
    const value = store.get(slot, field);
    switch (code) {
      case fieldTypes.u8:
        bytes[offset] = value;
        return offset + 1;
      case fieldTypes.u16:
      case fieldTypes.i16:
      case fieldTypes.angle:
        bytes[offset] = value;
        bytes[offset + 1] = value >> 8;
        return offset + 2;
      case fieldTypes.u32:
        this.#view.setUint32(offset, value, true);
        return offset + 4;
      case fieldTypes.f32:
        this.#view.setFloat32(offset, value, true);
        return offset + 4;
      default:
        return writeVarint(bytes, offset, value);
    }
  }

  #start(): number {
    if (this.#end + this.#room > this.bytes.length) {
      const grown = new Uint8Array(new ArrayBuffer(2 * this.bytes.length));
      grown.set(this.bytes);
      this.bytes = grown;
      this.words = new Int32Array(grown.buffer);
      this.#view = new DataView(grown.buffer);
    }
    return this.#end;
  }

  #finish(result: number, start: number, end: number): number {
    this.offset[result] = start;
    this.length[result] = end - start;
    this.#madeAt[result] = this.#tick;
    this.#end = (end + 3) & ~3;
    this.#work.encoded++;
    return result;
  }
}
