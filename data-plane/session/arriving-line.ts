import { Outbox, type OutboxSurroundings } from "../net/outbox.ts";
import type { SendLane } from "../net/send-queue.ts";
import type { JoinedPlayer } from "./joined-player.ts";
import type { PlayerLine } from "./player-line.ts";

const nowhere = { write: () => undefined, isWriting: false, whenWritten: () => undefined, end: () => undefined };

/** Stands for the connection of a player that has come from another cluster, until its client has come after it: what is sent gathers. */
export class ArrivingLine implements PlayerLine {
  readonly outbox: Outbox;
  readonly isOpen = false;
  /** Set once there is one. */
  player: JoinedPlayer | undefined;

  constructor(around: OutboxSurroundings) {
    this.outbox = new Outbox(nowhere, this, around);
    this.outbox.detach();
  }

  send(lane: SendLane, frame: Uint8Array): void {
    this.outbox.send(lane, frame);
  }

  hold(): void {
    // Nothing is read.
  }

  malformed(): void {
    this.player?.end("PROTOCOL_ERROR");
  }

  finish(): void {
    this.outbox.discard();
  }

  release(): Outbox {
    return this.outbox;
  }

  onOverflow(): void {
    this.player?.end("DROPPED");
  }
}
