import { ProtocolError } from "./error.ts";

const utf8Decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf8Encoder = new TextEncoder();

/** The same four bytes as a whole number and as a float: a `DataView` for each message costs more than reading it. */
const floatBits = new Uint32Array(1);
const floatOf = new Float32Array(floatBits.buffer);

/**
 * Reads little-endian fields from untrusted bytes. Every read throws {@link ProtocolError} `TRUNCATED` when
 * too little is left. Views share memory with the input: copy what outlives the call that was given it.
 *
 * One is made for every message, so it makes nothing by itself: numbers are put together from bytes, and there is a
 * `DataView` only where an `f64` is read.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #offset: number;
  #view: DataView | undefined;

  /** Reads from `offset` up to, not including, `end`. */
  constructor(bytes: Uint8Array, offset = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#offset = offset;
    this.#end = end;
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.#end - this.#offset;
  }

  u8(): number {
    return byteAt(this.#bytes, this.#take(1));
  }

  u16(): number {
    return u16At(this.#bytes, this.#take(2));
  }

  u32(): number {
    const start = this.#take(4);
    return (u16At(this.#bytes, start) | (u16At(this.#bytes, start + 2) << 16)) >>> 0;
  }

  /** A `u64` that a number can hold; more throws `BAD_VALUE`. [NUM-3] */
  u64(): number {
    const low = this.u32();
    return integer(this.u32() * 0x1_0000_0000 + low, Number.MAX_SAFE_INTEGER);
  }

  /** A finite `f32`; NaN and infinities throw `BAD_NUMBER`. [NUM-1] */
  f32(): number {
    floatBits[0] = this.u32();
    return finite(floatOf[0] ?? 0);
  }

  /** A finite `f64`; NaN and infinities throw `BAD_NUMBER`. [NUM-1] */
  f64(): number {
    return finite(this.#floats().getFloat64(this.#take(8), true));
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

  #floats(): DataView {
    const { buffer, byteOffset, byteLength } = this.#bytes;
    this.#view ??= new DataView(buffer, byteOffset, byteLength);
    return this.#view;
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
  #view: DataView | undefined;
  #offset = 0;

  constructor(byteLength: number) {
    this.bytes = new Uint8Array(byteLength);
  }

  u8(value: number): this {
    this.bytes[this.#advance(1)] = integer(value, 0xff);
    return this;
  }

  u16(value: number): this {
    this.#whole(integer(value, 0xffff), 2);
    return this;
  }

  u32(value: number): this {
    this.#whole(integer(value, 0xffff_ffff), 4);
    return this;
  }

  /** Throws `BAD_VALUE` past 2^53 − 1. [NUM-3] */
  u64(value: number): this {
    const whole = integer(value, Number.MAX_SAFE_INTEGER);
    return this.u32(whole % 0x1_0000_0000).u32(Math.floor(whole / 0x1_0000_0000));
  }

  f32(value: number): this {
    this.#floats().setFloat32(this.#advance(4), finite(Math.fround(value)), true);
    return this;
  }

  f64(value: number): this {
    this.#floats().setFloat64(this.#advance(8), finite(value), true);
    return this;
  }

  raw(bytes: Uint8Array): this {
    this.bytes.set(bytes, this.#advance(bytes.length));
    return this;
  }

  #floats(): DataView {
    this.#view ??= new DataView(this.bytes.buffer);
    return this.#view;
  }

  #whole(value: number, byteLength: number): void {
    const start = this.#advance(byteLength);
    for (let index = 0; index < byteLength; index += 1) this.bytes[start + index] = value >>> (index * 8);
  }

  /** Throws RangeError past the end, as every write there would. */
  #advance(length: number): number {
    const start = this.#offset;
    if (start + length > this.bytes.length) throw new RangeError("written past the end");
    this.#offset = start + length;
    return start;
  }
}

function byteAt(bytes: Uint8Array, offset: number): number {
  return bytes[offset] ?? 0;
}

function u16At(bytes: Uint8Array, offset: number): number {
  return byteAt(bytes, offset) | (byteAt(bytes, offset + 1) << 8);
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
