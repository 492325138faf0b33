import { ProtocolError } from "./error.ts";

const utf8Decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf8Encoder = new TextEncoder();

/**
 * Reads little-endian fields from untrusted bytes. Every read throws {@link ProtocolError} `TRUNCATED` when
 * too little is left. Views share memory with the input: copy what outlives the call that was given it.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset: number;

  constructor(bytes: Uint8Array, offset = 0) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#offset = offset;
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** A finite `f32`; NaN and infinities throw `BAD_NUMBER`. [NUM-1] */
  f32(): number {
    return finite(this.#view.getFloat32(this.#take(4), true));
  }

  /** A finite `f64`; NaN and infinities throw `BAD_NUMBER`. [NUM-1] */
  f64(): number {
    return finite(this.#view.getFloat64(this.#take(8), true));
  }

  /** The next `length` bytes, as a view on the input. */
  bytes(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** All bytes that are left, possibly none, as a view on the input. */
  rest(): Uint8Array {
    return this.bytes(this.remaining);
  }

  /** `u8` length, then UTF-8; ill-formed UTF-8 throws `BAD_UTF8`. [NUM-2] */
  str8(): string {
    return decodeUtf8(this.bytes(this.u8()));
  }

  /** Throws `TRAILING_BYTES` unless everything was read. [FRAME-5] */
  end(): void {
    if (this.remaining > 0) {
      throw new ProtocolError("TRAILING_BYTES", `${this.remaining} bytes after the last field`);
    }
  }

  #take(length: number): number {
    const start = this.#offset;
    if (length > this.remaining) {
      throw new ProtocolError("TRUNCATED", `needs ${length} bytes, ${this.remaining} are left`);
    }
    this.#offset = start + length;
    return start;
  }
}

/** Writes little-endian fields into a buffer of a size that is known beforehand. */
export class ByteWriter {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  #offset = 0;

  constructor(byteLength: number) {
    this.bytes = new Uint8Array(byteLength);
    this.#view = new DataView(this.bytes.buffer);
  }

  u8(value: number): this {
    this.#view.setUint8(this.#advance(1), integer(value, 0xff));
    return this;
  }

  u16(value: number): this {
    this.#view.setUint16(this.#advance(2), integer(value, 0xffff), true);
    return this;
  }

  u32(value: number): this {
    this.#view.setUint32(this.#advance(4), integer(value, 0xffff_ffff), true);
    return this;
  }

  f32(value: number): this {
    this.#view.setFloat32(this.#advance(4), finite(Math.fround(value)), true);
    return this;
  }

  f64(value: number): this {
    this.#view.setFloat64(this.#advance(8), finite(value), true);
    return this;
  }

  raw(bytes: Uint8Array): this {
    this.bytes.set(bytes, this.#advance(bytes.length));
    return this;
  }

  #advance(length: number): number {
    const start = this.#offset;
    this.#offset += length;
    return start;
  }
}

/** Strict UTF-8; throws {@link ProtocolError} `BAD_UTF8`. A byte order mark is kept as a character. */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8Decoder.decode(bytes);
  } catch {
    throw new ProtocolError("BAD_UTF8", "ill-formed UTF-8");
  }
}

/** UTF-8 of `text`, cut at a character's boundary so that it fits `maxBytes`. */
export function encodeUtf8(text: string, maxBytes = 255): Uint8Array {
  const target = new Uint8Array(Math.min(maxBytes, text.length * 3));
  const { written } = utf8Encoder.encodeInto(text, target);
  return target.subarray(0, written);
}

function finite(value: number): number {
  if (!Number.isFinite(value)) throw new ProtocolError("BAD_NUMBER", "not a finite number");
  return value;
}

function integer(value: number, max: number): number {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new ProtocolError("BAD_VALUE", `${value} is not an integer from 0 to ${max}`);
  }
  return value;
}
