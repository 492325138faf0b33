import type { TLSSocket } from "node:tls";
import {
  encodePeerFrameHead,
  type PeerFrame,
  type PeerFrameKind,
  peerFrameKinds,
  PeerFrameParser,
} from "./peer-frame.ts";

export interface PeerConnectionLimits {
  /** How often to say that one is alive. [PEER-5] */
  readonly pingMs: number;
  /** Without a word for this long the link is broken. */
  readonly silenceMs: number;
  /** More than this many bytes that wait to be sent, and the link is broken. [PEER-6] */
  readonly maxQueuedBytes: number;
}

export const defaultPeerLimits: PeerConnectionLimits = {
  pingMs: 2_000,
  silenceMs: 6_000,
  maxQueuedBytes: 16 * 1_024 * 1_024,
};

export interface PeerConnectionListener {
  readonly onFrame: (frame: PeerFrame) => void;
  /** Once, whatever the reason. */
  readonly onEnd: (reason: string) => void;
}

/** One TLS connection between two clusters: frames, signs of life, an end. */
export class PeerConnection {
  readonly #socket: TLSSocket;
  readonly #limits: PeerConnectionLimits;
  readonly #listener: PeerConnectionListener;
  readonly #parser = new PeerFrameParser();
  readonly #ping: NodeJS.Timeout;
  #rest: NodeJS.Timeout | undefined;
  /** What has come and is not told yet, as the link rests. */
  #untold: Iterator<PeerFrame> | undefined;
  #silence: NodeJS.Timeout;
  #ended = false;

  constructor(socket: TLSSocket, limits: PeerConnectionLimits, listener: PeerConnectionListener) {
    this.#socket = socket;
    this.#limits = limits;
    this.#listener = listener;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", (error) => this.end(error.message));
    socket.on("close", () => this.end("closed"));
    this.#ping = setInterval(() => this.send(peerFrameKinds.ping), limits.pingMs);
    this.#silence = setTimeout(() => this.end("silent"), limits.silenceMs);
  }

  /** Longest frame that is taken from now on. */
  set maxFrameBytes(bytes: number) {
    this.#parser.maxBytes = bytes;
  }

  get open(): boolean {
    return !this.#ended;
  }

  /** Bytes that wait to be sent. */
  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  /** @returns whether it is on its way; it may still be lost with the link */
  send(kind: PeerFrameKind, body: Uint8Array = new Uint8Array(0)): boolean {
    if (this.#ended) return false;
    this.#socket.cork();
    this.#socket.write(encodePeerFrameHead(kind, body.length));
    if (body.length > 0) this.#socket.write(body);
    this.#socket.uncork();
    if (this.#socket.writableLength > this.#limits.maxQueuedBytes) this.end("slow");
    return !this.#ended;
  }

  /**
   * Tells and reads nothing for so long, counted from now: frames that have come already wait here, and what comes meanwhile at the other side.
   * [PEER-8]
   *
   * @returns whether it has been read until now
   */
  rest(ms: number): boolean {
    if (this.#ended) return false;
    const wasRead = this.#rest === undefined;
    clearTimeout(this.#rest);
    this.#socket.pause();
    this.#rest = setTimeout(() => {
      this.#rest = undefined;
      // It was not silent: it was not listened to.
      this.#silence.refresh();
      const untold = this.#untold;
      this.#untold = undefined;
      if (untold !== undefined) this.#tell(untold);
      if (!this.#ended && this.#rest === undefined) this.#socket.resume();
    }, ms);
    return wasRead;
  }

  end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#ping);
    clearTimeout(this.#silence);
    clearTimeout(this.#rest);
    this.#socket.destroy();
    this.#listener.onEnd(reason);
  }

  #read(chunk: Buffer): void {
    this.#silence.refresh();
    this.#tell(this.#parser.feed(chunk));
  }

  #tell(frames: Iterator<PeerFrame>): void {
    try {
      // An earlier frame may have ended it: what comes behind is not read. [HAND-12]
      while (!this.#ended) {
        if (this.#rest !== undefined) {
          this.#untold = frames;
          return;
        }
        const { done, value: frame } = frames.next();
        if (done === true) return;
        if (frame.kind !== peerFrameKinds.ping) this.#listener.onFrame(frame);
      }
    } catch (error) {
      this.end(error instanceof Error ? error.message : "failed");
    }
  }
}
