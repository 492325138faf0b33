/** Told of each complete frame: its kind, and where its payload lies in `bytes`, which are valid during the call only. */
export type FrameHandler = (kind: number, bytes: Buffer, start: number, end: number) => void;

/** Finds frames in a stream of bytes, however it is cut. As cheap as can be: the load must not be what is measured. */
export abstract class Scanner {
  #rest: Buffer | undefined;

  push(piece: Buffer, onFrame: FrameHandler): void {
    const bytes = this.#rest === undefined ? piece : Buffer.concat([this.#rest, piece]);
    let at = 0;
    while (at < bytes.length) {
      const length = this.frameLength(bytes, at);
      if (length === 0 || at + length > bytes.length) break;
      this.emit(bytes, at, at + length, onFrame);
      at += length;
    }
    this.#rest = at === bytes.length ? undefined : Buffer.from(bytes.subarray(at));
  }

  /** Length of the frame that starts at `at`, header and all; 0 when too little of it is there to tell. */
  protected abstract frameLength(bytes: Buffer, at: number): number;

  protected abstract emit(bytes: Buffer, at: number, end: number, onFrame: FrameHandler): void;
}

/** Records of one fixed size, without any header. */
export class RecordScanner extends Scanner {
  readonly #size: number;

  constructor(size: number) {
    super();
    this.#size = size;
  }

  protected override frameLength(): number {
    return this.#size;
  }

  protected override emit(bytes: Buffer, at: number, end: number, onFrame: FrameHandler): void {
    onFrame(0, bytes, at, end);
  }
}

/** Frames of the game protocol; the kind is the message's type. Spec: docs/PROTOCOL.md, section 4. */
export class SustenetScanner extends Scanner {
  protected override frameLength(bytes: Buffer, at: number): number {
    return bytes.length - at < 2 ? 0 : 2 + bytes.readUInt16LE(at);
  }

  protected override emit(bytes: Buffer, at: number, end: number, onFrame: FrameHandler): void {
    onFrame(bytes[at + 2] ?? 0, bytes, at + 3, end);
  }
}

/** WebSocket frames from a server, which are not masked and here never fragmented; the kind is the opcode (RFC 6455). */
export class WebSocketScanner extends Scanner {
  protected override frameLength(bytes: Buffer, at: number): number {
    if (bytes.length - at < 2) return 0;
    const short = (bytes[at + 1] ?? 0) & 0x7f;
    if (short < 126) return 2 + short;
    if (short === 127) throw new Error("a WebSocket frame over 65,535 bytes");
    return bytes.length - at < 4 ? 0 : 4 + bytes.readUInt16BE(at + 2);
  }

  protected override emit(bytes: Buffer, at: number, end: number, onFrame: FrameHandler): void {
    const header = ((bytes[at + 1] ?? 0) & 0x7f) < 126 ? 2 : 4;
    onFrame((bytes[at] ?? 0) & 0x0f, bytes, at + header, end);
  }
}

/** A whole WebSocket frame from a client. The mask is not zero: a server may skip its work for a zero one. */
export function maskedFrame(opcode: number, payload: Uint8Array): Buffer {
  if (payload.length > 125) throw new RangeError("only short frames are made here");
  const mask = [0x5a, 0xc3, 0x17, 0x88];
  const frame = Buffer.alloc(6 + payload.length);
  frame[0] = 0x80 | opcode;
  frame[1] = 0x80 | payload.length;
  frame.set(mask, 2);
  for (let index = 0; index < payload.length; index++) {
    frame[6 + index] = (payload[index] ?? 0) ^ (mask[index % 4] ?? 0);
  }
  return frame;
}
