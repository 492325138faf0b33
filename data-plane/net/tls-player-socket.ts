import type { TLSSocket } from "node:tls";
import { FrameParser, limits } from "../../protocol/index.ts";
import { maxFramesPerTurn, type PlayerSocket, type SocketListener } from "./player-socket.ts";

const noBytes = new Uint8Array(0);

/** The binding to TLS over TCP: a stream that carries frames with their lengths. */
export class TlsPlayerSocket implements PlayerSocket {
  readonly address: string;
  readonly #socket: TLSSocket;
  readonly #parser = new FrameParser(limits.maxHelloBytes);
  #listener: SocketListener | undefined;
  #paused = false;
  /** Frames that may still be handled in this turn, and whether the listener wants them. */
  #left = 0;
  #goesOn = true;
  /** What has come and waits for a later turn. */
  #rest: Uint8Array | undefined;

  constructor(socket: TLSSocket, address: string) {
    this.#socket = socket;
    this.address = address;
  }

  get maxFrameBytes(): number {
    return this.#parser.maxFrameBytes;
  }

  set maxFrameBytes(bytes: number) {
    this.#parser.maxFrameBytes = bytes;
  }

  isPaused(): boolean {
    return this.#paused;
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    if (this.#rest === undefined) this.#socket.resume();
  }

  write(frames: Uint8Array): void {
    this.#socket.write(frames);
  }

  get isWriting(): boolean {
    return this.#socket.writableLength > 0;
  }

  whenWritten(callback: (error?: Error | null) => void): void {
    this.#socket.write(noBytes, callback);
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  listen(listener: SocketListener): void {
    this.#listener = listener;
    this.#socket.on("data", (piece: Buffer) => {
      if (listener.onBytes(piece.length)) this.#read(listener, piece);
    });
    this.#socket.on("error", destroy);
    this.#socket.on("close", () => {
      this.#rest = undefined;
      listener.onClose();
    });
  }

  #read(listener: SocketListener, piece: Uint8Array): void {
    this.#left = maxFramesPerTurn;
    this.#goesOn = true;
    let used: number;
    try {
      used = this.#parser.pushInPlace(piece, this.#onFrame);
    } catch (error) {
      listener.onFault(error);
      return;
    }
    if (!this.#goesOn || used === piece.length) return;
    this.#rest = piece.subarray(used);
    this.#socket.pause();
    setImmediate(() => this.#goOn());
  }

  // Made once, and not for each piece that comes.
  readonly #onFrame = (bytes: Uint8Array, start: number, end: number): boolean => {
    this.#left -= 1;
    this.#goesOn = this.#listener?.onFrame(bytes, start, end) === true;
    return this.#goesOn && this.#left > 0;
  };

  /** The others had their turn. */
  #goOn(): void {
    const rest = this.#rest;
    const listener = this.#listener;
    this.#rest = undefined;
    if (rest === undefined || listener === undefined) return;
    // Nothing new has come; but it may have been closed in between.
    if (listener.onBytes(0)) this.#read(listener, rest);
    if (this.#rest === undefined && !this.#paused) this.#socket.resume();
  }
}

/** Shared by all sockets. */
function destroy(this: TLSSocket): void {
  this.destroy();
}
