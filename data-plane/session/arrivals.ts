import { createHash, timingSafeEqual } from "node:crypto";
import type { CloseCode, Hello } from "../../protocol/index.ts";
import type { JoinedPlayer } from "./joined-player.ts";

/** What a stranger shows who says that another cluster has sent it. Spec: docs/PROTOCOL.md, section 5.12. */
export interface Arrival {
  /** Of the handover: 32 lower-case hex digits. */
  readonly id: string;
  /** 32 lower-case hex digits. Secret. */
  readonly key: string;
  /** The master's word that the player moves. */
  readonly token: string;
  readonly hello: Hello;
}

/** What becomes of an arrival. */
export type Arrived =
  | { readonly player: JoinedPlayer }
  /** The player has been handed on already: a REDIRECT frame. */
  | { readonly redirect: Uint8Array }
  | { readonly refused: CloseCode; readonly retryAfterMs?: number };

/** Who knows of the players that other clusters hand over to this one. */
export interface Arrivals {
  /**
   * Looks the key up among the players of the handover, and verifies the token if the player is not in the game here yet. For who does not
   * have a key, nothing is verified. [ARRIVE-3]
   *
   * @returns `undefined` where nobody is expected by that
   */
  arrive(arrival: Arrival): Promise<Arrived | undefined>;
}

/** Whether two keys are the same, in a time that does not tell how far they are. [HAND-14] */
export function isSameKey(given: string, expected: string): boolean {
  return timingSafeEqual(digest(given), digest(expected));
}

function digest(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}
