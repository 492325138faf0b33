import { ByteWriter } from "./bytes.ts";
import { ProtocolError } from "./error.ts";
import { limits } from "./limits.ts";

/** Bytes before the type: the `u16` length. */
export const frameHeaderBytes = 2;

/**
 * Starts a frame whose body has `bodyBytes` bytes: writes length and type, and leaves the writer at the body.
 * Throws `FRAME_TOO_LARGE` when a `u16` cannot announce it.
 */
export function createFrame(type: number, bodyBytes: number): ByteWriter {
  const length = 1 + bodyBytes;
  if (length > limits.maxFrameBytes) {
    throw new ProtocolError("FRAME_TOO_LARGE", `a frame of ${length} bytes is over ${limits.maxFrameBytes}`);
  }
  return new ByteWriter(frameHeaderBytes + length).u16(length).u8(type);
}

/** Told that a frame (type and body) lies in `bytes` from `start` up to, not including, `end`; `false` to stop. */
export type InPlaceHandler = (bytes: Uint8Array, start: number, end: number) => boolean;

/**
 * Cuts a byte stream into frames, whatever the pieces it arrives in. [FRAME-1]
 *
 * A frame that lies within one piece is handed on as a view, without a copy; only one that spans pieces is put
 * together. The announced length is checked before anything is allocated for it. [FRAME-3]
 */
export class FrameParser {
  /** Greatest length that the next frame may announce, 0 if none may come; the frame handler may change it. */
  maxFrameBytes: number;
  /** First byte of a length whose second has not come yet. */
  #lowByte: number | undefined;
  /** An unfinished frame, and how much of it has come. */
  #pending: Uint8Array | undefined;
  #filled = 0;

  constructor(maxFrameBytes: number) {
    this.maxFrameBytes = maxFrameBytes;
  }

  /**
   * Takes the next piece of the stream and calls `onFrame` with each completed frame (type and body, without the
   * length). The view is valid during the call only. `onFrame` returns `false` to stop.
   *
   * @returns how many bytes of the piece were used: all of them, unless `onFrame` stopped it. The rest can be pushed later.
   * @throws ProtocolError `FRAME_EMPTY`, `FRAME_TOO_LARGE`; and what `onFrame` throws.
   */
  push(piece: Uint8Array, onFrame: (frame: Uint8Array) => boolean): number {
    return this.pushInPlace(piece, (bytes, start, end) => onFrame(bytes.subarray(start, end)));
  }

  /** As {@link push}, without making a view for each frame: it says where in which bytes the frame lies. */
  pushInPlace(piece: Uint8Array, onFrame: InPlaceHandler): number {
    let offset = 0;
    while (offset < piece.length) {
      let goesOn: boolean;
      if (this.#pending === undefined) {
        const byte = piece[offset++] ?? 0;
        if (this.#lowByte === undefined) {
          // Where no frame may come, half a length is too much already.
          if (this.maxFrameBytes === 0) throw new ProtocolError("FRAME_TOO_LARGE", "no frame may come now");
          this.#lowByte = byte;
          continue;
        }
        const length = this.#checkLength(this.#lowByte | (byte << 8));
        this.#lowByte = undefined;
        if (piece.length - offset < length) {
          this.#pending = new Uint8Array(length);
          this.#filled = 0;
          continue;
        }
        offset += length;
        goesOn = onFrame(piece, offset - length, offset);
      } else {
        const part = piece.subarray(offset, offset + this.#pending.length - this.#filled);
        this.#pending.set(part, this.#filled);
        this.#filled += part.length;
        offset += part.length;
        if (this.#filled < this.#pending.length) return offset;
        const frame = this.#pending;
        this.#pending = undefined;
        goesOn = onFrame(frame, 0, frame.length);
      }
      if (!goesOn) return offset;
    }
    return offset;
  }

  #checkLength(length: number): number {
    if (length === 0) throw new ProtocolError("FRAME_EMPTY", "a frame announces 0 bytes");
    if (length > this.maxFrameBytes) {
      throw new ProtocolError("FRAME_TOO_LARGE", `a frame announces ${length} bytes, over ${this.maxFrameBytes}`);
    }
    return length;
  }
}
