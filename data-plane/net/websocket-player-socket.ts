import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { ProtocolError } from "../../protocol/index.ts";
import { maxFramesPerTurn, type PlayerSocket, type SocketListener } from "./player-socket.ts";

/** Pings and pongs of WebSocket that may come between two frames. Stops a flood that carries nothing. [WS-6] */
const maxControlFrames = 16;

const noBytes = new Uint8Array(0);

/** The binding to WebSocket: one binary message is one frame, without its length. [WS-3] */
export class WebSocketPlayerSocket implements PlayerSocket {
  readonly address: string;
  readonly #webSocket: WebSocket;
  readonly #stream: Duplex;
  readonly #receiver: object;
  #maxFrameBytes = 0;
  #controlFrames = 0;
  /** Messages and control frames since ws last let the others have their turn. */
  #inTurn = 0;
  #ponging = false;

  constructor(webSocket: WebSocket, stream: Duplex, address: string) {
    this.#webSocket = webSocket;
    this.#stream = stream;
    this.address = address;
    // ws takes the greatest message, and whether it hands on all that a piece holds in one go, once, for a connection's whole life. Here
    // the one follows the state, so that the length is checked before anything is held for it, and the other how much has come. There is
    // no public way: tests hold this to the pinned version of ws.
    const receiver: unknown = Reflect.get(webSocket, "_receiver");
    if (typeof receiver !== "object" || receiver === null) throw new Error("this version of ws has no _receiver");
    this.#receiver = receiver;
  }

  get maxFrameBytes(): number {
    return this.#maxFrameBytes;
  }

  set maxFrameBytes(bytes: number) {
    this.#maxFrameBytes = bytes;
    // To ws, 0 means no limit.
    Reflect.set(this.#receiver, "_maxPayload", Math.max(1, bytes));
  }

  isPaused(): boolean {
    return this.#webSocket.isPaused;
  }

  pause(): void {
    this.#webSocket.pause();
  }

  resume(): void {
    this.#webSocket.resume();
  }

  write(frames: Uint8Array): void {
    // Many messages, still one write.
    this.#stream.cork();
    for (let offset = 0; offset < frames.length;) {
      const start = offset + 2;
      offset = start + ((frames[offset] ?? 0) | ((frames[offset + 1] ?? 0) << 8));
      this.#webSocket.send(frames.subarray(start, offset), { binary: true });
    }
    this.#stream.uncork();
  }

  get isWriting(): boolean {
    return this.#stream.writableLength > 0;
  }

  whenWritten(callback: (error?: Error | null) => void): void {
    // Of no length, so it is no part of any message.
    this.#stream.write(noBytes, callback);
  }

  end(): void {
    this.#webSocket.close(1000);
  }

  destroy(): void {
    this.#webSocket.terminate();
  }

  listen(listener: SocketListener): void {
    this.#webSocket.on("message", (data, isBinary) => {
      this.#countInTurn();
      if (!Buffer.isBuffer(data) || !listener.onBytes(data.length)) return;
      this.#controlFrames = 0;
      try {
        if (!isBinary) throw new ProtocolError("UNEXPECTED_TYPE", "a text message");
        if (data.length === 0) throw new ProtocolError("FRAME_EMPTY", "an empty message");
        listener.onFrame(data, 0, data.length);
      } catch (error) {
        listener.onFault(error);
      }
    });
    this.#webSocket.on("ping", (data) => {
      if (!this.#control(listener, data.length) || this.#ponging) return;
      // One answer at a time: RFC 6455 lets the latest stand for those before, and a peer that does not read gathers none.
      this.#ponging = true;
      const isAlone = !this.isWriting;
      this.#webSocket.pong(data, false, () => (this.#ponging = false));
      if (isAlone) listener.onOwnWrite();
    });
    this.#webSocket.on("pong", (data) => void this.#control(listener, data.length));
    // ws has closed it with 1002, 1007, 1008 or 1009 already.
    this.#webSocket.on("error", (error) => {
      const tooLarge = "code" in error && error.code === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH";
      listener.onFault(new ProtocolError(tooLarge ? "FRAME_TOO_LARGE" : "BAD_VALUE", "against the rules of WebSocket"));
    });
    this.#webSocket.on("close", () => listener.onClose());
  }

  /** Whether the control frame is one that may be. */
  #control(listener: SocketListener, bytes: number): boolean {
    this.#countInTurn();
    if (!listener.onBytes(bytes)) return false;
    this.#controlFrames += 1;
    if (this.#controlFrames <= maxControlFrames) return true;
    listener.onFault(new ProtocolError("UNEXPECTED_TYPE", "too many control frames"));
    return false;
  }

  /** Has ws keep what comes after so many for the next turn; meanwhile it takes nothing more from the socket. [BUDGET-3] */
  #countInTurn(): void {
    this.#inTurn = (this.#inTurn + 1) % maxFramesPerTurn;
    // The one after the last is the first of a later turn. Without a crowd it is one in 256 that waits for that.
    if (this.#inTurn <= 1) Reflect.set(this.#receiver, "_allowSynchronousEvents", this.#inTurn === 1);
  }
}
