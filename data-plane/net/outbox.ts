import type { TurnEnd, TurnTask } from "./turn-end.ts";

/** The part of a socket that an outbox needs. */
export interface OutboxSink {
  write(bytes: Uint8Array, onWritten: (error?: Error | null) => void): boolean;
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
}

/**
 * Most bytes given to the system at once. Small enough that a slow but honest line finishes one within the stall timeout,
 * large enough to fill TLS records.
 */
const maxWriteBytes = 32_768;

/**
 * What waits to be sent to one player. Frames queued in one turn of the event loop leave in one write, and while a write
 * is under way later frames gather for the next. Nothing is ever dropped out of the stream: past the bound the connection
 * has to end.
 */
export class Outbox implements TurnTask {
  readonly #options: OutboxOptions;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #writingBytes = 0;
  #writingSinceMs = 0;
  #ending: "no" | "after-queue" | "ended" = "no";

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Bytes that wait or are being written. */
  get queuedBytes(): number {
    return this.#queuedBytes + this.#writingBytes;
  }

  /** For how long the write that is under way has not come back; 0 without one. */
  get stalledMs(): number {
    return this.#writingBytes === 0 ? 0 : this.#options.nowMs() - this.#writingSinceMs;
  }

  /** Queues a frame; without effect after {@link finish}. */
  send(frame: Uint8Array): void {
    if (this.#ending !== "no") return;
    this.#push(frame);
    const { maxQueuedBytes, maxQueuedFrames, onOverflow } = this.#options;
    if (this.queuedBytes > maxQueuedBytes || this.#queue.length > maxQueuedFrames) onOverflow();
  }

  /** Queues a frame before all that have not been sent yet. */
  sendAhead(frame: Uint8Array): void {
    this.#queue.unshift(frame);
    this.#queuedBytes += frame.length;
    this.#options.turnEnd.add(this);
  }

  /** Queues a last frame, if any, whatever the bound; then ends the stream. */
  finish(frame?: Uint8Array): void {
    if (this.#ending !== "no") return;
    if (frame !== undefined) this.#push(frame);
    this.#ending = "after-queue";
    this.#options.turnEnd.add(this);
  }

  /** Forgets everything: the connection is gone. */
  discard(): void {
    this.#ending = "ended";
    this.#queue = [];
    this.#queuedBytes = 0;
  }

  endTurn(): void {
    if (this.#writingBytes > 0 || this.#ending === "ended") return;
    if (this.#queue.length > 0) this.#write(this.#take());
    else if (this.#ending === "after-queue") {
      this.#ending = "ended";
      this.#options.sink.end();
    }
  }

  #push(frame: Uint8Array): void {
    this.#queue.push(frame);
    this.#queuedBytes += frame.length;
    this.#options.turnEnd.add(this);
  }

  /** The next bytes to write: whole frames, up to the greatest write. */
  #take(): Uint8Array {
    let bytes = 0;
    let count = 0;
    for (const frame of this.#queue) {
      if (count > 0 && bytes + frame.length > maxWriteBytes) break;
      bytes += frame.length;
      count += 1;
    }
    const frames = count === this.#queue.length ? this.#queue : this.#queue.slice(0, count);
    this.#queue = count === this.#queue.length ? [] : this.#queue.slice(count);
    this.#queuedBytes -= bytes;
    const [first] = frames;
    return frames.length === 1 && first !== undefined ? first : Buffer.concat(frames, bytes);
  }

  #write(bytes: Uint8Array): void {
    this.#writingBytes = bytes.length;
    this.#writingSinceMs = this.#options.nowMs();
    this.#options.onWrite(bytes.length);
    this.#options.sink.write(bytes, (error) => {
      this.#writingBytes = 0;
      // After an error the socket closes by itself; nothing more can be said.
      if (error === undefined || error === null) this.endTurn();
    });
  }
}
