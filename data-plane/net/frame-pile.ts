import { frameHeaderBytes, messageTypes } from "../../protocol/index.ts";

/** Frames from this size on get memory of their own, of their exact size. */
const largeBytes = 1_024;
/** A player's first slab, and what later ones grow to: small, as what has not been acknowledged keeps the whole of one. */
const firstSlabBytes = 512;
const maxSlabBytes = 4_096;

const noSlab = Buffer.alloc(0);

interface Piece {
  readonly bytes: Uint8Array;
  readonly frames: number;
}

/** Takes whole frames that lie back to back. */
export type PieceTaker = (bytes: Uint8Array, frames: number) => void;

/**
 * Frames that wait in one line. They are written where they leave from, one behind the other: no object for a frame, no copy
 * when they go, and one piece of memory for all that was said in a turn. What has been taken is not touched again.
 */
export class FramePile {
  /** What stands before the frames in the slab. */
  #pieces: Piece[] = [];
  #slab = noSlab;
  /** The part of the slab whose frames have not been taken, and how many these are. */
  #start = 0;
  #end = 0;
  #inSlab = 0;
  #frames = 0;
  #bytes = 0;

  get frames(): number {
    return this.#frames;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Writes a MESSAGE; command and payload have been checked. */
  message(command: number, payload: Uint8Array): void {
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
  push(frame: Uint8Array): void {
    if (frame.length < largeBytes) {
      const at = this.#reserve(frame.length);
      this.#slab.set(frame, at);
      return;
    }
    this.#close();
    this.#pieces.push({ bytes: frame, frames: 1 });
    this.#count(frame.length);
  }

  /** All of it, as one, when nothing stands before the frames in the slab and they are not more than this; else `undefined`. */
  takeAtOnce(maxBytes: number, onTaken: PieceTaker): Uint8Array | undefined {
    if (this.#pieces.length > 0 || this.#inSlab === 0 || this.#bytes > maxBytes) return undefined;
    const bytes = this.#slab.subarray(this.#start, this.#end);
    onTaken(bytes, this.#inSlab);
    this.#start = this.#end;
    this.#inSlab = 0;
    this.#frames = 0;
    this.#bytes = 0;
    return bytes;
  }

  /** Hands on pieces in order, for as long as `fits` says so. */
  takeWhile(fits: (byteLength: number) => boolean, onTaken: PieceTaker): void {
    this.#close();
    let count = 0;
    for (const { bytes, frames } of this.#pieces) {
      if (!fits(bytes.length)) break;
      count += 1;
      this.#frames -= frames;
      this.#bytes -= bytes.length;
      onTaken(bytes, frames);
    }
    if (count > 0) this.#pieces = this.#pieces.slice(count);
  }

  /** Takes over what another one holds, behind what is here. */
  adopt(other: FramePile): void {
    this.#close();
    other.takeWhile(
      () => true,
      (bytes, frames) => {
        this.#pieces.push({ bytes, frames });
        this.#frames += frames;
        this.#bytes += bytes.length;
      },
    );
  }

  clear(): void {
    this.#pieces = [];
    this.#slab = noSlab;
    this.#start = 0;
    this.#end = 0;
    this.#inSlab = 0;
    this.#frames = 0;
    this.#bytes = 0;
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
    const grown = Math.min(maxSlabBytes, Math.max(firstSlabBytes, this.#slab.length * 2));
    // Not from Node's own pool: there one slow player would keep what others wrote.
    this.#slab = Buffer.allocUnsafeSlow(byteLength < largeBytes ? Math.max(grown, byteLength) : byteLength);
    this.#start = 0;
    this.#end = 0;
  }

  /** The frames in the slab become a piece. */
  #close(): void {
    if (this.#inSlab === 0) return;
    this.#pieces.push({ bytes: this.#slab.subarray(this.#start, this.#end), frames: this.#inSlab });
    this.#start = this.#end;
    this.#inSlab = 0;
  }

  #count(byteLength: number): void {
    this.#frames += 1;
    this.#bytes += byteLength;
  }
}
