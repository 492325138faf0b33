import { type SendLane, SendQueue, type StateKey } from "./send-queue.ts";
import type { TurnEnd, TurnTask } from "./turn-end.ts";

/** The part of a socket that an outbox needs. */
export interface OutboxSink {
  write(bytes: Uint8Array, onWritten: (error?: Error | null) => void): unknown;
  end(): unknown;
}

export interface OutboxOptions {
  readonly sink: OutboxSink;
  readonly turnEnd: TurnEnd;
  readonly maxQueuedBytes: number;
  /** Bounds the count too: each waiting frame costs far more memory than a few bytes of payload. */
  readonly maxQueuedFrames: number;
  /** Milliseconds, any origin; for {@link Outbox.stalledMs}. */
  readonly nowMs: () => number;
  /** Called once, when more is queued than allowed. */
  readonly onOverflow: () => void;
  /** Called for each write that was handed to the system. */
  readonly onWrite: (bytes: number) => void;
  /** Told of each reliable or bulk frame as it goes out for the first time: in this order they are on the wire. */
  readonly onNumbered: (frame: Uint8Array) => void;
}

/**
 * Most bytes given to the system at once. Small enough that a slow but honest line finishes one within the stall timeout,
 * large enough to fill TLS records.
 */
const maxWriteBytes = 32_768;

/**
 * What waits to be sent to one player. Frames queued in one turn of the event loop leave in one write, and while a write
 * is under way later frames gather for the next, by priority. Nothing is ever dropped out of the stream: past the bound the
 * connection has to end.
 */
export class Outbox implements TurnTask {
  readonly #options: OutboxOptions;
  readonly #queue = new SendQueue();
  #writingBytes = 0;
  #writingSinceMs = 0;
  #lastFrame: Uint8Array | undefined;
  #ending: "no" | "after-queue" | "ended" = "no";
  /** False once the connection has gone: then frames only gather, for the next one. */
  #attached = true;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Bytes that wait or are being written. */
  get queuedBytes(): number {
    return this.#queue.bytes + this.#writingBytes;
  }

  /** For how long the write that is under way has not come back; 0 without one. */
  get stalledMs(): number {
    return this.#writingBytes === 0 ? 0 : this.#options.nowMs() - this.#writingSinceMs;
  }

  /** Queues a frame; without effect after {@link finish}. */
  send(lane: SendLane, frame: Uint8Array): void {
    if (this.#ending !== "no") return;
    this.#queue.push(lane, frame);
    this.#wake();
    this.#checkBounds();
  }

  /** Queues a frame before all that have not been sent yet. */
  sendAhead(frame: Uint8Array): void {
    if (this.#ending === "ended") return;
    this.#queue.unshift(frame);
    this.#wake();
  }

  /** Keeps the latest of a key until {@link releaseStates}. */
  setState(key: StateKey, frame: Uint8Array): void {
    if (this.#ending !== "no") return;
    this.#queue.setState(key, frame);
    this.#checkBounds();
  }

  /** A tick is over: its state goes out with this turn's write. */
  releaseStates(): void {
    if (this.#ending === "no" && this.#attached && this.#queue.releaseStates()) this.#wake();
  }

  /** Queues a last frame, if any, whatever the bound; then ends the stream. */
  finish(frame?: Uint8Array): void {
    if (this.#ending !== "no") return;
    this.#lastFrame = frame;
    this.#ending = "after-queue";
    this.#wake();
  }

  /** Forgets everything: the connection is gone. */
  discard(): void {
    this.#ending = "ended";
    this.#queue.clear();
    this.#lastFrame = undefined;
  }

  /** The connection is gone, and its player is not: what is sent gathers until {@link adopt}. */
  detach(): void {
    this.#attached = false;
    this.#writingBytes = 0;
  }

  /** Takes over what an outbox before this one has not sent; that one is done with. */
  adopt(older: Outbox): void {
    this.#queue.adopt(older.#queue);
    older.discard();
    this.#wake();
  }

  endTurn(): void {
    if (this.#writingBytes > 0 || this.#ending === "ended" || !this.#attached) return;
    if (this.#queue.isReady) this.#write(this.#take());
    else if (this.#lastFrame !== undefined) {
      const last = this.#lastFrame;
      this.#lastFrame = undefined;
      this.#write(last);
    } else if (this.#ending === "after-queue") {
      this.#ending = "ended";
      this.#options.sink.end();
    }
  }

  #wake(): void {
    if (this.#attached) this.#options.turnEnd.add(this);
  }

  #checkBounds(): void {
    const { maxQueuedBytes, maxQueuedFrames, onOverflow } = this.#options;
    if (this.queuedBytes > maxQueuedBytes || this.#queue.frames > maxQueuedFrames) onOverflow();
  }

  /** The next bytes to write: whole frames, up to the greatest write. */
  #take(): Uint8Array {
    const { frames, bytes } = this.#queue.take(maxWriteBytes, this.#options.onNumbered);
    if (!this.#queue.isReady && this.#lastFrame !== undefined) {
      frames.push(this.#lastFrame);
      const total = bytes + this.#lastFrame.length;
      this.#lastFrame = undefined;
      return Buffer.concat(frames, total);
    }
    const [first] = frames;
    return frames.length === 1 && first !== undefined ? first : Buffer.concat(frames, bytes);
  }

  #write(bytes: Uint8Array): void {
    this.#writingBytes = bytes.length;
    this.#writingSinceMs = this.#options.nowMs();
    this.#options.onWrite(bytes.length);
    this.#options.sink.write(bytes, (error) => {
      if (!this.#attached) return;
      this.#writingBytes = 0;
      // After an error the socket closes by itself; nothing more can be said.
      if (error === undefined || error === null) this.endTurn();
    });
  }
}
