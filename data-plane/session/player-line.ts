import type { Outbox } from "../net/outbox.ts";
import type { SendLane } from "../net/send-queue.ts";

/** What a player does through its connection. After the connection has gone, what is sent waits there for the next one. */
export interface PlayerLine {
  send(lane: SendLane, frame: Uint8Array): void;
  /** Where its frames wait. Messages go there at once: it is the way of nearly all that is sent. */
  readonly outbox: Outbox;
  /** Stop or go on reading. */
  hold(held: boolean): void;
  malformed(reason: string): void;
  /** Whether the connection is there. */
  readonly isOpen: boolean;
  /** Says a last word, if any, and ends the connection. */
  finish(lastFrame?: Uint8Array): void;
  /** Lets go of the player and hands over what it has not been sent; the connection ends without a word. */
  release(): Outbox;
}
