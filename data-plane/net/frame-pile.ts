import { frameHeaderBytes, messageTypes } from "../../protocol/index.ts";

/** Frames from this size on get memory of their own, of their exact size. */
const largeBytes = 1_024;
/** A player's first slab, and what later ones grow to: small, as what has not been acknowledged keeps the whole of one. */
const firstSlabBytes = 512;
const maxSlabBytes = 2_048;
/** With less room than this in its slab, a player looks for the next one. */
const nearlyFullBytes = 512;

const noSlab = Buffer.alloc(0);

/** Frames that lie one behind the other in a slab. */
interface Piece {
  readonly slab: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly frames: number;
}

/** Keeps whole frames that lie back to back, for they may have to be sent again. */
export interface FrameKeeper {
  /** Keeps `frames` of them, which lie in a slab from `start` up to, not including, `end`, and do not change there any more. */
  keep(slab: Uint8Array, start: number, end: number, frames: number): void;
  /** Whether nothing in a slab is kept any more. */
  isDoneWith(slab: Uint8Array): boolean;
}

/**
 * Frames that wait in one line. They are written where they leave from, one behind the other: no object for a frame, no copy
 * when they go, and one piece of memory for all that was said in a turn. What has been taken is not touched before it has been
 * written and its keeper is done with it.
 */
export class FramePile {
  /** What stands before the frames in the slab; made when it is needed. */
  #pieces: Piece[] | undefined;
  #slab: Buffer = noSlab;
  /** The part of the slab whose frames have not been taken, and how many these are. */
  #start = 0;
  #end = 0;
  #inSlab = 0;
  #piledFrames = 0;
  #piledBytes = 0;
  /** The slab before this one, of full size, and whether it may be written again. */
  #earlier: Buffer | undefined;
  #isEarlierFree = false;

  /** Frames that wait, and their bytes. */
  get piledFrames(): number {
    return this.#piledFrames;
  }

  get piledBytes(): number {
    return this.#piledBytes;
  }

  /** Writes a MESSAGE; command and payload have been checked. */
  pushMessage(command: number, payload: Uint8Array): void {
    const length = 2 + payload.length;
    const at = this.#reserve(frameHeaderBytes + length);
    const slab = this.#slab;
    slab[at] = length;
    slab[at + 1] = length >>> 8;
    slab[at + 2] = messageTypes.message;
    slab[at + 3] = command;
    slab.set(payload, at + 4);
  }

  /** Adds a frame with its length. A large one stays where it is, and must not change any more. */
  pushFrame(frame: Uint8Array): void {
    if (frame.length < largeBytes) {
      const at = this.#reserve(frame.length);
      this.#slab.set(frame, at);
      return;
    }
    this.#close();
    this.#add({ slab: frame, start: 0, end: frame.length, frames: 1 });
    this.#count(frame.length);
  }

  /**
   * All of it, as one, when nothing stands before the frames in the slab and they are not more than this; else `undefined`.
   *
   * @param isRestWritten whether all that was taken before has been written
   */
  takeAtOnce(maxBytes: number, keeper: FrameKeeper | undefined, isRestWritten: boolean): Uint8Array | undefined {
    if (this.#pieces !== undefined || this.#inSlab === 0 || this.#piledBytes > maxBytes) return undefined;
    // It is nearly full. Nothing waits that lies elsewhere, so nothing but the keeper may still need the slab before this one.
    if (this.#earlier !== undefined && this.#slab.length - this.#end < nearlyFullBytes && isRestWritten) {
      this.#isEarlierFree ||= keeper === undefined || keeper.isDoneWith(this.#earlier);
    }
    const bytes = this.#slab.subarray(this.#start, this.#end);
    keeper?.keep(this.#slab, this.#start, this.#end, this.#inSlab);
    this.#start = this.#end;
    this.#inSlab = 0;
    this.#piledFrames = 0;
    this.#piledBytes = 0;
    return bytes;
  }

  /** Hands on pieces in order, for as long as `take` says that they fit. */
  takeWhile(take: (bytes: Uint8Array) => boolean, keeper: Pick<FrameKeeper, "keep"> | undefined): void {
    this.#close();
    const pieces = this.#pieces ?? [];
    let count = 0;
    for (const { slab, start, end, frames } of pieces) {
      if (!take(start === 0 && end === slab.length ? slab : slab.subarray(start, end))) break;
      count += 1;
      this.#piledFrames -= frames;
      this.#piledBytes -= end - start;
      keeper?.keep(slab, start, end, frames);
    }
    this.#pieces = count === pieces.length ? undefined : pieces.slice(count);
  }

  /** Takes over what another one holds, behind what is here. */
  takeOver(other: FramePile): void {
    this.#close();
    other.takeWhile(() => true, {
      keep: (slab, start, end, frames) => {
        this.#add({ slab, start, end, frames });
        this.#piledFrames += frames;
        this.#piledBytes += end - start;
      },
    });
  }

  /** Forgets everything. */
  clear(): void {
    this.#pieces = undefined;
    this.#slab = noSlab;
    this.#start = 0;
    this.#end = 0;
    this.#inSlab = 0;
    this.#piledFrames = 0;
    this.#piledBytes = 0;
    this.#earlier = undefined;
    this.#isEarlierFree = false;
  }

  /** Room in the slab for one frame: where it begins. */
  #reserve(byteLength: number): number {
    if (this.#slab.length - this.#end < byteLength) this.#renew(byteLength);
    const at = this.#end;
    this.#end = at + byteLength;
    this.#inSlab += 1;
    this.#count(byteLength);
    return at;
  }

  #renew(byteLength: number): void {
    this.#close();
    const last = this.#slab;
    this.#slab = this.#nextSlab(byteLength);
    this.#earlier = last.length === maxSlabBytes ? last : undefined;
    this.#isEarlierFree = false;
    this.#start = 0;
    this.#end = 0;
  }

  /** The slab before this one, where that is free: who gets a message with each tick then needs no more than two, which stay at hand. */
  #nextSlab(byteLength: number): Buffer {
    if (this.#isEarlierFree && this.#earlier !== undefined && byteLength <= maxSlabBytes) return this.#earlier;
    const grown = Math.min(maxSlabBytes, Math.max(firstSlabBytes, this.#slab.length * 2));
    // Not from Node's own pool: there one slow player would keep what others wrote.
    return Buffer.allocUnsafeSlow(byteLength < largeBytes ? Math.max(grown, byteLength) : byteLength);
  }

  /** The frames in the slab become a piece. */
  #close(): void {
    if (this.#inSlab === 0) return;
    this.#add({ slab: this.#slab, start: this.#start, end: this.#end, frames: this.#inSlab });
    this.#start = this.#end;
    this.#inSlab = 0;
  }

  #add(piece: Piece): void {
    this.#pieces ??= [];
    this.#pieces.push(piece);
  }

  #count(byteLength: number): void {
    this.#piledFrames += 1;
    this.#piledBytes += byteLength;
  }
}
