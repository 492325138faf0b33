import type { Socket } from "node:net";
import type { FrameHandler, Scanner } from "./scanner.ts";
import type { Player } from "./wire.ts";

/** A player of the load: one connection, as thin as it can be, so that the load costs the same whoever is measured. */
export class Link implements Player {
  readonly #socket: Socket;
  readonly #scanner: Scanner;
  readonly #onFrame: FrameHandler;
  expected: Uint8Array | undefined;
  received = 0;
  wrong = 0;
  updates = 0;
  roundTrips: number[] | undefined;
  fault: string | undefined;
  /** When the message was sent whose answer is still awaited; 0 when none is. */
  #sentAtMs = 0;
  #leaving = false;

  /** @param makeHandler makes what is told of each frame from here on */
  constructor(socket: Socket, scanner: Scanner, makeHandler: (link: Link) => FrameHandler) {
    this.#socket = socket;
    this.#scanner = scanner;
    this.#onFrame = makeHandler(this);
    socket.on("data", (piece: Buffer) => this.#scanner.push(piece, this.#onFrame));
    socket.on("error", (error) => (this.fault ??= error.message));
    socket.on("close", () => {
      if (!this.#leaving) this.fault ??= "closed by the server";
    });
  }

  /** Takes bytes that were read before this link was made. */
  push(piece: Buffer): void {
    if (piece.length > 0) this.#scanner.push(piece, this.#onFrame);
  }

  write(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  send(bytes: Uint8Array): void {
    if (this.#sentAtMs === 0) this.#sentAtMs = performance.now();
    this.#socket.write(bytes);
  }

  /** Counts a message of the game, whose payload lies in `bytes`. */
  count(bytes: Buffer, start: number, end: number): void {
    this.received += 1;
    const { expected } = this;
    if (expected !== undefined && bytes.compare(expected, 0, expected.length, start, end) !== 0) this.wrong += 1;
    if (this.#sentAtMs !== 0) {
      this.roundTrips?.push(performance.now() - this.#sentAtMs);
      this.#sentAtMs = 0;
    }
  }

  leave(goodbye: Uint8Array | undefined): Promise<void> {
    this.#leaving = true;
    return new Promise((resolve) => {
      if (this.#socket.closed) {
        resolve();
        return;
      }
      this.#socket.once("close", () => resolve());
      if (goodbye !== undefined) this.#socket.write(goodbye);
      this.#socket.end();
      setTimeout(() => this.#socket.destroy(), 2_000).unref();
    });
  }
}
