import type { ByteReader } from "../bytes.ts";
import { createFrame } from "../frame.ts";
import { messageTypes } from "../types.ts";

/** What has changed in the client's view. Spec: docs/PROTOCOL.md, section 5.11. `EntityView` reads the changes. */
export interface Entities {
  readonly type: "entities";
  /** All of it is the state at the end of this tick. */
  readonly tick: number;
  /** Leaves, enters and updates. A view on the received frame. */
  readonly changes: Uint8Array;
}

/** Throws `FRAME_TOO_LARGE` for changes over 65,530 bytes. */
export function encodeEntities({ tick, changes }: Omit<Entities, "type">): Uint8Array<ArrayBuffer> {
  return createFrame(messageTypes.entities, 4 + changes.length)
    .u32(tick)
    .raw(changes).bytes;
}

export function decodeEntities(reader: ByteReader): Entities {
  return { type: "entities", tick: reader.u32(), changes: reader.rest() };
}
