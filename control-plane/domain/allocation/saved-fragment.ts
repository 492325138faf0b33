import { ByteReader } from "../../../protocol/bytes.ts";
import { ProtocolError } from "../../../protocol/error.ts";
import { placementBytes, stateVersion } from "../../../protocol/handover/state-head.ts";

/** Version, placement, and a name of 64 characters with its length: in base64. */
const headLength = 4 * Math.ceil((1 + placementBytes + 1 + 64) / 3);
/** As an allocation can ask for one. */
const namePattern = /^[\w.-]{1,64}$/;

/**
 * The fragment in which a player was saved: all that the master reads in what clusters save. [ALLOC-16]
 *
 * @param state in base64, from a cluster: it may be anything
 * @returns `undefined` where it names none, or cannot be read
 */
export function savedFragment(state: string): string | undefined {
  try {
    const head = Uint8Array.from(atob(state.slice(0, headLength)), (char) => char.charCodeAt(0));
    const reader = new ByteReader(head);
    if (reader.u8() !== stateVersion) return undefined;
    reader.bytes(placementBytes);
    const name = reader.str8();
    return namePattern.test(name) ? name : undefined;
  } catch (error) {
    // Not base64, or cut off.
    if (error instanceof ProtocolError || error instanceof DOMException) return undefined;
    throw error;
  }
}
