import { type ByteReader, encodeUtf8 } from "../bytes.ts";
import { ProtocolError } from "../error.ts";
import { createFrame } from "../frame.ts";
import { messageTypes } from "../types.ts";

/** The fragment that the player is in, and what holds there. Spec: docs/PROTOCOL.md, section 5.11. */
export interface Fragment {
  readonly type: "fragment";
  /** It holds from the end of this tick on. */
  readonly tick: number;
  /** ENTITIES frames a second, at most. */
  readonly updateHz: number;
  /** How far the player sees, in world units. */
  readonly viewRange: number;
  /** Size of a step of positions, in world units. */
  readonly precision: number;
  /** World units a second that the player may move; 0 means unchecked. */
  readonly speedLimit: number;
  /** 1 to 64 bytes of UTF-8. */
  readonly name: string;
}

const maxNameBytes = 64;

/** Throws `BAD_VALUE` for what [FRAGMENT-2] does not allow. */
export function encodeFragment(fragment: Omit<Fragment, "type">): Uint8Array<ArrayBuffer> {
  const name = encodeUtf8(fragment.name);
  checkNumbers(fragment);
  checkName(name.length);
  return createFrame(messageTypes.fragment, 21 + name.length)
    .u32(fragment.tick)
    .f32(fragment.updateHz)
    .f32(fragment.viewRange)
    .f32(fragment.precision)
    .f32(fragment.speedLimit)
    .u8(name.length)
    .raw(name).bytes;
}

export function decodeFragment(reader: ByteReader): Fragment {
  const numbers = {
    tick: reader.u32(),
    updateHz: reader.f32(),
    viewRange: reader.f32(),
    precision: reader.f32(),
    speedLimit: reader.f32(),
  };
  const before = reader.remaining;
  const name = reader.str8();
  checkName(before - reader.remaining - 1);
  reader.end();
  checkNumbers(numbers);
  return { type: "fragment", ...numbers, name };
}

/** [FRAGMENT-2] */
function checkNumbers({ updateHz, viewRange, precision, speedLimit }: Omit<Fragment, "type" | "tick" | "name">): void {
  if (!(updateHz > 0 && viewRange > 0 && precision > 0 && speedLimit >= 0)) {
    throw new ProtocolError("BAD_VALUE", "a fragment with a rate, range or precision that is not above 0");
  }
}

/** [FRAGMENT-2] */
function checkName(byteLength: number): void {
  if (byteLength < 1 || byteLength > maxNameBytes) {
    throw new ProtocolError("BAD_VALUE", `a fragment's name has 1 to ${maxNameBytes} bytes`);
  }
}
