import { frameHeaderBytes } from "../../protocol/index.ts";

/** What names a piece of latest-only state: a later one takes the place of an earlier. */
export type StateKey = string | number;

/** Frames from this size on stay where they are, and may be shared by many players. */
const largeBytes = 1_024;
/** A player's first slab, and what later ones grow to, unless what waits needs more. */
const firstSlabBytes = 512;
const maxSlabBytes = 4_096;
/** Up to this many keys, looking through them is faster than a table is. */
const keysToLookThrough = 16;

const noSlab = Buffer.alloc(0);

/**
 * The latest state of each key, in the order in which the keys came. Frames are written where they leave from, one behind the
 * other, and a later one of the same length over the earlier: no object for a frame, and nothing to be put together when they
 * go. What has been taken is not touched before something else is, or ever, as the taker says.
 */
export class StatePile {
  /** For each key that waits: where its frame begins in the slab, and its length. Behind these stand those of the last time. */
  #keys: StateKey[] = [];
  #starts: number[] = [];
  #lengths: number[] = [];
  #count = 0;
  /** The keys have come in the order of the last time so far: then the next is likely to do so, too. */
  #isAsBefore = true;
  /** Where each key stands; made when there are many and one comes out of order. */
  #places: Map<StateKey, number> | undefined;
  /** Frames that are not in the slab, by key; they begin at -1. */
  #large: Map<StateKey, Uint8Array> | undefined;
  #bytes = 0;
  #slab = noSlab;
  /** The part of the slab that holds what waits; whether there is anything else in it. */
  #start = 0;
  #end = 0;
  /** Where what has been taken begins, when that lies behind what waits; else the slab's end. */
  #limit = 0;
  #hasGaps = false;

  /** Keys that wait, and the bytes of their frames. */
  get size(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Writes a frame that has a command and a payload; they have been checked. */
  setMessage(key: StateKey, type: number, command: number, payload: Uint8Array): void {
    const byteLength = frameHeaderBytes + 2 + payload.length;
    if (byteLength >= largeBytes) {
      const frame = new Uint8Array(byteLength);
      writeMessage(frame, 0, type, command, payload);
      this.#setLarge(key, frame);
      return;
    }
    const at = this.#place(key, byteLength);
    writeMessage(this.#slab, at, type, command, payload);
  }

  /** Sets a frame with its length. A large one stays where it is, and must not change any more. */
  setFrame(key: StateKey, frame: Uint8Array): void {
    if (frame.length >= largeBytes) {
      this.#setLarge(key, frame);
      return;
    }
    const at = this.#place(key, frame.length);
    this.#slab.set(frame, at);
  }

  /** Takes over what another one holds, in place of what is here under the same keys. */
  takeOver(other: StatePile): void {
    for (let place = 0; place < other.#count; place += 1) {
      this.setFrame(other.#keys[place] ?? "", other.#frameAt(place));
    }
    other.#reset();
  }

  /**
   * All of it, as one, when it lies in one piece and is not more than this; else `undefined`.
   *
   * @param isRestWritten whether all that was taken before has been written: then its place is used again
   */
  takeAtOnce(maxBytes: number, isRestWritten: boolean): Uint8Array | undefined {
    if (this.#hasGaps || this.#large !== undefined || this.#bytes > maxBytes || this.#count === 0) return undefined;
    const start = this.#start;
    const end = this.#end;
    const bytes = this.#slab.subarray(start, end);
    this.#reset();
    if (!isRestWritten) return bytes;
    this.#limit = this.#slab.length;
    // As much again would not fit behind it.
    if (start >= end - start && this.#limit - end < end - start) {
      this.#limit = start;
      this.#start = 0;
      this.#end = 0;
    }
    return bytes;
  }

  /** Hands on frames in order, for as long as `take` says that they fit. */
  takeWhile(take: (bytes: Uint8Array) => boolean): void {
    let count = 0;
    while (count < this.#count && take(this.#frameAt(count))) count += 1;
    if (count === this.#count) this.#reset();
    else if (count > 0) this.#drop(count);
  }

  /** Forgets everything. */
  clear(): void {
    this.#reset();
    this.#slab = noSlab;
    this.#start = 0;
    this.#end = 0;
    this.#limit = 0;
  }

  #frameAt(place: number): Uint8Array {
    const start = this.#starts[place] ?? 0;
    const large = start < 0 ? this.#large?.get(this.#keys[place] ?? "") : undefined;
    return large ?? this.#slab.subarray(start, start + (this.#lengths[place] ?? 0));
  }

  #setLarge(key: StateKey, frame: Uint8Array): void {
    const place = this.#find(key);
    if (place < 0) this.#append(key, -1, frame.length);
    else this.#replace(place, -1, frame.length);
    this.#large ??= new Map();
    this.#large.set(key, frame);
  }

  /** Room in the slab for the frame of a key: where it begins. */
  #place(key: StateKey, byteLength: number): number {
    const place = this.#find(key);
    if (place >= 0 && this.#lengths[place] === byteLength) {
      const start = this.#starts[place] ?? 0;
      if (start >= 0) return start;
    }
    if (this.#limit - this.#end < byteLength) this.#renew(byteLength);
    const at = this.#end;
    this.#end = at + byteLength;
    if (place < 0) this.#append(key, at, byteLength);
    else this.#replace(place, at, byteLength);
    return at;
  }

  /** Where a key stands; below 0 when it does not wait. */
  #find(key: StateKey): number {
    const count = this.#count;
    if (this.#isAsBefore && this.#keys[count] === key) return -1;
    if (count > keysToLookThrough) {
      this.#places ??= new Map(this.#keys.slice(0, count).map((one, place) => [one, place]));
      return this.#places.get(key) ?? -1;
    }
    for (let place = 0; place < count; place += 1) if (this.#keys[place] === key) return place;
    return -1;
  }

  #append(key: StateKey, start: number, length: number): void {
    const place = this.#count;
    if (this.#keys[place] !== key) {
      this.#isAsBefore = false;
      this.#keys[place] = key;
    }
    this.#starts[place] = start;
    this.#lengths[place] = length;
    this.#places?.set(key, place);
    this.#count = place + 1;
    this.#bytes += length;
  }

  /** What was there before stays behind as a gap, until the slab is renewed. */
  #replace(place: number, start: number, length: number): void {
    if ((this.#starts[place] ?? 0) < 0) this.#large?.delete(this.#keys[place] ?? "");
    if (this.#large?.size === 0) this.#large = undefined;
    this.#bytes += length - (this.#lengths[place] ?? 0);
    this.#starts[place] = start;
    this.#lengths[place] = length;
    this.#hasGaps = true;
  }

  /** Goes on in another slab, with room for twice what waits: so gaps cannot grow past what they stand between. */
  #renew(byteLength: number): void {
    const grown = Math.min(maxSlabBytes, Math.max(firstSlabBytes, this.#slab.length * 2));
    // Not from Node's own pool: there one slow player would keep what others wrote.
    const slab = Buffer.allocUnsafeSlow(Math.max(grown, (this.#smallBytes() + byteLength) * 2));
    let end = 0;
    for (let place = 0; place < this.#count; place += 1) {
      if ((this.#starts[place] ?? 0) < 0) continue;
      slab.set(this.#frameAt(place), end);
      this.#starts[place] = end;
      end += this.#lengths[place] ?? 0;
    }
    this.#slab = slab;
    this.#start = 0;
    this.#end = end;
    this.#limit = slab.length;
    this.#hasGaps = false;
  }

  #smallBytes(): number {
    let bytes = this.#bytes;
    for (const { length } of this.#large?.values() ?? []) bytes -= length;
    return bytes;
  }

  /** The first ones have gone. */
  #drop(count: number): void {
    const left = this.#count - count;
    for (let place = 0; place < count; place += 1) {
      this.#large?.delete(this.#keys[place] ?? "");
      this.#bytes -= this.#lengths[place] ?? 0;
    }
    this.#keys = this.#keys.slice(count, this.#count);
    this.#starts = this.#starts.slice(count, this.#count);
    this.#lengths = this.#lengths.slice(count, this.#count);
    this.#count = left;
    this.#isAsBefore = false;
    this.#places = undefined;
    this.#hasGaps = true;
  }

  #reset(): void {
    // No key stands twice among those of the last time; and many are not kept for a few.
    if (!this.#isAsBefore || this.#keys.length > keysToLookThrough) this.#keys.length = this.#count;
    this.#count = 0;
    this.#isAsBefore = true;
    this.#places = undefined;
    this.#large = undefined;
    this.#bytes = 0;
    this.#start = this.#end;
    this.#hasGaps = false;
  }
}

function writeMessage(target: Uint8Array, at: number, type: number, command: number, payload: Uint8Array): void {
  const length = 2 + payload.length;
  target[at] = length;
  target[at + 1] = length >>> 8;
  target[at + 2] = type;
  target[at + 3] = command;
  target.set(payload, at + 4);
}
