/**
 * Where a frame stands in line: `control` before everything, then what is sent `again` after a resume, `reliable` messages,
 * the latest `state`, and `bulk` last. Spec: docs/PROTOCOL.md, section 5.8.
 */
export type SendLane = "control" | "again" | "reliable" | "bulk";

/** What names a piece of latest-only state: a later one takes the place of an earlier. */
export type StateKey = string | number;

/**
 * The frames that wait for one player, by priority. Nothing is dropped from a lane; of state only the latest of each key is
 * kept, and it waits for {@link releaseStates}.
 */
export class SendQueue {
  #control: Uint8Array[] = [];
  #again: Uint8Array[] = [];
  #reliable: Uint8Array[] = [];
  #bulk: Uint8Array[] = [];
  /** State of this tick, and state that a tick has released. */
  #nextStates = new Map<StateKey, Uint8Array>();
  #states = new Map<StateKey, Uint8Array>();
  #bytes = 0;

  /** Bytes that wait, without those that are sent again: these have been counted once. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Frames that wait, without those that are sent again. */
  get frames(): number {
    return this.#control.length + this.#reliable.length + this.#bulk.length + this.#states.size + this.#nextStates.size;
  }

  /** Whether there is something to write now. */
  get isReady(): boolean {
    return (
      this.#control.length > 0 ||
      this.#again.length > 0 ||
      this.#reliable.length > 0 ||
      this.#states.size > 0 ||
      this.#bulk.length > 0
    );
  }

  push(lane: SendLane, frame: Uint8Array): void {
    if (lane !== "again") this.#bytes += frame.length;
    this.#laneOf(lane).push(frame);
  }

  /** Before everything that waits. */
  unshift(frame: Uint8Array): void {
    this.#control.unshift(frame);
    this.#bytes += frame.length;
  }

  /** Takes the place of what the same key had and is not on its way yet. */
  setState(key: StateKey, frame: Uint8Array): void {
    this.#bytes += frame.length - (this.#nextStates.get(key)?.length ?? 0);
    this.#nextStates.set(key, frame);
  }

  /** A tick is over: its state may go. Whether there is any. */
  releaseStates(): boolean {
    if (this.#states.size === 0) {
      [this.#states, this.#nextStates] = [this.#nextStates, this.#states];
    } else {
      for (const [key, frame] of this.#nextStates) {
        this.#bytes -= this.#states.get(key)?.length ?? 0;
        this.#states.set(key, frame);
      }
      this.#nextStates.clear();
    }
    return this.#states.size > 0;
  }

  /**
   * The next whole frames, in order of priority, up to so many bytes; at least one, if any waits.
   *
   * @param onFirst told of each frame that goes out for the first time and may have to be sent again: reliable and bulk ones
   */
  take(
    maxBytes: number,
    onFirst: (frame: Uint8Array) => void,
  ): { readonly frames: Uint8Array[]; readonly bytes: number } {
    const taken = new Batch(maxBytes);
    this.#control = taken.from(this.#control);
    const before = taken.bytes;
    this.#again = taken.from(this.#again);
    const again = taken.bytes - before;
    this.#reliable = taken.from(this.#reliable, onFirst);
    this.#takeStates(taken);
    this.#bulk = taken.from(this.#bulk, onFirst);
    this.#bytes -= taken.bytes - again;
    return taken;
  }

  /**
   * Takes over what a connection that has gone left unsent. What was sent again is left to the caller, as are the words
   * that were about the connection itself.
   */
  adopt(older: SendQueue): void {
    for (const frame of older.#reliable) this.push("reliable", frame);
    for (const frame of older.#bulk) this.push("bulk", frame);
    for (const states of [older.#states, older.#nextStates]) {
      for (const [key, frame] of states) this.setState(key, frame);
    }
    older.clear();
  }

  clear(): void {
    this.#control = [];
    this.#again = [];
    this.#reliable = [];
    this.#bulk = [];
    this.#states.clear();
    this.#nextStates.clear();
    this.#bytes = 0;
  }

  #takeStates(taken: Batch): void {
    for (const [key, frame] of this.#states) {
      if (!taken.fits(frame)) return;
      taken.add(frame);
      this.#states.delete(key);
    }
  }

  #laneOf(lane: SendLane): Uint8Array[] {
    switch (lane) {
      case "control":
        return this.#control;
      case "again":
        return this.#again;
      case "reliable":
        return this.#reliable;
      case "bulk":
        return this.#bulk;
    }
  }
}

/** Frames for one write. */
class Batch {
  readonly frames: Uint8Array[] = [];
  readonly #maxBytes: number;
  bytes = 0;
  #full = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** False from the first frame on that does not fit: what stands behind it may not overtake it. */
  fits(frame: Uint8Array): boolean {
    if (this.#full) return false;
    this.#full = this.frames.length > 0 && this.bytes + frame.length > this.#maxBytes;
    return !this.#full;
  }

  add(frame: Uint8Array): void {
    this.frames.push(frame);
    this.bytes += frame.length;
  }

  /** Takes what fits; what is left of the lane is returned. */
  from(lane: Uint8Array[], onTaken?: (frame: Uint8Array) => void): Uint8Array[] {
    if (lane.length === 0) return lane;
    let count = 0;
    for (const frame of lane) {
      if (!this.fits(frame)) return lane.slice(count);
      this.add(frame);
      onTaken?.(frame);
      count += 1;
    }
    return [];
  }
}
