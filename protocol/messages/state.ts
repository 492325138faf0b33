import type { ByteReader } from "../bytes.ts";
import { createFrame } from "../frame.ts";
import { messageTypes } from "../types.ts";

/** A message of the game of which only the latest matters. Spec: docs/PROTOCOL.md, section 5.8. */
export interface State {
  readonly type: "state";
  /** 0 to 255; the same number space as MESSAGE. */
  readonly command: number;
  /** A view on the received frame. */
  readonly payload: Uint8Array;
}

/** Throws `FRAME_TOO_LARGE` for a payload over 65,533 bytes. */
export function encodeState(state: Omit<State, "type">): Uint8Array<ArrayBuffer> {
  return createFrame(messageTypes.state, 1 + state.payload.length)
    .u8(state.command)
    .raw(state.payload).bytes;
}

export function decodeState(reader: ByteReader): State {
  return { type: "state", command: reader.u8(), payload: reader.rest() };
}
