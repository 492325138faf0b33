import { FramePile, type PieceTaker } from "./frame-pile.ts";

/**
 * Where a frame stands in line: `control` before everything, then what is sent `again` after a resume, `reliable` messages,
 * the latest `state`, and `bulk` last. Spec: docs/PROTOCOL.md, section 5.8.
 */
export type SendLane = "control" | "again" | "reliable" | "bulk";

/** What names a piece of latest-only state: a later one takes the place of an earlier. */
export type StateKey = string | number;

type States = Map<StateKey, Uint8Array>;

const noBytes = new Uint8Array(0);

/**
 * The frames that wait for one player, by priority. Nothing is dropped from a lane; of state only the latest of each key is
 * kept, and it waits for {@link releaseStates}.
 */
export class SendQueue {
  #control: Uint8Array[] = [];
  #again: Uint8Array[] = [];
  readonly #reliable = new FramePile();
  /** The others are made when they are needed: most players never have them. */
  #bulk: FramePile | undefined;
  /** State of this tick, and state that a tick has released. */
  #nextStates: States | undefined;
  #states: States | undefined;
  /** Of control frames and state. */
  #looseBytes = 0;

  /** Bytes that wait, without those that are sent again: these have been counted once. */
  get bytes(): number {
    return this.#looseBytes + this.#reliable.bytes + (this.#bulk?.bytes ?? 0);
  }

  /** Frames that wait, without those that are sent again. */
  get frames(): number {
    const states = (this.#states?.size ?? 0) + (this.#nextStates?.size ?? 0);
    return this.#control.length + this.#reliable.frames + (this.#bulk?.frames ?? 0) + states;
  }

  /** Whether there is something to write now. */
  get isReady(): boolean {
    return this.#reliable.frames > 0 || !this.#onlyReliable;
  }

  push(lane: SendLane, frame: Uint8Array): void {
    switch (lane) {
      case "control":
        this.#looseBytes += frame.length;
        this.#control.push(frame);
        break;
      case "again":
        this.#again.push(frame);
        break;
      case "reliable":
        this.#reliable.push(frame);
        break;
      case "bulk":
        this.#bulk ??= new FramePile();
        this.#bulk.push(frame);
        break;
    }
  }

  /** A MESSAGE in the reliable lane, written in place; command and payload have been checked. */
  pushMessage(command: number, payload: Uint8Array): void {
    this.#reliable.message(command, payload);
  }

  /** Before everything that waits. */
  unshift(frame: Uint8Array): void {
    this.#control.unshift(frame);
    this.#looseBytes += frame.length;
  }

  /** Takes the place of what the same key had and is not on its way yet. */
  setState(key: StateKey, frame: Uint8Array): void {
    this.#nextStates ??= new Map();
    this.#looseBytes += frame.length - (this.#nextStates.get(key)?.length ?? 0);
    this.#nextStates.set(key, frame);
  }

  /** A tick is over: its state may go. Whether there is any. */
  releaseStates(): boolean {
    if (this.#nextStates === undefined) return false;
    this.#states ??= new Map();
    if (this.#states.size === 0) {
      [this.#states, this.#nextStates] = [this.#nextStates, this.#states];
    } else if (this.#nextStates.size > 0) {
      for (const [key, frame] of this.#nextStates) {
        this.#looseBytes -= this.#states.get(key)?.length ?? 0;
        this.#states.set(key, frame);
      }
      this.#nextStates.clear();
    }
    return this.#states.size > 0;
  }

  /**
   * The next bytes to write: whole frames, in order of priority, up to so many bytes; at least one frame, if any waits. They
   * must not be changed.
   *
   * @param onFirst told of what goes out for the first time and may have to be sent again: reliable and bulk frames, in the
   *   order of the wire
   */
  take(maxBytes: number, onFirst: PieceTaker): Uint8Array {
    // What nearly every write is: messages of the game alone, which lie ready.
    const ready = this.#onlyReliable ? this.#reliable.takeAtOnce(maxBytes, onFirst) : undefined;
    if (ready !== undefined) return ready;
    const taken = new Batch(maxBytes);
    const take: PieceTaker = (bytes, frames) => {
      // What may have to be sent again, and is small, stays where it is for that; it is the write that is a copy.
      taken.add(bytes);
      onFirst(bytes, frames);
    };
    const fits = (byteLength: number): boolean => taken.fits(byteLength);
    this.#control = taken.from(this.#control);
    this.#looseBytes -= taken.bytes;
    this.#again = taken.from(this.#again);
    this.#reliable.takeWhile(fits, take);
    this.#takeStates(taken);
    this.#bulk?.takeWhile(fits, take);
    return taken.joined();
  }

  /**
   * Takes over what a connection that has gone left unsent. What was sent again is left to the caller, as are the words
   * that were about the connection itself.
   */
  adopt(older: SendQueue): void {
    this.#reliable.adopt(older.#reliable);
    if (older.#bulk !== undefined) {
      this.#bulk ??= new FramePile();
      this.#bulk.adopt(older.#bulk);
    }
    for (const states of [older.#states, older.#nextStates]) {
      for (const [key, frame] of states ?? []) this.setState(key, frame);
    }
    older.clear();
  }

  clear(): void {
    this.#control = [];
    this.#again = [];
    this.#reliable.clear();
    this.#bulk = undefined;
    this.#states = undefined;
    this.#nextStates = undefined;
    this.#looseBytes = 0;
  }

  /** Whether nothing but reliable frames can go, if anything can. */
  get #onlyReliable(): boolean {
    return (
      this.#control.length === 0 &&
      this.#again.length === 0 &&
      (this.#states === undefined || this.#states.size === 0) &&
      (this.#bulk === undefined || this.#bulk.frames === 0)
    );
  }

  #takeStates(taken: Batch): void {
    for (const [key, frame] of this.#states ?? []) {
      if (!taken.fits(frame.length)) return;
      taken.add(frame);
      this.#looseBytes -= frame.length;
      this.#states?.delete(key);
    }
  }
}

/** Frames for one write. */
class Batch {
  readonly #parts: Uint8Array[] = [];
  readonly #maxBytes: number;
  bytes = 0;
  #full = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** False from the first part on that does not fit: what stands behind it may not overtake it. */
  fits(byteLength: number): boolean {
    if (this.#full) return false;
    this.#full = this.#parts.length > 0 && this.bytes + byteLength > this.#maxBytes;
    return !this.#full;
  }

  add(part: Uint8Array): void {
    this.#parts.push(part);
    this.bytes += part.length;
  }

  /** Takes what fits; what is left of the lane is returned. */
  from(lane: Uint8Array[]): Uint8Array[] {
    if (lane.length === 0) return lane;
    let count = 0;
    for (const frame of lane) {
      if (!this.fits(frame.length)) return lane.slice(count);
      this.add(frame);
      count += 1;
    }
    return [];
  }

  joined(): Uint8Array {
    const [first = noBytes] = this.#parts;
    return this.#parts.length <= 1 ? first : Buffer.concat(this.#parts, this.bytes);
  }
}
