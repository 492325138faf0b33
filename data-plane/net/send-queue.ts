import { type FrameKeeper, FramePile } from "./frame-pile.ts";
import { type StateKey, StatePile } from "./state-pile.ts";

/**
 * Where a frame stands in line: `control` before everything, then what is sent `again` after a resume, `reliable` messages,
 * the latest `state`, and `bulk` last. Spec: docs/PROTOCOL.md, section 5.8.
 */
export type SendLane = "control" | "again" | "reliable" | "bulk";

const noBytes = new Uint8Array(0);

/**
 * The frames that wait for one player, by priority. Nothing is dropped from a lane; of state only the latest of each key is
 * kept, and it waits for {@link releaseStates}.
 *
 * It is the pile of reliable messages, and holds the other lanes: with a thousand players each further object between a
 * message and its socket is memory that has left the cache since the last one.
 */
export class SendQueue extends FramePile {
  /** Frames that could go now and are not reliable messages: while there are none, the others are not looked at. */
  #looseFrames = 0;
  /** Of control frames and the view. */
  #looseBytes = 0;
  #control: Uint8Array[] = [];
  /** These are made when they are needed: most players never have them. */
  #again: Uint8Array[] | undefined;
  #bulk: FramePile | undefined;
  /** State of this tick, and state that a tick has released. */
  #nextStates: StatePile | undefined;
  #states: StatePile | undefined;
  #view: Uint8Array | undefined;

  /** Bytes that wait, without those that are sent again: these have been counted once. */
  get bytes(): number {
    const states = (this.#nextStates?.bytes ?? 0) + (this.#states?.bytes ?? 0);
    return this.piledBytes + this.#looseBytes + states + (this.#bulk?.piledBytes ?? 0);
  }

  /** Frames that wait, without those that are sent again. */
  get frames(): number {
    const again = this.#again?.length ?? 0;
    return this.piledFrames + this.#looseFrames - again + (this.#nextStates?.size ?? 0);
  }

  /** Whether there is something to write now. */
  get isReady(): boolean {
    return this.piledFrames > 0 || this.#looseFrames > 0;
  }

  push(lane: SendLane, frame: Uint8Array): void {
    if (lane === "reliable") return this.pushFrame(frame);
    this.#looseFrames += 1;
    if (lane === "control") {
      this.#looseBytes += frame.length;
      this.#control.push(frame);
    } else if (lane === "again") {
      this.#again ??= [];
      this.#again.push(frame);
    } else {
      this.#bulk ??= new FramePile();
      this.#bulk.pushFrame(frame);
    }
  }

  /** Before everything that waits. */
  unshift(frame: Uint8Array): void {
    this.#control.unshift(frame);
    this.#looseFrames += 1;
    this.#looseBytes += frame.length;
  }

  /** Whether a view waits. */
  get viewWaits(): boolean {
    return this.#view !== undefined;
  }

  /**
   * Sets what the world shows, after {@link viewWaits} was false: a difference to the one before, so none takes another's place. Whoever sets
   * one all the same has a wrong view, and no more than that: a frame that is counted and is not there would be written for ever.
   */
  setView(frame: Uint8Array): void {
    const before = this.#view;
    this.#view = frame;
    if (before === undefined) this.#looseFrames += 1;
    this.#looseBytes += frame.length - (before?.length ?? 0);
  }

  /** Takes the place of what the same key had and is not on its way yet. */
  setState(key: StateKey, frame: Uint8Array): void {
    this.#nextStates ??= new StatePile();
    this.#nextStates.setFrame(key, frame);
  }

  /** The same for a frame that is not there yet: of this type, with this command and payload, which have been checked. */
  setStateMessage(key: StateKey, type: number, command: number, payload: Uint8Array): void {
    this.#nextStates ??= new StatePile();
    this.#nextStates.setMessage(key, type, command, payload);
  }

  /** A tick is over: its state may go. Whether there is any. */
  releaseStates(): boolean {
    if (this.#nextStates === undefined) return false;
    const before = this.#states?.size ?? 0;
    if (this.#states === undefined || before === 0) {
      [this.#states, this.#nextStates] = [this.#nextStates, this.#states];
    } else {
      this.#states.takeOver(this.#nextStates);
    }
    this.#looseFrames += this.#states.size - before;
    return this.#states.size > 0;
  }

  /**
   * The next bytes to write: whole frames, in order of priority, up to so many bytes; at least one frame, if any waits. They
   * must not be changed.
   *
   * @param keeper given what goes out for the first time and may have to be sent again: reliable and bulk frames, in the order
   *   of the wire
   * @param isRestWritten whether all that was taken before has been written
   */
  take(maxBytes: number, keeper: FrameKeeper | undefined, isRestWritten: boolean): Uint8Array {
    // What nearly every write is: messages of the game alone, or state alone, which lie ready.
    const ready =
      this.#looseFrames === 0
        ? this.takeAtOnce(maxBytes, keeper, isRestWritten)
        : this.piledFrames === 0
          ? this.#takeLoose(maxBytes, isRestWritten)
          : undefined;
    return ready ?? this.#takeMixed(maxBytes, keeper);
  }

  /** What was about the connection itself is of no use to the next one, nor what was sent again over it, or views: that one begins with an empty one. */
  forgetConnection(): void {
    this.#looseFrames -= this.#control.length + (this.#again?.length ?? 0) + (this.#view === undefined ? 0 : 1);
    this.#looseBytes = 0;
    this.#control = [];
    this.#again = undefined;
    this.#view = undefined;
  }

  /** Takes over what a connection that has gone left unsent, without what {@link forgetConnection} forgets. */
  adopt(older: SendQueue): void {
    this.takeOver(older);
    if (older.#bulk !== undefined) {
      this.#bulk ??= new FramePile();
      this.#looseFrames += older.#bulk.piledFrames;
      this.#bulk.takeOver(older.#bulk);
    }
    for (const states of [older.#states, older.#nextStates]) {
      if (states === undefined) continue;
      this.#nextStates ??= new StatePile();
      this.#nextStates.takeOver(states);
    }
    older.clear();
  }

  override clear(): void {
    super.clear();
    this.#control = [];
    this.#again = undefined;
    this.#bulk = undefined;
    this.#states = undefined;
    this.#nextStates = undefined;
    this.#view = undefined;
    this.#looseFrames = 0;
    this.#looseBytes = 0;
  }

  /** Copies what lies in different places into one write. What may be sent again is kept where it lay. */
  #takeMixed(maxBytes: number, keeper: FrameKeeper | undefined): Uint8Array {
    const batch = new Batch(maxBytes);
    const take = (bytes: Uint8Array): boolean => batch.take(bytes);
    this.#control = batch.from(this.#control);
    this.#looseBytes -= batch.bytes;
    if (this.#again !== undefined) this.#again = batch.from(this.#again);
    this.#looseFrames -= batch.parts;
    this.takeWhile(take, keeper);
    if (this.#view !== undefined && batch.take(this.#view)) this.#takeView(this.#view);
    this.#takeStates(take);
    if (this.#bulk !== undefined) {
      const before = this.#bulk.piledFrames;
      this.#bulk.takeWhile(take, keeper);
      this.#looseFrames -= before - this.#bulk.piledFrames;
    }
    return batch.joined();
  }

  #takeView(view: Uint8Array): Uint8Array {
    this.#view = undefined;
    this.#looseFrames -= 1;
    this.#looseBytes -= view.length;
    return view;
  }

  /** A view alone, or state alone. */
  #takeLoose(maxBytes: number, isRestWritten: boolean): Uint8Array | undefined {
    if (this.#view !== undefined) return this.#looseFrames === 1 ? this.#takeView(this.#view) : undefined;
    const states = this.#states;
    const bytes = this.#looseFrames === states?.size ? states.takeAtOnce(maxBytes, isRestWritten) : undefined;
    if (bytes === undefined) return undefined;
    this.#looseFrames = 0;
    if (this.#nextStates !== undefined) return bytes;
    // The next tick's state goes into the same one: it is at hand.
    this.#nextStates = states;
    this.#states = undefined;
    return bytes;
  }

  #takeStates(take: (bytes: Uint8Array) => boolean): void {
    if (this.#states === undefined) return;
    const before = this.#states.size;
    this.#states.takeWhile(take);
    this.#looseFrames -= before - this.#states.size;
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

  get parts(): number {
    return this.#parts.length;
  }

  /** False from the first part on that does not fit: what stands behind it may not overtake it. */
  take(part: Uint8Array): boolean {
    if (this.#full) return false;
    this.#full = this.#parts.length > 0 && this.bytes + part.length > this.#maxBytes;
    if (this.#full) return false;
    this.#parts.push(part);
    this.bytes += part.length;
    return true;
  }

  /** Takes what fits; what is left of the lane is returned. */
  from(lane: Uint8Array[]): Uint8Array[] {
    const count = lane.findIndex((frame) => !this.take(frame));
    return count < 0 ? [] : lane.slice(count);
  }

  joined(): Uint8Array {
    const [first = noBytes] = this.#parts;
    return this.#parts.length <= 1 ? first : Buffer.concat(this.#parts, this.bytes);
  }
}
