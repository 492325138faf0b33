import type { ByteReader } from "../bytes.ts";
import { createFrame } from "../frame.ts";
import { messageTypes } from "../types.ts";

/** A message of the game's own. Spec: docs/PROTOCOL.md, section 5.8. */
export interface Message {
  readonly type: "message";
  /** 0 to 255; the whole range is the game's. */
  readonly command: number;
  /** A view on the received frame. */
  readonly payload: Uint8Array;
}

/** Throws `FRAME_TOO_LARGE` for a payload over 65,533 bytes. */
export function encodeMessage(message: Omit<Message, "type">): Uint8Array<ArrayBuffer> {
  return createFrame(messageTypes.message, 1 + message.payload.length)
    .u8(message.command)
    .raw(message.payload).bytes;
}

export function decodeMessage(reader: ByteReader): Message {
  return { type: "message", command: reader.u8(), payload: reader.rest() };
}
